/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serves control/shutdown and control/sysrq in xenstore: read, validate,
 * acknowledge, act.
 *
 * Requests are read in xenstore's watch thread, and handled there if that is
 * quick. A suspend, a forced shutdown and retries run in a thread of our own:
 * the watch thread must stay free for devices.
 */
#pragma once

#include "lib/guard.hh"
#include "lib/result.hh"
#include "lib/thread.hh"
#include "lib/wait.hh"
#include "suspend/request.hh"
#include "xenbus/store_watch.hh"

namespace xpv {

class Control {
public:
	Control() = default;
	/* Stops, if it was started. */
	~Control() { stop(); }
	Control(const Control &) = delete;
	Control &operator=(const Control &) = delete;

	/* Start serving requests. Sleeping context. */
	[[nodiscard]] Status start();
	/* Stop serving them. Sleeping context. */
	void stop();
	/* See xpv_control_going_down() in linux.h. */
	void going_down();

private:
	/* What the thread has to do next. */
	struct Due {
		enum { nothing, suspend, power_off, reboot, poll } what = nothing;
		unsigned int wait_ms = idle_ms; /* how long there is nothing to do */
		uint64_t suspend_deadline_ms = 0;
	};

	static constexpr unsigned int idle_ms = 10000;
	static constexpr unsigned int first_retry_ms = 1000;
	static constexpr unsigned int retries = 5;

	void poll();
	[[nodiscard]] Status poll_locked() XPV_REQUIRES(mutex_);
	[[nodiscard]] Status acknowledge_locked() XPV_REQUIRES(mutex_);
	/* `begun_ms`: a time before the request was acknowledged. */
	void act_locked(Request request, Answer answer, uint64_t begun_ms) XPV_REQUIRES(mutex_);
	void give_time_locked(Activity activity) XPV_REQUIRES(mutex_);
	[[nodiscard]] Activity activity_locked() const XPV_REQUIRES(mutex_);
	[[nodiscard]] Result<unsigned char> take_key();
	void read_sysrq();

	void run();
	[[nodiscard]] Due due();
	void suspend(uint64_t deadline_ms);
	void wake();

	/* Held while xenstore is accessed; not during a suspend, nor during a forced shutdown. */
	Mutex mutex_{ "xpv control"_lock };
	Activity activity_ XPV_GUARDED_BY(mutex_) = Activity::running;
	/* When user space has run out of time; 0: never. */
	uint64_t deadline_ms_ XPV_GUARDED_BY(mutex_) = 0;
	uint64_t suspend_deadline_ms_ XPV_GUARDED_BY(mutex_) = 0; /* valid while suspending */
	/* When to read the node again, after xenstore failed; 0: no need. */
	uint64_t retry_at_ms_ XPV_GUARDED_BY(mutex_) = 0;
	unsigned int failures_ XPV_GUARDED_BY(mutex_) = 0; /* of reads, in a row */

	bool down_ = false; /* Linux shuts down; set without the mutex, which may be held while waiting for xenstored */
	bool stopping_ = false;
	bool woken_ = false;
	WaitQueue wait_queue_{ "xpv control thread"_lock }; /* our thread waits here */
	Thread<&Control::run> thread_{ *this };
	StoreWatch<&Control::poll> shutdown_watch_{ *this };
	StoreWatch<&Control::read_sysrq> sysrq_watch_{ *this };
};

} // namespace xpv
