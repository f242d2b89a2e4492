/* SPDX-License-Identifier: GPL-2.0-only */
/* A deferred call of an object's method, in a work queue's task. */
#pragma once

#include "lib/lock_class.hh"
#include "lib/shim.h"

/* What the shim passes to a work's function; each work derives from it. */
struct xpv_work_context {};

namespace xpv {

/*
 * A member of its owner, declared after all members that the method uses:
 *
 *	void retry();
 *	Work<&Parking::retry> work_{ *this, XPV_WORK_SYSTEM, "xpv gnttab parking"_lock };
 *
 * The method never runs twice at once, and may schedule its work again. The
 * destructor cancels the work. An owner that is freed by its own work, or that
 * has to stop the work before other teardown, calls cancel() itself.
 */
template <auto method>
class Work;

template <typename Owner, void (Owner::*method)()>
class Work<method> : private xpv_work_context {
public:
	Work(Owner &owner, xpv_work_queue queue, LockClass lock_class) : owner_(owner)
	{
		xpv_work_init(&work_, queue, run, this, lock_class.name, lock_class.object);
	}
	/* Sleeping context; not in the method itself. */
	~Work() { cancel(); }
	Work(const Work &) = delete;
	Work &operator=(const Work &) = delete;

	/* Call the method once, `delay_ms` from now or later. A pending call keeps its time. Any context. */
	void schedule(unsigned int delay_ms = 0) { xpv_work_schedule(&work_, delay_ms); }
	/* As schedule(), but move a pending call to `delay_ms` from now. Any context. */
	void reschedule(unsigned int delay_ms = 0) { xpv_work_reschedule(&work_, delay_ms); }
	/*
	 * Cancel a pending call, and wait for one in progress. On return the method
	 * does not run and no call is pending, unless it was scheduled again. Sleeping
	 * context.
	 */
	void cancel() { xpv_work_cancel(&work_); }

private:
	static void run(xpv_work_context *context)
	{
		Owner &owner = static_cast<Work *>(context)->owner_;
		/* Do not use the work after the call: the method may free its owner. */
		(owner.*method)();
	}

	Owner &owner_;
	xpv_work work_;
};

} // namespace xpv
