/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring of one connection: requests with their grants, and the backend's
 * responses. Every queued request is returned exactly once, by collect() or by
 * end().
 *
 * A request with more segments than fit one slot takes several slots. It is done
 * when all of them have a response, and fails if one of them failed.
 */
#pragma once

#include "lib/xen.hh"

#include <xen/io/blkif.h>

#include "blkfront/linux.h"
#include "blkfront/backend_parameters.hh"
#include "blkfront/requests.hh"
#include "blkfront/still_mapped.hh"
#include "gnttab/gnttab.hh"
#include "lib/guard.hh"
#include "lib/ring.hh"
#include "lib/slots.hh"

namespace xpv {

static_assert(sizeof(blkif_request) == 112);
static_assert(sizeof(blkif_response) == 16);

class Ring {
public:
	struct Parameters {
		Domid backend;
		uint16_t handle; /* of the vbd, for the backend's log */
		unsigned int segments_per_slot = BLKIF_MAX_SEGMENTS_PER_REQUEST; /* or fewer */
		const char *disk = "xvd"; /* for our log; must outlive the ring */
	};
	/* The backend's features that XPV_BLOCK_FLUSH and XPV_BLOCK_WRITE_THROUGH depend on. */
	struct Features {
		Flush flush = Flush::none;
		bool read_only = false;
	};
	/* A protocol violation by the backend; `what` is null if there was no violation. */
	struct Violation {
		const char *what = nullptr;
		uint64_t number = 0;

		explicit operator bool() const { return what != nullptr; }
	};
	struct Collected {
		Violation violation;
		bool progress = false; /* there were responses */
		bool notify = false; /* a flush was queued after a write: send the backend an event */
	};

	/* Allocate a ring. Sleeping context. */
	[[nodiscard]] static Result<Owned<Ring>> make(const Parameters &parameters);
	/* Call after end(), or if no request was submitted. Sleeping context. */
	~Ring() = default;
	Ring(const Ring &) = delete;
	Ring &operator=(const Ring &) = delete;

	/* Return the grant reference of the shared page, for the backend. */
	[[nodiscard]] Gref reference() const { return page_.reference(); }
	[[nodiscard]] unsigned int slots() const { return slot_count_; }
	/* Return the number of requests in flight, a snapshot. Any context but NMI. */
	[[nodiscard]] unsigned int in_flight() XPV_EXCLUDES(lock_);
	/* Set the backend's features. Call before the first request. */
	void set_features(const Features &features) XPV_EXCLUDES(lock_);

	/* As xpv_block_submit(). Sets `notify` if the caller must send the backend an event. Atomic context. */
	[[nodiscard]] xpv_block_submit_result submit(xpv_block_request &request, bool last, bool &notify)
		XPV_EXCLUDES(lock_);
	/* Push queued requests. Returns whether the caller must send the backend an event. Atomic context. */
	[[nodiscard]] bool commit() XPV_EXCLUDES(lock_);

	/*
	 * Take the responses that have arrived, and add completed requests to
	 * `done`. After a restore all responses are ignored: the old backend may
	 * have responded after the data page was saved and before the ring page was.
	 * After a violation the ring is not accessed again, and takes no more
	 * requests. Any context but NMI.
	 */
	[[nodiscard]] Collected collect(RequestList &done) XPV_EXCLUDES(lock_);

	/*
	 * Stop the ring: take no more requests and responses, and add the requests in
	 * flight to `unfinished`, whose errors mean nothing. The grants of their pages
	 * are revoked; those that the backend still maps are left to retry_revoke().
	 * Any context but NMI.
	 */
	void end(RequestList &unfinished) XPV_EXCLUDES(lock_);
	/*
	 * Retry, after end(), to revoke grants that were still mapped. Returns how
	 * many pages of requests the backend still maps. Any context but NMI.
	 */
	[[nodiscard]] unsigned int retry_revoke() XPV_EXCLUDES(lock_);
	/* Move out the shared page, after end(). The backend may map it for longer. It holds no requests. */
	[[nodiscard]] GrantedPage take_page() { return std::move(page_); }

private:
	using Shared = FrontRing<blkif_sring, blkif_request, blkif_response>;
	/*
	 * Our copy of a slot's request. The shared copy is never read back, because the
	 * backend can write to it. Each slot in use has exactly one request in the ring
	 * whose response was not taken yet.
	 */
	struct Shadow {
		xpv_block_request *request;
		/* Circular list of one request's slots in flight. */
		unsigned int next, previous;
		int error; /* of the slots whose response has arrived */
		bool flush_afterwards;
		blkif_request wire;
	};

	[[nodiscard]] Flush flush_locked() const XPV_REQUIRES(lock_)
	{
		return flush_withdrawn_ ? Flush::none : features_.flush;
	}
	[[nodiscard]] uint8_t operation_locked(xpv_block_operation operation) const XPV_REQUIRES(lock_);
	[[nodiscard]] xpv_block_submit_result queue_locked(xpv_block_request &request) XPV_REQUIRES(lock_);
	[[nodiscard]] Status grant_locked(Shadow &shadow, const xpv_block_segment *segments, unsigned int count)
		XPV_REQUIRES(lock_);
	void cancel_locked(unsigned int first) XPV_REQUIRES(lock_);
	[[nodiscard]] bool push_locked() XPV_REQUIRES(lock_);

	[[nodiscard]] Violation collect_locked(RequestList &done, Collected &collected) XPV_REQUIRES(lock_);
	[[nodiscard]] Violation check_locked(const blkif_response &response) const XPV_REQUIRES(lock_);
	[[nodiscard]] int take_status_locked(const Shadow &shadow, int status) XPV_REQUIRES(lock_);
	[[nodiscard]] bool refused_as_unsupported_locked(const Shadow &shadow, int status, bool first_empty_barrier) const
		XPV_REQUIRES(lock_);
	[[nodiscard]] unsigned int revoke_locked(const Shadow &shadow, Gref *still_mapped) XPV_REQUIRES(lock_);
	void link_locked(unsigned int id, unsigned int first) XPV_REQUIRES(lock_);
	[[nodiscard]] bool finish_slot_locked(unsigned int id, int error, RequestList &done) XPV_REQUIRES(lock_);
	void flush_afterwards_locked(Shadow &shadow) XPV_REQUIRES(lock_);

	/* Owns memory and references until make() has allocated the ring. */
	struct Parts {
		GrantedPage page;
		Shared shared;
		GrantPool pool;
		Slots<Shadow> slots;
		StillMapped still_mapped;
	};

public:
	/* Only for make(), which does the part that can fail. */
	Ring(const Parameters &parameters, Parts &&parts);

private:
	const Parameters parameters_;
	const unsigned int slot_count_;
	const uint32_t restores_; /* xpv_restore_count() at creation */
	GrantedPage page_;

	/* Taken after the queue's poll_lock_; gnttab's locks are taken inside it. */
	Spinlock lock_{ "xpv blkfront ring"_lock };
	Features features_ XPV_GUARDED_BY(lock_);
	Shared shared_ XPV_GUARDED_BY(lock_);
	GrantPool pool_ XPV_GUARDED_BY(lock_);
	Slots<Shadow> slots_ XPV_GUARDED_BY(lock_);
	StillMapped still_mapped_ XPV_GUARDED_BY(lock_);
	unsigned int in_flight_ XPV_GUARDED_BY(lock_) = 0; /* requests */
	bool open_ XPV_GUARDED_BY(lock_) = true;
	bool unpushed_ XPV_GUARDED_BY(lock_) = false;
	bool flush_withdrawn_ XPV_GUARDED_BY(lock_) = false; /* the backend refused a flush as not supported */
	bool empty_barrier_answered_ XPV_GUARDED_BY(lock_) = false;
};

} // namespace xpv
