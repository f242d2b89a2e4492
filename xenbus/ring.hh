/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The xenstore ring page (io/xs_wire.h): two byte streams and their indices.
 *
 * The indices that belong to this end (req_prod, rsp_cons) live in private
 * copies; the page's are only written. The other end's are checked at each
 * look. Writing and reading are independent of each other; each is
 * serialised by the owner.
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
	 * Goes on where the last user of the page stopped: indices need not be
	 * 0. EIO when they make no sense.
	 */
	[[nodiscard]] Status attach(xenstore_domain_interface *shared);
	/* Requests that the store has not read yet, or responses nobody has read. */
	[[nodiscard]] bool quiescent() const;
	/* The store has read all requests. */
	[[nodiscard]] bool requests_taken() const;
	/* Drop all responses that are there now. */
	void discard_responses();

	/* As much as there is room for; how much that was. EIO when the store's index makes no sense. */
	[[nodiscard]] Result<std::size_t> write(const void *bytes, std::size_t size);

	struct Taken {
		std::size_t size;
		/* The store had filled the ring and may sleep until it is told that there is room. */
		bool was_full;
	};
	/* As much as there is, up to `size`. EIO when the store's index makes no sense. */
	[[nodiscard]] Result<Taken> read(void *bytes, std::size_t size);

	/* What is in the page, for diagnosis. */
	struct Snapshot {
		std::uint32_t request_consumed, request_produced;
		std::uint32_t response_consumed, response_produced;
		std::uint32_t server_features, connection, error;
	};
	[[nodiscard]] Snapshot snapshot() const;

	/* Changes whenever the store has read or written something. */
	[[nodiscard]] std::uint32_t progress() const;

	/* The store gave up on this connection: one of XENSTORE_ERROR_*, or 0. */
	[[nodiscard]] std::uint32_t error() const;
	/* The store can start the connection afresh. */
	[[nodiscard]] bool can_reconnect() const;
	/* Ask for that; ignore everything else in the page until reconnecting() says no. */
	void request_reconnect();
	/* Also true when the toolstack made the page for a store that is not there yet. */
	[[nodiscard]] bool reconnecting() const;

private:
	xenstore_domain_interface *shared_ = nullptr;
	XENSTORE_RING_IDX request_produced_ = 0;
	XENSTORE_RING_IDX response_consumed_ = 0;
};

} // namespace xpv
