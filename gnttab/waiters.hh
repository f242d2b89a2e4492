/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The waiters for free references. While there are no waiters, giving a
 * reference back costs one plain load here.
 *
 * No wake-up is lost, although nothing orders that load and the store that
 * gives the reference back: a new waiter first increments the count, then has
 * each CPU empty its own magazine. What a CPU gave back before is then on the
 * shared list, and for what it gives back later it sees the count.
 */
#pragma once

#include "gnttab/gnttab.h"
#include "lib/guard.hh"
#include "lib/ordering.hh"
#include "lib/result.hh"
#include "lib/shim.h"
#include "lib/work.hh"

namespace xpv {

class Table;

class Waiters {
public:
	explicit Waiters(Table &table) : table_(table) {}
	Waiters(const Waiters &) = delete;
	Waiters &operator=(const Waiters &) = delete;

	/* Stop the work. Only when there are no waiters. Sleeping context. */
	void stop() { work_.cancel(); }

	/* Queue a waiter. EBUSY if it is queued already. Any context but NMI. */
	[[nodiscard]] Status add(xpv_grant_waiter &waiter, unsigned int wanted);
	/* Treat all waiters as new ones, because the table can grow again. Any context but NMI. */
	void look_again();
	/* Cancel the wait; on return its function does not run. Sleeping context. */
	void cancel(xpv_grant_waiter &waiter);

	/* Return whether references must go through the shared list. Any context. */
	[[nodiscard]] bool any() const { return read_once(count_) != 0; }
	[[nodiscard]] unsigned int count() const { return read_once(count_); }
	/* Report that the shared list has grown to `free`. Any context. */
	void free_now(unsigned int free)
	{
		if (any() && free >= read_once(least_))
			work_.schedule();
	}

private:
	void call_satisfied();
	void push_locked(xpv_grant_waiter &waiter) XPV_REQUIRES(lock_);
	void unlink_locked(xpv_grant_waiter &waiter) XPV_REQUIRES(lock_);
	[[nodiscard]] xpv_grant_waiter *pop_satisfied_locked(unsigned int free) XPV_REQUIRES(lock_);
	void update_least_locked() XPV_REQUIRES(lock_);

	Table &table_;

	Mutex calling_{ "xpv gnttab calling"_lock }; /* held while a function runs; taken before lock_ */
	RawSpinlock lock_{ "xpv gnttab waiters"_lock }; /* also guards the waiters' private members */
	xpv_grant_waiter *first_ XPV_GUARDED_BY(lock_) = nullptr;
	bool newcomers_ XPV_GUARDED_BY(lock_) = false;
	/* Written with lock_ held. */
	unsigned int count_ = 0;
	unsigned int least_ = 0; /* the smallest number that a waiter wants */
	/* For recovery, because data paths wait for references. */
	Work<&Waiters::call_satisfied> work_{ *this, XPV_WORK_RECOVERY, "xpv gnttab waiters work"_lock };
};

} // namespace xpv
