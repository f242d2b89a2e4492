/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The grant table's entries and their owners.
 *
 * A reference is free (on the shared list or in a CPU's magazine), issued
 * singly, in a pool, parked, or lost. The shared list needs no memory: Xen
 * ignores the frame field of an idle entry, and it holds the next free
 * reference. Magazines keep single grants off the list's lock; while there are
 * waiters for references they stay empty.
 */
#pragma once

#include <cstddef>

#include "gnttab/entry.hh"
#include "gnttab/frames.hh"
#include "gnttab/linux.h"
#include "gnttab/parking.hh"
#include "gnttab/waiters.hh"
#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "lib/this_cpu.hh"
#include "lib/wait.hh"
#include "lib/work.hh"

struct xpv_grant_pool;

/* Context of a function that runs on each CPU; callers derive their own from it. */
struct xpv_gnttab_cpu_context {};

/* One CPU's free references, in two cache lines. Accessed by that CPU only, with irqs off. */
struct alignas(64) xpv_gnttab_magazine {
	static constexpr unsigned int capacity = 31;
	static constexpr unsigned int batch = 16;

	uint32_t count;
	uint32_t references[capacity];
};

namespace xpv {

class Table {
public:
	/* Create the table without using Xen. Sleeping context. */
	[[nodiscard]] static Result<Owned<Table>> make();
	/* Start using Xen's table; restore() may be called at any time from now on. Sleeping context. */
	[[nodiscard]] Status start();
	Table() = default;
	~Table();
	Table(const Table &) = delete;
	Table &operator=(const Table &) = delete;

	[[nodiscard]] const Entries &entries() const { return frames_.entries(); }
	[[nodiscard]] unsigned int version() const { return frames_.version(); }
	/*
	 * Return false for a number that cannot be a reference of ours, and for
	 * a reference whose entry a restore did not bring back. Any context.
	 */
	[[nodiscard]] bool has(Gref reference) const
	{
		return reference.value >= GNTTAB_NR_RESERVED_ENTRIES && reference.value < read_once(entry_count_);
	}
	/* Revoke a reference, whatever its number. Any context. */
	[[nodiscard]] Revocation revoke(Gref reference) const
	{
		if (!has(reference))
			return reference.value < read_once(lost_end_) ? Revocation::no_entry : Revocation::nothing_granted;
		Revocation revoked = entries().visit([&](auto entries) { return entries.revoke(reference); });
		if (revoked == Revocation::nothing_granted && entries().take_withdrawn(reference.value))
			return Revocation::done;
		return revoked;
	}

	/* Stop the table from growing, until settle(). Sleeping context. */
	void prepare();
	/* Record which references are on the shared list. On the only CPU that runs, without locks. */
	void save_free_list() XPV_NO_THREAD_SAFETY_ANALYSIS;
	/* Map the frames of a new domain and rebuild the free lists. On the only CPU that runs, without locks. */
	[[nodiscard]] Status restore() XPV_NO_THREAD_SAFETY_ANALYSIS;
	/* Let the table grow again; retry waiters and parked references. Sleeping context. */
	void settle();

	/*
	 * Take `count` free references, all or nothing: ENOSPC, as
	 * xpv_grant_page(). Context as `how` says, never NMI.
	 */
	[[nodiscard]] Status take(Gref *references, unsigned int count, xpv_allocation how)
	{
		{
			RawIrqsOffGuard irqs_off;
			Magazine &mine = magazine();
			if (mine.count >= count) [[likely]] {
				for (unsigned int i = 0; i < count; i++)
					references[i] = Gref{ mine.references[--mine.count] };
				return {};
			}
		}
		return take_slowly(references, count, how);
	}
	/* Give a reference back, with its entry idle. Any context but NMI. */
	void give_back(Gref reference)
	{
		{
			RawIrqsOffGuard irqs_off;
			Magazine &mine = magazine();
			if (mine.count < Magazine::capacity && !waiters_.any()) [[likely]] {
				mine.references[mine.count++] = reference.value;
				return;
			}
		}
		give_back_slowly(reference);
	}

	/*
	 * Take `count` references for a long-term owner: bypass the magazines,
	 * and grow the table at once. Sleeping context.
	 */
	[[nodiscard]] Status take_many(Gref *references, unsigned int count);
	/* Give references back to the shared list, bypassing the magazines. Any context but NMI. */
	void give_back_many(const Gref *references, unsigned int count);

	/*
	 * Queue a waiter. ENOSPC: more than the table can ever hold. EBUSY: it
	 * is already queued. Any context but NMI.
	 */
	[[nodiscard]] Status wait(xpv_grant_waiter &waiter, unsigned int wanted);
	[[nodiscard]] Waiters &waiters() { return waiters_; }
	/* For the waiters: move the free references of all magazines to the shared list. Sleeping context. */
	void empty_magazines();
	/* Grow the table until `wanted` references are on the shared list, or to its maximum. Sleeping context. */
	void grow_for(unsigned int wanted);
	/* Return the number of references on the shared list. */
	[[nodiscard]] unsigned int shared_free();

	[[nodiscard]] Parking &parking() { return parking_; }

	/* Add a pool to those that restore() and debugfs walk. Any context. */
	void add(xpv_grant_pool &pool);
	/* Remove a pool from them. Any context. */
	void remove(xpv_grant_pool &pool);
	/* Describe pool number `index`; return false if there is no such pool. Any context. */
	[[nodiscard]] bool describe_pool(unsigned int index, xpv_gnttab_pool_line &line);

	/* Add `change` to the number of references in pools. Any context. */
	void pooled(int change) { fetch_add(pooled_, change); }
	/* Count references that are leaked. Any context. */
	void lost(unsigned int count) { fetch_add(lost_, static_cast<int>(count)); }

	[[nodiscard]] xpv_grant_counts counts() const;

private:
	using Magazine = xpv_gnttab_magazine;

	static constexpr uint32_t end_of_list = 0; /* a reserved entry */
	/* Grow the table ahead of need when the shared list has fewer references than this. */
	static constexpr unsigned int low_mark = 64;

	[[nodiscard]] Status init();
	/* Return this CPU's magazine. Irqs off. */
	[[nodiscard]] Magazine &magazine()
	{
#ifdef __KERNEL__
		return *this_cpu_read(xpv_gnttab_magazine_of_cpu);
#else
		return magazines_[xpv_cpu_this()];
#endif
	}
	[[nodiscard]] Status take_slowly(Gref *references, unsigned int count, xpv_allocation how);
	void give_back_slowly(Gref reference);
	[[nodiscard]] unsigned int most_entries() const
	{
		return frames_.limit() * frames_.entries_per_frame();
	}
	[[nodiscard]] Status start_growing() XPV_REQUIRES(grow_mutex_);
	[[nodiscard]] Status grow() XPV_REQUIRES(grow_mutex_);
	[[nodiscard]] Status grow_to(unsigned int wanted) XPV_REQUIRES(grow_mutex_);
	void wait_until_settled();
	[[nodiscard]] bool was_free(uint32_t reference) const
	{
		return test_bit(reference, free_bits_.data());
	}
	void grow_ahead();
	void grow_ahead_if_low(unsigned int free);
	[[nodiscard]] Status take_from_list(Magazine &mine, Gref *references, unsigned int count);
	[[nodiscard]] Status take_many_growing(Gref *references, unsigned int count) XPV_REQUIRES(grow_mutex_);
	[[nodiscard]] bool take_from_shared(Gref *references, unsigned int count);
	void refused(unsigned int count);
	void empty_magazine();
	[[nodiscard]] uint32_t pop_locked() XPV_REQUIRES(list_lock_);
	void push_locked(uint32_t reference) XPV_REQUIRES(list_lock_);
	void clean();

	TableFrames frames_;
	/* The number of entries in the frames, for readers that do not hold grow_mutex_. */
	uint32_t entry_count_ = 0;
	uint32_t lost_end_ = 0; /* the largest entry_count_ before a restore reduced it */
	Array<unsigned long> free_bits_; /* one bit per reference: on the shared list when the domain was suspended */
	bool suspending_ = false; /* written with grow_mutex_ held */
	WaitQueue settled_{ "xpv gnttab settled"_lock };
	unsigned int cpus_ = 0;
	Magazine *magazines_ = nullptr;
	Array<char> magazine_memory_;

	Mutex grow_mutex_{ "xpv gnttab grow"_lock }; /* taken before list_lock_ */
	unsigned int wanted_ = 0; /* the largest request that was refused since the table grew */

	/*
	 * Innermost lock; also guards the links in the entries. Raw, because
	 * the magazines require that it is taken with irqs off.
	 */
	RawSpinlock list_lock_{ "xpv gnttab list"_lock };
	uint32_t first_free_ XPV_GUARDED_BY(list_lock_) = end_of_list;
	uint32_t free_ = 0; /* written with list_lock_ held */

	Spinlock pools_lock_{ "xpv gnttab pools"_lock };
	List<xpv_grant_pool> pools_ XPV_GUARDED_BY(pools_lock_);

	int pooled_ = 0;
	int lost_ = 0;
	Parking parking_{ *this };
	Waiters waiters_{ *this };
	/* For recovery, because a reconnecting disk waits for references. */
	Work<&Table::grow_ahead> grow_work_{ *this, XPV_WORK_RECOVERY, "xpv gnttab grow work"_lock };
};

/* The only table; null before load and after unload. */
extern constinit Table *the_table;

} // namespace xpv
