/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The grant table's entries and who has them.
 *
 * A reference is free (on the shared list or in a CPU's magazine), issued
 * singly, in a pool, parked, or lost. The shared list costs no memory: a free
 * entry's flags are zero, which leaves its frame field to us, and there is
 * the next free reference. Magazines spare single grants the list's lock.
 */
#pragma once

#include <cstddef>

#include "gnttab/entry.hh"
#include "gnttab/frames.hh"
#include "gnttab/parking.hh"
#include "lib/guard.hh"
#include "lib/memory.hh"

struct xpv_grant_pool;

namespace xpv {

class Table {
public:
	/* Sleeping context. */
	[[nodiscard]] static Result<Owned<Table>> make();
	Table() = default;
	~Table();
	Table(const Table &) = delete;
	Table &operator=(const Table &) = delete;

	/* Null for a number that can be no reference of ours. Any context. */
	[[nodiscard]] grant_entry_v1 *entry(Gref reference) const
	{
		if (reference.value < GNTTAB_NR_RESERVED_ENTRIES || reference.value >= read_once(entry_count_))
			return nullptr;
		return &frames_.entries()[reference.value];
	}
	/* For references that came from take() or take_many(). */
	[[nodiscard]] grant_entry_v1 &own_entry(Gref reference) const { return frames_.entries()[reference.value]; }

	/* One free reference. ENOSPC. Any context but NMI. */
	[[nodiscard]] Result<Gref> take();
	/* Back to the free ones: its entry's flags are zero. Any context but NMI. */
	void give_back(Gref reference);

	/* `count` free references, or none and an error: ENOSPC. Grows the table. Sleeping context. */
	[[nodiscard]] Status take_many(Gref *references, unsigned int count);
	void give_back_many(const Gref *references, unsigned int count);

	[[nodiscard]] Parking &parking() { return parking_; }

	/* References set aside in pools, and gone for good. Any context. */
	void pooled(int change) { fetch_add(pooled_, change); }
	void lost(unsigned int count) { fetch_add(lost_, static_cast<int>(count)); }

	[[nodiscard]] xpv_grant_counts counts() const;

private:
	/* Two cache lines for each CPU. Touched by that CPU alone, with irqs off. */
	struct alignas(64) Magazine {
		static constexpr unsigned int capacity = 31;
		static constexpr unsigned int batch = 16;

		uint32_t count;
		uint32_t references[capacity];
	};

	static constexpr uint32_t end_of_list = 0; /* a reserved entry */
	/* So few on the shared list that the table should grow before they are gone. */
	static constexpr unsigned int low_mark = 64;

	[[nodiscard]] Status init();
	[[nodiscard]] Magazine &magazine() { return magazines_[xpv_cpu_this()]; }
	[[nodiscard]] Status grow();
	static void grow_ahead(xpv_work_context *context);
	void grow_ahead_if_low(unsigned int free);
	[[nodiscard]] uint32_t pop_locked();
	void push_locked(uint32_t reference);
	void clean();

	TableFrames frames_;
	/* frames_.count() for those who do not hold grow_mutex_. */
	uint32_t entry_count_ = 0;
	unsigned int cpus_ = 0;
	Magazine *magazines_ = nullptr;
	void *magazine_memory_ = nullptr;

	Mutex grow_mutex_; /* taken before list_lock_ */
	xpv_work grow_work_;
	bool grow_work_ready_ = false;

	Spinlock list_lock_; /* first_free_ and free_ and the links; innermost */
	uint32_t first_free_ = end_of_list;
	uint32_t free_ = 0;

	int pooled_ = 0;
	int lost_ = 0;
	Parking parking_{ *this };
};

/* The one table there is; null before load and after unload. */
extern constinit Table *the_table;

} // namespace xpv
