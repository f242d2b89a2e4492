/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The transmit ring of one connection's queue: packets with their grants, and
 * the backend's responses. The owner of every submitted packet is returned
 * exactly once: by collect(), by end() or by release().
 *
 * A packet takes a slot for each of its segments. A GSO packet takes one more for
 * its extra info, which has no id and gets a response of its own. A packet is done
 * when all its segments have a response.
 *
 * A change of the backend's multicast filter also takes two slots: one with an id
 * and no data, and one with the address.
 *
 * A staged segment is copied into a page of the ring, which stays granted
 * (read-only) until the end of the connection. Such a page contains only zeroes
 * and what this backend was sent before.
 *
 * Not locked: the caller holds the queue's transmit lock, or nothing else can use
 * the ring.
 */
#pragma once

#include <span>

#include "gnttab/gnttab.hh"
#include "lib/ring.hh"
#include "lib/slots.hh"
#include "netfront/linux.h"
#include "netfront/violation.hh"

namespace xpv {

class TxRing {
public:
	/* What collect() found. */
	struct Collected {
		std::span<xpv_tx_owner *const> owners; /* of packets that are done; valid until the next call */
		unsigned int dropped = 0;
		unsigned int errors = 0;
		bool progress = false; /* there were responses */
		bool filter_refused = false; /* the backend refused an address of the multicast filter */
		Violation violation;
	};

	/* Allocate a ring. Sleeping context. */
	[[nodiscard]] static Result<Owned<TxRing>> make(Domid backend);
	/* Call after end() and release(), or if nothing was submitted. Parks pages to stage in. Sleeping context. */
	~TxRing();
	TxRing(const TxRing &) = delete;
	TxRing &operator=(const TxRing &) = delete;

	/* Return the grant reference of the shared page, for the backend. */
	[[nodiscard]] Gref reference() const { return page_.reference(); }
	/* Return the number of slots that a packet can take now. */
	[[nodiscard]] unsigned int room() const;
	[[nodiscard]] unsigned int in_flight() const { return shared_.outstanding(); }

	/* Put a packet into the ring. Errors as xpv_tx_submit(). Atomic context. */
	[[nodiscard]] Status submit(const xpv_tx_packet &packet);
	/* Add an address to the backend's multicast filter, or delete it. EAGAIN, ENODEV as xpv_tx_submit(). Any context. */
	[[nodiscard]] Status submit_filter(bool add, const xpv_net_address &address);
	/* Publish submitted packets. Return whether the caller must send the backend an event. Any context. */
	[[nodiscard]] bool push();
	/*
	 * Take the responses that have arrived, if there are at least `least`. After a
	 * violation the ring is not accessed again, and takes no more packets. After a
	 * restore responses are ignored. Atomic context.
	 */
	[[nodiscard]] Collected collect(unsigned int least = 0);
	/* Return whether there are responses to take, a snapshot. Any context. */
	[[nodiscard]] bool pending() const;

	/*
	 * Stop the ring: take no more packets and responses, and return the owners of
	 * the packets in flight, except those of which the backend still maps a page.
	 * Later calls, or release(), return those. Free the pages to stage in likewise.
	 * Atomic context.
	 */
	[[nodiscard]] std::span<xpv_tx_owner *const> end();
	/* Return, after end(), how many pages, of packets or to stage in, the backend still maps. Any context. */
	[[nodiscard]] unsigned int still_mapped() const;
	/* Move out the shared page, after end(). The backend may map it for longer. */
	[[nodiscard]] GrantedPage take_page() { return std::move(page_); }
	/* Park, after end(), the pages that are still mapped, and return the owners that are left. Atomic context. */
	[[nodiscard]] std::span<xpv_tx_owner *const> release();

private:
	using Shared = FrontRing<netif_tx_sring, netif_tx_request, netif_tx_response>;
	static constexpr unsigned int not_staged = ~0u;
	static constexpr unsigned int no_data = ~1u; /* nor an owner */

	/* Our copy of a slot. The shared copy is never read back, because the backend can write to it. */
	struct Shadow {
		Gref reference; /* unless staged */
		unsigned int staging; /* index of the page, or not_staged, or no_data */
		bool answered; /* has a response; the id stays in use until the packet is done */
		bool lost; /* was still mapped at end(): the reference does not belong to the pool any more */
		unsigned int first; /* id of the packet's first segment; the members below are valid in that one */
		xpv_tx_owner *owner;
		unsigned int missing; /* segments without response */
		int16_t status; /* the worst */
	};
	/* A page that stays granted; allocated when it is first needed. */
	struct Staging {
		void *page;
		Gref reference;
		bool lost; /* as in Shadow */
	};

	[[nodiscard]] Status prepare(const xpv_tx_packet &packet);
	[[nodiscard]] Status make_staging(Staging &staging);
	void put_gso(const xpv_tx_packet &packet);
	[[nodiscard]] Violation take_responses(unsigned int count, Collected &collected);
	void finish(unsigned int id, int16_t status, Collected &collected);
	[[nodiscard]] unsigned int event_distance() const;
	[[nodiscard]] Violation take_all(Collected &collected);
	[[nodiscard]] Violation revoke_done();
	void drop_staging();

	/* Owns memory and references until make() has allocated the ring. */
	struct Parts {
		GrantedPage page;
		Shared shared;
		GrantPool pool;
		Slots<Shadow> slots;
		Array<Staging> staging;
		Array<unsigned int> free_staging;
		Array<Gref> revoking;
		Array<xpv_tx_owner *> owners;
	};

public:
	/* Only for make(), which does the part that can fail. */
	TxRing(Domid backend, Parts &&parts);

private:
	const Domid backend_;
	const uint32_t restores_; /* xpv_restore_count() at creation */
	GrantedPage page_;
	Shared shared_;
	GrantPool pool_;
	Slots<Shadow> slots_;

	Array<Staging> staging_;
	Array<unsigned int> free_staging_; /* indices, the first free_count_ */
	unsigned int free_count_;

	/* Of the packet that is submitted; here, because it costs time to clear them on the stack. */
	Pfn frames_[XPV_NET_SLOTS_MAX] = {};
	Gref references_[XPV_NET_SLOTS_MAX] = {};

	/* Of one collection: references to revoke, owners to give back. */
	Array<Gref> revoking_;
	unsigned int revoking_count_ = 0;
	Array<xpv_tx_owner *> owners_;
	unsigned int owner_count_ = 0;

	unsigned int extras_ = 0; /* slots without an id that have no response */
	bool open_ = true;
	bool ended_ = false;
	bool unpushed_ = false;
};

} // namespace xpv
