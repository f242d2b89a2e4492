/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who waits for free references. As long as nobody does, giving one back
 * costs one plain load here.
 *
 * No wake-up is lost without any ordering between that load and the store
 * that gives back: a new waiter first raises the flag, then has each CPU's
 * magazine emptied by that CPU itself. What a CPU gave back before is then on
 * the shared list, and what it gives back later it sees the flag for.
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

	/* Only when nobody waits. Sleeping context. */
	void stop() { work_.cancel(); }

	/* EBUSY when it waits already. Any context but NMI. */
	[[nodiscard]] Status add(xpv_grant_waiter &waiter, unsigned int wanted);
	/* The table can grow again: as if all had just come. Any context but NMI. */
	void look_again();
	/* After this its function does not run. Sleeping context. */
	void cancel(xpv_grant_waiter &waiter);

	/* Whether references must go through the shared list. Any context. */
	[[nodiscard]] bool any() const { return read_once(count_) != 0; }
	[[nodiscard]] unsigned int count() const { return read_once(count_); }
	/* The shared list has grown to `free`. Any context. */
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

	Mutex calling_{ "xpv_gnttab_calling"_lock }; /* while a function runs; taken before lock_ */
	RawSpinlock lock_{ "xpv_gnttab_waiters"_lock }; /* also for the waiters' private parts */
	xpv_grant_waiter *first_ XPV_GUARDED_BY(lock_) = nullptr;
	bool newcomers_ XPV_GUARDED_BY(lock_) = false;
	/* Written with lock_ held. */
	unsigned int count_ = 0;
	unsigned int least_ = 0; /* that any of them wants */
	/* Data paths wait for references. */
	Work<&Waiters::call_satisfied> work_{ *this, XPV_WORK_RECOVERY, "xpv_gnttab_waiters_work"_lock };
};

} // namespace xpv
