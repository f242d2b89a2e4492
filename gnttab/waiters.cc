// SPDX-License-Identifier: GPL-2.0-only
#include "gnttab/waiters.hh"

#include "gnttab/table.hh"

namespace xpv {

namespace {

constinit xpv_lock_class calling_class = {};
constinit xpv_lock_class lock_class = {};
constinit xpv_lock_class work_class = {};

} // namespace

void Waiters::init()
{
	calling_.init("xpv_gnttab_calling", calling_class);
	lock_.init("xpv_gnttab_waiters", lock_class);
	xpv_work_init(&work_, run, reinterpret_cast<xpv_work_context *>(this), "xpv_gnttab_waiters", &work_class);
	ready_ = true;
}

void Waiters::stop()
{
	if (ready_)
		xpv_work_cancel(&work_);
}

/* ---- The list, first come first called ---- */

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

/* ---- Coming and going ---- */

Status Waiters::add(xpv_grant_waiter &waiter, unsigned int wanted)
{
	{
		SpinGuard guard(lock_);
		if (waiter.waiting)
			return Error(XEN_EBUSY);
		waiter.wanted = wanted;
		push_locked(waiter);
		newcomers_ = true;
	}
	xpv_work_schedule(&work_, 0);
	return {};
}

void Waiters::look_again()
{
	{
		SpinGuard guard(lock_);
		newcomers_ = first_ != nullptr;
	}
	xpv_work_schedule(&work_, 0);
}

void Waiters::cancel(xpv_grant_waiter &waiter)
{
	/* No function runs now; and one that ran may have made its waiter wait again. */
	MutexGuard calling(calling_);
	SpinGuard guard(lock_);
	if (waiter.waiting)
		unlink_locked(waiter);
}

/* ---- Calling ---- */

void Waiters::run(xpv_work_context *context)
{
	reinterpret_cast<Waiters *>(context)->call_satisfied();
}

void Waiters::call_satisfied()
{
	MutexGuard calling(calling_);
	bool newcomers;
	unsigned int most = 0, turns;
	{
		SpinGuard guard(lock_);
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
	/* A function that waits again at once has its turn in the next run, and so cannot keep this one. */
	while (turns-- != 0) {
		unsigned int free = table_.shared_free();
		xpv_grant_waiter *waiter;
		{
			SpinGuard guard(lock_);
			waiter = pop_satisfied_locked(free);
		}
		if (!waiter)
			break;
		waiter->function(waiter);
	}
}

} // namespace xpv
