/* SPDX-License-Identifier: GPL-2.0-only */
/* Tasks that wait until a condition holds, and are woken to evaluate it. */
#pragma once

#include <concepts>

#include "lib/deadline.hh"
#include "lib/lock_class.hh"
#include "lib/shim.h"

/* What the shim passes to a condition; each wait derives its own from it. */
struct xpv_wait_context {};

namespace xpv {

class WaitQueue {
public:
	/* In static storage: init() before the first use. */
	WaitQueue() = default;
	explicit WaitQueue(LockClass lock_class) { init(lock_class); }
	WaitQueue(const WaitQueue &) = delete;
	WaitQueue &operator=(const WaitQueue &) = delete;

	void init(LockClass lock_class) { xpv_wait_queue_init(&queue_, lock_class.name, lock_class.object); }

	/* Wake all waiting tasks, which then test their conditions. Any context. */
	void wake_all() { xpv_wake_up_all(&queue_); }

	/*
	 * Sleep until condition() holds, at most `milliseconds`; return whether it
	 * holds. Sleeping context. The condition is called with no lock of the
	 * queue held, must not sleep, and may take spinlocks.
	 */
	template <std::predicate Condition>
	bool wait_ms(unsigned int milliseconds, Condition condition)
	{
		Waiting<Condition> waiting(condition);
		return xpv_wait_event(&queue_, &Waiting<Condition>::holds, &waiting, milliseconds);
	}

	/* The same until the deadline. */
	template <std::predicate Condition>
	bool wait_until(Deadline deadline, Condition condition)
	{
		return wait_ms(deadline.left_ms(), condition);
	}

private:
	template <typename Condition>
	struct Waiting : xpv_wait_context {
		explicit Waiting(Condition &made) : condition(made) {}
		static bool holds(xpv_wait_context *context) { return static_cast<Waiting *>(context)->condition(); }
		Condition &condition;
	};

	xpv_wait_queue queue_;
};

} // namespace xpv
