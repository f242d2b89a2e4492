/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The xenstore ring page (io/xs_wire.h): two byte streams and their indices.
 *
 * Our own indices (req_prod, rsp_cons) are kept in private copies; in the page
 * they are only written. xenstored's indices are checked at each access.
 * Writing and reading are independent of each other; the owner serialises each.
 */
#pragma once

#include <cstddef>
#include <cstdint>

#include <xen/io/xs_wire.h>

#include "lib/result.hh"

namespace xpv {

static_assert(sizeof(xenstore_domain_interface) == 2 * XENSTORE_RING_SIZE + 28);
static_assert(sizeof(xsd_sockmsg) == 16);

class StoreRing {
public:
	/*
	 * Continue where the last user of the page stopped: indices need not be 0.
	 * EIO if they are inconsistent.
	 */
	[[nodiscard]] Status attach(xenstore_domain_interface *shared);
	/* Return whether xenstored has read all requests and all responses have been read. */
	[[nodiscard]] bool quiescent() const;
	/* Return whether xenstored has read all requests. */
	[[nodiscard]] bool requests_taken() const;
	/* Drop all responses in the ring. */
	void discard_responses();

	/* Write as much as there is room for, and return how much. EIO if xenstored's index is inconsistent. */
	[[nodiscard]] Result<size_t> write(const void *bytes, size_t size);

	struct Taken {
		size_t size;
		/* xenstored had filled the ring, and may sleep until it is notified that there is room. */
		bool was_full;
	};
	/* Read as much as there is, up to `size`. EIO if xenstored's index is inconsistent. */
	[[nodiscard]] Result<Taken> read(void *bytes, size_t size);

	/* The fields of the page, for diagnostics. */
	struct Snapshot {
		uint32_t request_consumed, request_produced;
		uint32_t response_consumed, response_produced;
		uint32_t server_features, connection, error;
	};
	[[nodiscard]] Snapshot snapshot() const;

	/* Return a number that changes whenever xenstored has read or written something. */
	[[nodiscard]] uint32_t progress() const;

	/* Return the page's error field: XENSTORE_ERROR_* if xenstored gave up on this connection, or 0. */
	[[nodiscard]] uint32_t error() const;
	/* Return whether xenstored supports reconnection. */
	[[nodiscard]] bool can_reconnect() const;
	/* Ask xenstored to reconnect. Ignore everything else in the page until reconnecting() is false. */
	void request_reconnect();
	/* Return whether a reconnection is pending; also true if xenstored has not connected to a new page yet. */
	[[nodiscard]] bool reconnecting() const;

private:
	xenstore_domain_interface *shared_ = nullptr;
	XENSTORE_RING_IDX request_produced_ = 0;
	XENSTORE_RING_IDX response_consumed_ = 0;
};

} // namespace xpv
