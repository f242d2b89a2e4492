/* SPDX-License-Identifier: GPL-2.0-only */
/* A kernel thread that runs a method of an object. */
#pragma once

#include "lib/result.hh"
#include "lib/shim.h"

/* What the shim passes to a thread's function; each thread derives from it. */
struct xpv_thread_context {};

namespace xpv {

/*
 * A member of its owner:
 *
 *	void run();
 *	Thread<&Bus::run> thread_{ *this };
 *
 * The method must return soon after xpv_thread_should_stop(), or a flag of the
 * owner, became true. The owner must wake what the method sleeps on before
 * stop().
 */
template <auto method>
class Thread;

template <typename Owner, void (Owner::*method)()>
class Thread<method> : private xpv_thread_context {
public:
	explicit constexpr Thread(Owner &owner) : owner_(owner) {}
	/* Stop the thread. */
	~Thread() { stop(); }
	Thread(const Thread &) = delete;
	Thread &operator=(const Thread &) = delete;

	/* Start the thread, once; ENOMEM. Sleeping context. */
	[[nodiscard]] Status start(const char *name)
	{
		thread_ = xpv_thread_run(run, this, name);
		return thread_ ? Status() : Error(XEN_ENOMEM);
	}
	[[nodiscard]] bool started() const { return thread_ != nullptr; }
	/*
	 * Ask the thread to end, and wait until the method has returned. Do nothing if
	 * the thread was not started. Sleeping context.
	 */
	void stop()
	{
		if (xpv_thread *thread = std::exchange(thread_, nullptr))
			xpv_thread_stop(thread);
	}

private:
	static void run(xpv_thread_context *context) { (static_cast<Thread *>(context)->owner_.*method)(); }

	Owner &owner_;
	xpv_thread *thread_ = nullptr;
};

} // namespace xpv
