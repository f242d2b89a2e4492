/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control ring of one connection (netif.h): settings of the backend that are
 * too large for xenstore. There is at most one request in flight. Its data, if it
 * has any, is in a page of its own, which stays granted until the connection ends.
 *
 * Not locked: the owner serialises its calls.
 */
#pragma once

#include "gnttab/gnttab.hh"
#include "lib/deadline.hh"
#include "lib/ring.hh"
#include "netfront/violation.hh"

namespace xpv {

static_assert(sizeof(xen_netif_ctrl_request) == 16);
static_assert(sizeof(xen_netif_ctrl_response) == 12);

class ControlRing {
public:
	/* A request that takes longer is not answered at all. */
	static constexpr unsigned int answer_ms = 3000;

	/* What poll() found. */
	struct Polled {
		bool answered = false;
		uint32_t status = 0; /* XEN_NETIF_CTRL_STATUS_*, or a number that netif.h does not know */
		uint32_t data = 0; /* not checked: its meaning depends on the request */
		Violation violation;
	};

	/* Allocate a ring. Sleeping context. */
	[[nodiscard]] static Result<Owned<ControlRing>> make(Domid backend);
	ControlRing(const ControlRing &) = delete;
	ControlRing &operator=(const ControlRing &) = delete;

	/* Return the grant reference of the shared page, for the backend. */
	[[nodiscard]] Gref reference() const { return ring_page_.reference(); }

	/*
	 * Publish a request. Return whether the caller must send the backend an event.
	 * EBUSY: one is in flight. ENODEV: after stop(). Any context.
	 */
	[[nodiscard]] Result<bool> submit(uint16_t type, uint32_t data0 = 0);
	/*
	 * The same for a request whose first word is a grant reference: of a page with
	 * `size` bytes of `data` at its beginning. EINVAL: more than a page.
	 */
	[[nodiscard]] Result<bool> submit_data(uint16_t type, const void *data, unsigned int size, uint32_t data1);
	/* Return whether a request has no response yet. */
	[[nodiscard]] bool busy() const { return shared_.outstanding() != 0; }
	/* Return the milliseconds that the backend has left to answer; 0: too late, or not busy(). Any context. */
	[[nodiscard]] unsigned int left_ms() const { return busy() ? deadline_.left_ms() : 0; }
	/* Give the backend all the time again, after a suspend. Any context. */
	void restart_deadline() { deadline_ = Deadline::after(answer_ms); }

	/*
	 * Take the response, if there is one, and ask for an event at the next. After a
	 * violation the ring is not accessed again. After a restore responses are
	 * ignored. Any context.
	 */
	[[nodiscard]] Polled poll();

	/* Do not access the ring any more: the backend does not answer, or the connection ends. Any context. */
	void stop();
	[[nodiscard]] bool stopped() const { return !open_; }
	/* Move out the shared page and the one for data, after stop(). The backend may map them for longer. */
	[[nodiscard]] GrantedPage take_ring_page() { return std::move(ring_page_); }
	[[nodiscard]] GrantedPage take_data_page() { return std::move(data_page_); }

private:
	using Shared = FrontRing<xen_netif_ctrl_sring, xen_netif_ctrl_request, xen_netif_ctrl_response>;

	[[nodiscard]] Result<bool> put(uint16_t type, uint32_t data0, uint32_t data1);
	[[nodiscard]] Violation take(Polled &polled);
	[[nodiscard]] Violation take_all(Polled &polled);

public:
	/* Only for make(), which does the part that can fail. */
	ControlRing(GrantedPage &&ring_page, GrantedPage &&data_page);

private:
	const uint32_t restores_; /* xpv_restore_count() at creation */
	GrantedPage ring_page_;
	/* Never read by us, so that it does not matter that the backend could write to it. */
	GrantedPage data_page_;
	Shared shared_;
	Deadline deadline_ = Deadline::at(0);
	/* Of the request in flight, or of the last one. */
	uint16_t id_ = 0;
	uint16_t type_ = XEN_NETIF_CTRL_TYPE_INVALID;
	bool open_ = true;
};

} // namespace xpv
