/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The receive ring of one connection's queue: pages that the backend copies
 * packets into, and its responses. The n-th response always answers the n-th
 * request, in the same slot. So the slot identifies the page, also of a response
 * with extra info, which has no id.
 *
 * A page belongs to Linux, or it is granted. A granted page is in a slot of the
 * ring, or in the list of pages to post again with the same grant.
 *
 * Not locked: used in the queue's NAPI poll, or when that is disabled.
 */
#pragma once

#include "gnttab/gnttab.hh"
#include "lib/ring.hh"
#include "netfront/linux.h"
#include "netfront/violation.hh"

namespace xpv {

class RxRing {
public:
	/* Most packets of a batch. */
	static constexpr unsigned int batch_packets = 64;

	struct Collected {
		xpv_rx_batch batch = {};
		Violation violation;
		bool progress = false; /* there were responses */
	};
	struct Refilled {
		bool notify = false; /* the caller must send the backend an event */
		bool starving = false; /* there are too few pages in the ring */
	};

	/* Allocate a ring, in which pages of packets up to this size stay granted. Sleeping context. */
	[[nodiscard]] static Result<Owned<RxRing>> make(Domid backend, unsigned int copy_limit = XPV_RX_COPY_LIMIT);
	/* Call after end() and release(). Sleeping context. */
	~RxRing() = default;
	RxRing(const RxRing &) = delete;
	RxRing &operator=(const RxRing &) = delete;

	/* Return the grant reference of the shared page, for the backend. */
	[[nodiscard]] Gref reference() const { return page_.reference(); }

	/* As xpv_rx_collect(). After a violation the ring is not accessed again. After a restore responses are ignored. */
	[[nodiscard]] Collected collect(unsigned int budget, xpv_netdev_queue *linux_queue);
	/* As xpv_rx_refill(). */
	[[nodiscard]] Refilled refill(xpv_netdev_queue *linux_queue);
	/* Ask for an event at the next response. Return whether there is one already. */
	[[nodiscard]] Result<bool> more_after_asking() { return open_ ? shared_.more_after_asking() : false; }
	/* Return whether there are responses to take, a snapshot. Any context. */
	[[nodiscard]] bool pending() const;

	/*
	 * Stop the ring, and give back the pages to which the backend has no access any
	 * more. Contexts of this and the following as xpv_rx_page_put().
	 */
	void end(xpv_netdev_queue *linux_queue);
	/*
	 * Retry, after end(), to give back what it could not. Return how many pages the
	 * backend still maps.
	 */
	[[nodiscard]] unsigned int still_mapped(xpv_netdev_queue *linux_queue);
	/* Move out the shared page, after end(). The backend may map it for longer. */
	[[nodiscard]] GrantedPage take_page() { return std::move(page_); }
	/* Park, after end(), the pages that are still mapped. */
	void release(xpv_netdev_queue *linux_queue);

private:
	using Shared = FrontRing<netif_rx_sring, netif_rx_request, netif_rx_response>;
	static constexpr unsigned int batch_pieces = batch_packets + XPV_NET_SLOTS_MAX;
	/* With fewer pages in the ring, a packet of 64 KB may never find enough. */
	static constexpr unsigned int starving_below = 2 * XPV_NET_SLOTS_MAX;
	/* New pages are posted in bursts of this size. */
	static constexpr unsigned int refill_burst = 16;

	struct Buffer {
		xpv_rx_page *page;
		Gref reference;
	};
	/* State while the responses of one packet are read. */
	struct Reading {
		unsigned int left; /* responses that have arrived and were not taken */
		unsigned int first_piece; /* in pieces_ */
		xpv_rx_packet packet;
		bool malformed;
	};

	[[nodiscard]] Violation read_packet(Reading &reading);
	void read_gso(const netif_extra_info &extra, Reading &reading);
	static void read_hash(const netif_extra_info &extra, Reading &reading);
	void read_extras(Reading &reading);
	[[nodiscard]] Buffer take_buffer();
	void recycle(const Buffer &buffer) { recycled_[recycled_count_++] = buffer; }
	void drop_pieces(unsigned int first);
	void accept(Reading &reading);
	[[nodiscard]] unsigned int revoke_batch();
	void post(const Buffer &buffer);

	/* Owns memory and references until make() has allocated the ring. */
	struct Parts {
		GrantedPage page;
		Shared shared;
		GrantPool pool;
		Array<Buffer> posted;
		Array<Buffer> recycled;
	};

public:
	/* Only for make(), which does the part that can fail. */
	RxRing(Domid backend, unsigned int copy_limit, Parts &&parts);

private:
	const Domid backend_;
	const unsigned int copy_limit_;
	const uint32_t restores_; /* xpv_restore_count() at creation */
	GrantedPage page_;
	Shared shared_;
	GrantPool pool_;
	Array<Buffer> posted_; /* by slot */
	Array<Buffer> recycled_; /* to be posted again; as many as the ring has slots */
	unsigned int recycled_count_ = 0;
	bool open_ = true;

	/* The batch. */
	xpv_rx_packet packets_[batch_packets] = {};
	unsigned int packet_count_ = 0;
	xpv_rx_piece pieces_[batch_pieces] = {};
	Gref references_[batch_pieces] = {}; /* of the pieces */
	unsigned int piece_count_ = 0;
};

} // namespace xpv
