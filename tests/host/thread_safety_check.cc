// SPDX-License-Identifier: GPL-2.0-only
/* Code that clang's thread safety analysis accepts, and, with one of the macros, code that it must not accept. */
#include "lib/guard.hh"

namespace {

using namespace xpv;

class Account {
public:
	void deposit(int amount) XPV_EXCLUDES(mutex_)
	{
		MutexGuard guard(mutex_);
		add(amount);
#ifdef LOCKED_TWICE
		MutexGuard again(mutex_);
#endif
	}

	int take_all()
	{
#ifndef UNGUARDED_READ
		MutexGuard guard(mutex_);
#endif
		return balance_;
	}

	void close()
	{
		mutex_.lock();
		balance_ = 0;
#ifndef NEVER_UNLOCKED
		mutex_.unlock();
#endif
#ifdef UNGUARDED_WRITE
		balance_ = 1;
#endif
#ifdef MISSING_LOCK
		add(1);
#endif
	}

	/* A callback. The analysis does not see that the caller holds the lock. */
	void called_back()
	{
#ifndef NOT_ASSERTED
		mutex_.assert_held();
#endif
		add(1);
	}

	void count()
	{
		SpinGuard guard(lock_);
		spins_++;
#ifndef RAW_MISSING_LOCK
		RawSpinGuard raw_guard(raw_lock_);
#endif
		raw_spins_++;
	}

private:
	void add(int amount) XPV_REQUIRES(mutex_)
	{
		balance_ += amount;
	}

	Mutex mutex_{ "check mutex"_lock };
	Spinlock lock_{ "check spinlock"_lock };
	RawSpinlock raw_lock_{ "check raw spinlock"_lock };
	int balance_ XPV_GUARDED_BY(mutex_) = 0;
	unsigned int spins_ XPV_GUARDED_BY(lock_) = 0;
	unsigned int raw_spins_ XPV_GUARDED_BY(raw_lock_) = 0;
};

} // namespace

int thread_safety_check();

int thread_safety_check()
{
	Account account;
	account.deposit(1);
	account.count();
	account.close();
	account.called_back();
	return account.take_all();
}
