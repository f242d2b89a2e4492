/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * References that the other end still maps, with the pages behind them. They
 * stay here until it unmaps them; no event reports that, so they are retried.
 */
#pragma once

#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "lib/shim.h"
#include "lib/work.hh"

namespace xpv {

class Table;

/*
 * The memory to free when the last reference of a set is revoked: an allocation
 * of 2^order pages or, if `pages` is null, one get_page() on the frame behind
 * each reference.
 */
struct ParkedPages {
	void *pages = nullptr;
	unsigned int order = 0;
};

class Parking {
public:
	explicit Parking(Table &table) : table_(table) {}
	Parking(const Parking &) = delete;
	Parking &operator=(const Parking &) = delete;

	/* Stop retrying. Only when nothing is parked. Sleeping context. */
	void stop() { work_.cancel(); }

	/*
	 * Park references and pages; without memory to track them, they are
	 * leaked and counted as lost. If `pages` is empty, the frames get their
	 * get_page() here. Any context but NMI.
	 */
	void park(const Gref *references, unsigned int count, ParkedPages pages);

	/* Retry all of them soon. Any context. */
	void retry_soon();

	/* Return the number of parked references. Any context. */
	[[nodiscard]] unsigned int count() const { return read_once(count_); }

private:
	struct Parked {
		Gref reference;
		Pfn frame;
	};
	struct Set : ListLink<> {
		Array<Parked> entries; /* the first `waiting` are still mapped */
		unsigned int waiting = 0;
		ParkedPages pages;
		unsigned int interval_ms = 0;
		uint64_t due_ms = 0;
	};

	static constexpr unsigned int first_interval_ms = 10;
	static constexpr unsigned int longest_interval_ms = 5000;

	static constexpr uint64_t none = ~uint64_t{ 0 };

	void retry_by_locked(uint64_t due_ms) XPV_REQUIRES(lock_);
	void retry_all();
	void retry(Set &set);

	Table &table_;

	Spinlock lock_{ "xpv gnttab parking"_lock };
	List<Set> sets_ XPV_GUARDED_BY(lock_);
	uint64_t next_retry_ms_ XPV_GUARDED_BY(lock_) = none; /* when the work runs next */
	/* Something is parked, so the module must stay loaded. */
	bool holds_module_ XPV_GUARDED_BY(lock_) = false;
	unsigned int count_ = 0;
	/* For recovery, because a reconnecting disk may wait for parked references. */
	Work<&Parking::retry_all> work_{ *this, XPV_WORK_RECOVERY, "xpv gnttab parking work"_lock };
};

} // namespace xpv
