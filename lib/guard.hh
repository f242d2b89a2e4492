/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's locks, held for as long as a guard lives.
 *
 *	Mutex mutex_{ "xpv device"_lock };
 *	State state_ XPV_GUARDED_BY(mutex_);
 *
 * A lock in static storage, where no constructor runs, is defined without an
 * initializer, and its owner calls init("xpv bus"_lock) before the first use.
 */
#pragma once

#include "lib/lock_class.hh"
#include "lib/shim.h"
#include "lib/thread_safety.hh"

namespace xpv {

/* A spinlock taken with irqs off. Any context, but not in hard irqs of a PREEMPT_RT kernel, where it sleeps. */
class XPV_CAPABILITY("spinlock") Spinlock {
public:
	Spinlock() = default;
	explicit Spinlock(LockClass lock_class) { init(lock_class); }
	Spinlock(const Spinlock &) = delete;
	Spinlock &operator=(const Spinlock &) = delete;

	void init(LockClass lock_class) { xpv_spinlock_init(&lock_, lock_class.name, lock_class.object); }

private:
	friend class SpinGuard;
	xpv_spinlock lock_;
};

class [[nodiscard]] XPV_SCOPED_CAPABILITY SpinGuard {
public:
	explicit SpinGuard(Spinlock &lock) XPV_ACQUIRE(lock)
	    : lock_(lock), flags_(xpv_spinlock_lock_irqsave(&lock.lock_))
	{
	}
	~SpinGuard() XPV_RELEASE() { xpv_spinlock_unlock_irqrestore(&lock_.lock_, flags_); }
	SpinGuard(const SpinGuard &) = delete;
	SpinGuard &operator=(const SpinGuard &) = delete;

private:
	Spinlock &lock_;
	unsigned long flags_;
};

/*
 * A spinlock that spins on PREEMPT_RT too: for locks that the event upcall and
 * irq chip callbacks take. Any context. Do not allocate or free memory with it
 * held, and do not take a Spinlock.
 */
class XPV_CAPABILITY("raw spinlock") RawSpinlock {
public:
	RawSpinlock() = default;
	explicit RawSpinlock(LockClass lock_class) { init(lock_class); }
	RawSpinlock(const RawSpinlock &) = delete;
	RawSpinlock &operator=(const RawSpinlock &) = delete;

	void init(LockClass lock_class) { xpv_raw_spinlock_init(&lock_, lock_class.name, lock_class.object); }

private:
	friend class RawSpinGuard;
	xpv_raw_spinlock lock_;
};

class [[nodiscard]] XPV_SCOPED_CAPABILITY RawSpinGuard {
public:
	explicit RawSpinGuard(RawSpinlock &lock) XPV_ACQUIRE(lock)
	    : lock_(lock), flags_(xpv_raw_spinlock_lock_irqsave(&lock.lock_))
	{
	}
	~RawSpinGuard() XPV_RELEASE() { xpv_raw_spinlock_unlock_irqrestore(&lock_.lock_, flags_); }
	RawSpinGuard(const RawSpinGuard &) = delete;
	RawSpinGuard &operator=(const RawSpinGuard &) = delete;

private:
	RawSpinlock &lock_;
	unsigned long flags_;
};

/* For tasks that may sleep. */
class XPV_CAPABILITY("mutex") Mutex {
public:
	constexpr Mutex() = default;
	explicit Mutex(LockClass lock_class) { init(lock_class); }
	Mutex(const Mutex &) = delete;
	Mutex &operator=(const Mutex &) = delete;

	void init(LockClass lock_class) { xpv_mutex_init(&mutex_, lock_class.name, lock_class.object); }
	/* For a mutex that is held from one call of an interface to another, which no guard can span. */
	void lock() XPV_ACQUIRE() XPV_NO_THREAD_SAFETY_ANALYSIS { xpv_mutex_lock(&mutex_); }
	void unlock() XPV_RELEASE() XPV_NO_THREAD_SAFETY_ANALYSIS { xpv_mutex_unlock(&mutex_); }
	/*
	 * Assert that this task holds the mutex; lockdep checks it. For callbacks from
	 * an interface that does not show the lock.
	 */
	void assert_held() const XPV_ASSERT_HELD() { xpv_mutex_assert_held(&mutex_); }

private:
	friend class MutexGuard;
	xpv_mutex mutex_ = {};
};

class [[nodiscard]] XPV_SCOPED_CAPABILITY MutexGuard {
public:
	explicit MutexGuard(Mutex &mutex) XPV_ACQUIRE(mutex) : mutex_(mutex) { xpv_mutex_lock(&mutex_.mutex_); }
	~MutexGuard() XPV_RELEASE() { xpv_mutex_unlock(&mutex_.mutex_); }
	MutexGuard(const MutexGuard &) = delete;
	MutexGuard &operator=(const MutexGuard &) = delete;

private:
	Mutex &mutex_;
};

class [[nodiscard]] IrqsOffGuard {
public:
	IrqsOffGuard() : flags_(xpv_irqs_off()) {}
	~IrqsOffGuard() { xpv_irqs_restore(flags_); }
	IrqsOffGuard(const IrqsOffGuard &) = delete;
	IrqsOffGuard &operator=(const IrqsOffGuard &) = delete;

private:
	unsigned long flags_;
};

/*
 * Keep allocations of this task in the scope from waiting for block I/O: for code
 * that a stopped disk waits for. Sleeping context.
 */
class [[nodiscard]] NoIoScope {
public:
	NoIoScope() : flags_(xpv_noio_begin()) {}
	~NoIoScope() { xpv_noio_end(flags_); }
	NoIoScope(const NoIoScope &) = delete;
	NoIoScope &operator=(const NoIoScope &) = delete;

private:
	unsigned int flags_;
};

/* Run `action` at the end of the scope unless dismissed: cleanup of things that have no destructor. */
template <typename Action>
class [[nodiscard]] OnExit {
public:
	explicit OnExit(Action action) : action_(action) {}
	~OnExit()
	{
		if (armed_)
			action_();
	}
	void dismiss() { armed_ = false; }
	OnExit(const OnExit &) = delete;
	OnExit &operator=(const OnExit &) = delete;

private:
	Action action_;
	bool armed_ = true;
};

} // namespace xpv
