/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's locks, held for as long as a guard lives. */
#pragma once

#include "lib/shim.h"

namespace xpv {

/* A spinlock taken with irqs off; may be taken in any context. */
class Spinlock {
public:
	Spinlock() = default;
	Spinlock(const Spinlock &) = delete;
	Spinlock &operator=(const Spinlock &) = delete;

	void init(const char *name, xpv_lock_class &lock_class) { xpv_spinlock_init(&lock_, name, &lock_class); }

private:
	friend class SpinGuard;
	xpv_spinlock lock_;
};

class [[nodiscard]] SpinGuard {
public:
	explicit SpinGuard(Spinlock &lock) : lock_(lock), flags_(xpv_spinlock_lock_irqsave(&lock.lock_)) {}
	~SpinGuard() { xpv_spinlock_unlock_irqrestore(&lock_.lock_, flags_); }
	SpinGuard(const SpinGuard &) = delete;
	SpinGuard &operator=(const SpinGuard &) = delete;

private:
	Spinlock &lock_;
	unsigned long flags_;
};

/* For tasks that may sleep. */
class Mutex {
public:
	constexpr Mutex() = default;
	Mutex(const Mutex &) = delete;
	Mutex &operator=(const Mutex &) = delete;

	void init(const char *name, xpv_lock_class &lock_class) { xpv_mutex_init(&mutex_, name, &lock_class); }
	/* For what no scope is: held from one call of a contract to another. */
	void lock() { xpv_mutex_lock(&mutex_); }
	void unlock() { xpv_mutex_unlock(&mutex_); }

private:
	friend class MutexGuard;
	xpv_mutex mutex_ = {};
};

class [[nodiscard]] MutexGuard {
public:
	explicit MutexGuard(Mutex &mutex) : mutex_(mutex) { xpv_mutex_lock(&mutex_.mutex_); }
	~MutexGuard() { xpv_mutex_unlock(&mutex_.mutex_); }
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

/* Runs `action` at the end of the scope unless dismissed: unwinding for things that are no objects. */
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
