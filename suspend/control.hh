/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serves control/shutdown and control/sysrq in the store: read, validate,
 * acknowledge, act.
 *
 * Requests are looked at in the store's watch thread, and acted on there
 * where that is quick. A suspend, a forced shutdown, and looking again, are
 * for a thread of our own: the watch thread must stay free for devices.
 */
#pragma once

#include "lib/guard.hh"
#include "lib/result.hh"
#include "suspend/request.hh"
#include "xenbus/store.h"

namespace xpv {

class Control {
public:
	Control();
	/* Stopped, if it was started. */
	~Control() { stop(); }
	Control(const Control &) = delete;
	Control &operator=(const Control &) = delete;

	/* Sleeping context. */
	[[nodiscard]] Status start();
	void stop();
	/* linux.h: xpv_control_going_down(). */
	void going_down();

private:
	/* What the thread has to do next. */
	struct Due {
		enum { nothing, suspend, power_off, reboot, look } what = nothing;
		unsigned int wait_ms = idle_ms; /* until then there is nothing to do */
		std::uint64_t suspend_deadline_ms = 0;
	};

	static constexpr unsigned int idle_ms = 10000;
	static constexpr unsigned int first_retry_ms = 1000;
	static constexpr unsigned int retries = 5;

	void look();
	[[nodiscard]] Status look_locked();
	[[nodiscard]] Status acknowledge_locked();
	/* `begun_ms`: a time before the request was acknowledged. */
	void act_locked(Request request, Answer answer, std::uint64_t begun_ms);
	void give_time_locked(Activity activity);
	[[nodiscard]] Activity activity_locked() const;
	[[nodiscard]] Result<unsigned char> take_key();
	void look_at_sysrq();

	void run();
	[[nodiscard]] Due due();
	void suspend(std::uint64_t deadline_ms);
	void wake();

	/* Held while the store is asked; not during a suspend, nor while Linux goes down. */
	Mutex mutex_;
	Activity activity_ = Activity::running;
	std::uint64_t deadline_ms_ = 0; /* when user space's time is over; 0: never */
	std::uint64_t suspend_deadline_ms_ = 0; /* while suspending */
	std::uint64_t retry_at_ms_ = 0; /* when to look again, after the store failed us; 0: no need */
	unsigned int failures_ = 0; /* of looks, in a row */
	bool down_ = false; /* not under the mutex: Linux goes down */

	xpv_store_watch *shutdown_watch_ = nullptr;
	xpv_store_watch *sysrq_watch_ = nullptr;
	xpv_wait_queue wait_queue_; /* the thread's */
	xpv_thread *thread_ = nullptr;
	bool stopping_ = false;
	bool woken_ = false;
};

} // namespace xpv
