// SPDX-License-Identifier: GPL-2.0-only
/* Queue waiters in order of arrival; a work item calls those that the free references satisfy. */
#include "gnttab/waiters.hh"

#include "gnttab/table.hh"

namespace xpv {

/* ---- The list, first come first served ---- */

void Waiters::update_least_locked()
{
	unsigned int least = UINT32_MAX;
	for (xpv_grant_waiter *waiter = first_; waiter; waiter = waiter->next) {
		if (waiter->wanted < least)
			least = waiter->wanted;
	}
	write_once(least_, least);
}

void Waiters::push_locked(xpv_grant_waiter &waiter)
{
	xpv_grant_waiter **end = &first_;
	while (*end)
		end = &(*end)->next;
	*end = &waiter;
	waiter.next = nullptr;
	waiter.waiting = true;
	update_least_locked();
	write_once(count_, count_ + 1);
}

void Waiters::unlink_locked(xpv_grant_waiter &waiter)
{
	xpv_grant_waiter **at = &first_;
	while (*at != &waiter)
		at = &(*at)->next;
	*at = waiter.next;
	waiter.waiting = false;
	update_least_locked();
	write_once(count_, count_ - 1);
}

xpv_grant_waiter *Waiters::pop_satisfied_locked(unsigned int free)
{
	for (xpv_grant_waiter *waiter = first_; waiter; waiter = waiter->next) {
		if (waiter->wanted <= free) {
			unlink_locked(*waiter);
			return waiter;
		}
	}
	return nullptr;
}

/* ---- Adding and cancelling ---- */

Status Waiters::add(xpv_grant_waiter &waiter, unsigned int wanted)
{
	{
		RawSpinGuard guard(lock_);
		if (waiter.waiting)
			return Error(XEN_EBUSY);
		waiter.wanted = wanted;
		push_locked(waiter);
		newcomers_ = true;
	}
	work_.schedule();
	return {};
}

void Waiters::look_again()
{
	{
		RawSpinGuard guard(lock_);
		newcomers_ = first_ != nullptr;
	}
	work_.schedule();
}

void Waiters::cancel(xpv_grant_waiter &waiter)
{
	/* With the mutex no function runs; one that ran before may have queued its waiter again. */
	MutexGuard calling(calling_);
	RawSpinGuard guard(lock_);
	if (waiter.waiting)
		unlink_locked(waiter);
}

/* ---- Calling ---- */

void Waiters::call_satisfied()
{
	MutexGuard calling(calling_);
	bool newcomers;
	unsigned int most = 0, turns;
	{
		RawSpinGuard guard(lock_);
		newcomers = newcomers_;
		newcomers_ = false;
		for (xpv_grant_waiter *waiter = first_; waiter; waiter = waiter->next)
			most = waiter->wanted > most ? waiter->wanted : most;
		turns = count_;
	}
	if (newcomers) {
		table_.empty_magazines();
		table_.grow_for(most);
	}
	/* A function that waits again immediately is called in the next run, so that it cannot keep this one busy. */
	while (turns-- != 0) {
		unsigned int free = table_.shared_free();
		xpv_grant_waiter *waiter;
		{
			RawSpinGuard guard(lock_);
			waiter = pop_satisfied_locked(free);
		}
		if (!waiter)
			break;
		waiter->function(waiter);
	}
}

} // namespace xpv
