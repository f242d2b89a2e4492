/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring of one vbd: requests with their grants, and what the backend says
 * became of them. Every request that was queued completes exactly once.
 */
#pragma once

#include "lib/xen.hh"

#include <xen/io/blkif.h>

#include "blkfront/linux.h"
#include "blkfront/offer.hh"
#include "gnttab/gnttab.hh"
#include "lib/guard.hh"
#include "lib/ring.hh"

namespace xpv {

static_assert(sizeof(blkif_request) == 112);
static_assert(sizeof(blkif_response) == 16);
static_assert(XPV_BLOCK_SEGMENTS == BLKIF_MAX_SEGMENTS_PER_REQUEST);

class Ring {
public:
	/* In a ring of one page. */
	static constexpr unsigned int slots = 32;

	/* Requests that have ended; they are passed on after the lock is released. */
	struct Completions {
		unsigned int count = 0;
		bool went_on = false; /* some took their next step instead: to be told to the backend by commit() */
		xpv_block_completion items[slots];
	};
	/* How the backend broke the protocol; `what` is null when it did not. */
	struct Violation {
		const char *what = nullptr;
		uint64_t number = 0;

		explicit operator bool() const { return what != nullptr; }
	};

	/* Sleeping context. */
	[[nodiscard]] static Result<Owned<Ring>> make(Domid backend, uint16_t handle);
	/* For make(), which does the part that can fail. */
	Ring(Domid backend, uint16_t handle) : handle_(handle), backend_(backend) {}
	/* Nothing may be in flight. Sleeping context. */
	~Ring() = default;
	Ring(const Ring &) = delete;
	Ring &operator=(const Ring &) = delete;

	/* Grant of the shared page, for the backend. */
	[[nodiscard]] Gref reference() const { return page_.reference(); }
	/* Requests that are under way; a snapshot. */
	[[nodiscard]] unsigned int in_flight();
	/* What XPV_BLOCK_FLUSH and WRITE_THROUGH become from now on. Before the first request. */
	void set_flush(Flush flush) { flush_ = flush; }

	/* As xpv_vbd_submit(); `notify` says to send the backend an event. */
	[[nodiscard]] xpv_block_submitted submit(request *owner, xpv_block_operation operation, uint64_t sector,
						 const xpv_block_segments &segments, bool last, bool &notify);
	[[nodiscard]] bool commit();

	/*
	 * Take the responses that are there. After a violation the ring is
	 * broken: it is not touched again, and takes no more requests. Any context but NMI.
	 */
	[[nodiscard]] Violation collect(Completions &completions);

	/* No more requests, and no more responses. */
	void shut();
	/*
	 * The other end is gone without a trace: shuts the ring, and gives back
	 * what is in flight, which did not end (`error` means nothing), to be
	 * submitted again after restart(). Any context but NMI.
	 */
	void lose(Completions &unfinished);
	/* After lose(): an empty ring, shared with that domain. Sleeping context. On failure it stays shut. */
	[[nodiscard]] Status restart(Domid backend);
	/* After shut(), or a violation: everything that is in flight ends with EIO. */
	void abort(Completions &completions);

private:
	/* Our copy of a request in flight: what the backend can reach of the ring is never read back. */
	struct Shadow {
		request *owner; /* null: not in flight */
		bool flush_afterwards;
		blkif_request wire;
	};
	struct Encoded {
		uint8_t operation;
		bool needed;
	};

	[[nodiscard]] Encoded encode_locked(xpv_block_operation operation) const;
	[[nodiscard]] xpv_block_submitted submit_locked(request *owner, xpv_block_operation operation, uint64_t sector,
							const xpv_block_segments &segments);
	[[nodiscard]] bool push_locked();
	[[nodiscard]] Violation collect_locked(Completions &completions);
	[[nodiscard]] Violation objection_locked(const blkif_response &response) const;
	[[nodiscard]] int judge_locked(const Shadow &shadow, int status);
	[[nodiscard]] unsigned int revoke_locked(const Shadow &shadow);
	void go_on_locked(unsigned int id, Completions &completions);
	void finish_locked(unsigned int id, int error, Completions &completions);

	const uint16_t handle_;
	GrantedPage page_; /* changes in restart(), while shut */

	Spinlock lock_; /* all below */
	Domid backend_;
	FrontRing<blkif_sring, blkif_request, blkif_response> shared_;
	GrantPool pool_;
	bool open_ = false;
	bool unpushed_ = false;
	Flush flush_ = Flush::None;
	unsigned int free_count_ = 0;
	uint8_t free_ids_[slots];
	Shadow shadows_[slots];
};

} // namespace xpv
