/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * References that the other end still maps, with the pages behind them. They
 * wait here until it lets go; nothing tells us when, so they are retried.
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

/* What is to be freed when the last reference of a set is revoked. */
struct ParkedPages {
	void *pages = nullptr; /* an allocation of 2^order pages, */
	unsigned int order = 0;
	/* or, where pages is null, one get_page() on the frame behind each reference. */
};

class Parking {
public:
	explicit Parking(Table &table) : table_(table) {}
	Parking(const Parking &) = delete;
	Parking &operator=(const Parking &) = delete;

	/* Only when nothing is parked. Sleeping context. */
	void stop() { work_.cancel(); }

	/*
	 * Without memory for it, references and pages are lost, and counted so.
	 * With nothing in `pages` the frames get their get_page() here. Any
	 * context but NMI.
	 */
	void park(const Gref *references, unsigned int count, ParkedPages pages);

	/* Look at all of them again, soon. Any context. */
	void retry_soon();

	/* References that wait. Any context. */
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

	Spinlock lock_{ "xpv_gnttab_parking"_lock };
	List<Set> sets_ XPV_GUARDED_BY(lock_);
	uint64_t next_retry_ms_ XPV_GUARDED_BY(lock_) = none; /* when the work runs next */
	/* Somebody's memory depends on us: the module stays loaded. */
	bool holds_module_ XPV_GUARDED_BY(lock_) = false;
	unsigned int count_ = 0;
	/* A disk that reconnects may wait for what is parked. */
	Work<&Parking::retry_all> work_{ *this, XPV_WORK_RECOVERY, "xpv_gnttab_parking_work"_lock };
};

} // namespace xpv
