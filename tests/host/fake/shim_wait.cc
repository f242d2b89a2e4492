// SPDX-License-Identifier: GPL-2.0-only
/* lib/shim.h over the virtual clock: what tasks wait for, works and threads. */
#include "lib/shim.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/fake/shim_context.hh"

using namespace fake;

namespace {

std::atomic<std::size_t> threads;

Clock::time_point after(unsigned int milliseconds)
{
	return Clock::now() + std::chrono::milliseconds(milliseconds);
}

/* What the shim's objects hold here, and that they were initialised. All guarded by waiting::lock(). */
template <typename Object, typename Storage>
Object &object_in(Storage *storage)
{
	static_assert(sizeof(Object) <= sizeof(*storage) && alignof(Object) <= alignof(Storage));
	return *reinterpret_cast<Object *>(storage);
}

constexpr std::uint64_t initialised = 0x7869706e2d736869;

void must_be(std::uint64_t mark)
{
	if (mark != initialised)
		misuse("an object is not initialised");
}

/* A zeroed one in static storage is ready: programs need not start the module that it belongs to. */
struct MutexState {
	std::thread::id owner;
};
struct Completion {
	std::uint64_t mark;
	unsigned int done;
};
struct WaitQueue {
	std::uint64_t mark;
	std::uint64_t wakeups;
};

} // namespace

/* ---- Mutexes ---- */

namespace {

std::function<void()> after_next_unlock;

} // namespace

void fake::after_next_mutex(std::function<void()> function)
{
	after_next_unlock = std::move(function);
}

void xpv_mutex_init(xpv_mutex *mutex, const char *, xpv_lock_class *)
{
	object_in<MutexState>(mutex) = {};
}

void xpv_mutex_lock(xpv_mutex *mutex)
{
	must_be_able_to_sleep();
	std::unique_lock guard(waiting::lock());
	auto &state = object_in<MutexState>(mutex);
	if (state.owner == std::this_thread::get_id())
		misuse("mutex taken twice");
	if (state.owner == std::thread::id())
		state.owner = std::this_thread::get_id();
	else
		waiting::wait(guard, mutex, waiting::never); /* unlock makes it ours */
}

void xpv_mutex_unlock(xpv_mutex *mutex)
{
	{
		std::lock_guard guard(waiting::lock());
		auto &state = object_in<MutexState>(mutex);
		if (state.owner != std::this_thread::get_id())
			misuse("mutex was not held");
		/* Handed over, as the kernel's: a thread that locks it in a loop does not starve others. */
		state.owner = waiting::wake_one(mutex);
	}
	if (after_next_unlock)
		std::exchange(after_next_unlock, {})();
}

void xpv_mutex_assert_held(const xpv_mutex *mutex)
{
	std::lock_guard guard(waiting::lock());
	if (object_in<const MutexState>(mutex).owner != std::this_thread::get_id())
		misuse("mutex is not held");
}

/* ---- Waiting ---- */

void xpv_completion_init(xpv_completion *completion)
{
	object_in<Completion>(completion) = { initialised, 0 };
}

static void complete(xpv_completion *completion, unsigned int done)
{
	std::lock_guard guard(waiting::lock());
	auto &state = object_in<Completion>(completion);
	must_be(state.mark);
	state.done = done == UINT_MAX || state.done == UINT_MAX ? UINT_MAX : state.done + done;
	waiting::wake_all(completion);
}

void xpv_complete(xpv_completion *completion)
{
	complete(completion, 1);
}

void xpv_complete_all(xpv_completion *completion)
{
	complete(completion, UINT_MAX);
}

bool xpv_wait_for_completion(xpv_completion *completion, unsigned int milliseconds)
{
	must_be_able_to_sleep();
	Clock::time_point end = after(milliseconds);
	std::unique_lock guard(waiting::lock());
	auto &state = object_in<Completion>(completion);
	must_be(state.mark);
	while (state.done == 0)
		if (!waiting::wait(guard, completion, end))
			break;
	bool done = state.done != 0;
	if (done && state.done != UINT_MAX)
		state.done--;
	return done;
}

void xpv_wait_queue_init(xpv_wait_queue *queue, const char *, xpv_lock_class *)
{
	object_in<WaitQueue>(queue) = { initialised, 0 };
}

void xpv_wake_up_all(xpv_wait_queue *queue)
{
	std::lock_guard guard(waiting::lock());
	auto &state = object_in<WaitQueue>(queue);
	must_be(state.mark);
	state.wakeups++;
	waiting::wake_all(queue);
}

bool xpv_wait_event(xpv_wait_queue *queue, bool (*condition)(xpv_wait_context *), xpv_wait_context *context,
		    unsigned int milliseconds)
{
	must_be_able_to_sleep();
	Clock::time_point end = after(milliseconds);
	std::unique_lock guard(waiting::lock());
	auto &state = object_in<WaitQueue>(queue);
	must_be(state.mark);
	for (bool in_time = true;;) {
		std::uint64_t seen = state.wakeups;
		guard.unlock();
		if (condition(context))
			return true;
		if (!in_time)
			return false;
		guard.lock();
		while (in_time && state.wakeups == seen)
			in_time = waiting::wait(guard, queue, end);
	}
}

void xpv_sleep_ms(unsigned int milliseconds)
{
	must_be_able_to_sleep();
	sleep_for(std::chrono::milliseconds(std::max(milliseconds, 1u)));
}

uint64_t xpv_now_ms(void)
{
	auto now = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch());
	return static_cast<uint64_t>(now.count());
}

/* ---- Works: each run in a thread of its own, so that works overlap as they do in the kernel ---- */

namespace {

struct WorkState {
	bool pending = false;
	bool running = false;
	bool due = false; /* pending, and to run as soon as it does not */
	bool queued = false; /* due, but there is no worker for it */
};

/* Works that are pending or running. Never destroyed: works outlive main(). */
std::map<xpv_work *, WorkState> &works()
{
	static auto *made = new std::map<xpv_work *, WorkState>;
	return *made;
}

/* only_rescuers(): works that wait for a worker, in order; and the works of each queue that run in its rescuer. */
std::vector<xpv_work *> &waiting_works()
{
	static auto *made = new std::vector<xpv_work *>;
	return *made;
}
bool no_new_workers;
std::map<xpv_work_queue, xpv_work *> rescued;

bool has_rescuer(const xpv_work &work)
{
	return work.queue == XPV_WORK_RECOVERY || work.queue == XPV_WORK_WATCHDOG;
}

bool has_worker(const xpv_work &work)
{
	return !no_new_workers || (has_rescuer(work) && !rescued.contains(work.queue));
}

void run_work(xpv_work *work);

void start_work(void *object)
{
	auto *work = static_cast<xpv_work *>(object);
	WorkState &state = works()[work];
	state.due = state.running;
	if (state.running)
		return;
	if (!has_worker(*work)) {
		state.queued = true;
		waiting_works().push_back(work);
		return;
	}
	if (no_new_workers)
		rescued[work->queue] = work;
	state.pending = state.queued = false;
	state.running = true;
	waiting::start([work] { run_work(work); }).detach();
}

void start_waiting_works()
{
	for (xpv_work *work : std::exchange(waiting_works(), {}))
		start_work(work);
}

void run_work(xpv_work *work)
{
	/* The work may be freed by its function. */
	xpv_work_queue queue = work->queue;
	work->function(work->context);
	std::lock_guard guard(waiting::lock());
	WorkState &state = works()[work];
	state.running = false;
	if (auto found = rescued.find(queue); found != rescued.end() && found->second == work)
		rescued.erase(found);
	if (state.due)
		start_work(work);
	else if (!state.pending)
		works().erase(work);
	start_waiting_works();
	waiting::wake_all(&works());
}

void schedule(xpv_work *work, unsigned int delay_ms, bool move)
{
	Clock::time_point at = after(delay_ms);
	std::lock_guard guard(waiting::lock());
	WorkState &state = works()[work];
	if (state.pending && !move)
		return;
	if (state.pending)
		waiting::remove_timer(work);
	if (state.queued)
		std::erase(waiting_works(), work);
	state.queued = false;
	state.pending = true;
	state.due = false;
	if (delay_ms)
		waiting::set_timer(at, start_work, work);
	else
		start_work(work);
}

} // namespace

void xpv_work_init(xpv_work *work, xpv_work_queue queue, void (*function)(xpv_work_context *),
		   xpv_work_context *context, const char *, xpv_lock_class *)
{
	work->queue = queue;
	work->function = function;
	work->context = context;
}

void xpv_work_schedule(xpv_work *work, unsigned int delay_ms)
{
	schedule(work, delay_ms, false);
}

void xpv_work_reschedule(xpv_work *work, unsigned int delay_ms)
{
	schedule(work, delay_ms, true);
}

void xpv_work_cancel(xpv_work *work)
{
	must_be_able_to_sleep();
	std::unique_lock guard(waiting::lock());
	for (;;) {
		auto found = works().find(work);
		if (found == works().end())
			return;
		waiting::remove_timer(work);
		if (found->second.queued)
			std::erase(waiting_works(), work);
		found->second.pending = found->second.due = found->second.queued = false;
		if (!found->second.running) {
			works().erase(found);
			waiting::wake_all(&works());
			return;
		}
		waiting::wait(guard, &works(), waiting::never);
	}
}

/* ---- Threads ---- */

struct xpv_thread {
	std::atomic<bool> should_stop = false;
	Thread thread;
};

static thread_local xpv_thread *this_thread;

xpv_thread *xpv_thread_run(void (*function)(xpv_thread_context *), xpv_thread_context *context, const char *)
{
	must_be_able_to_sleep();
	auto *made = new xpv_thread;
	threads++;
	made->thread = Thread([=] {
		this_thread = made;
		function(context);
	});
	return made;
}

bool xpv_thread_should_stop(void)
{
	return this_thread && this_thread->should_stop;
}

void xpv_thread_stop(xpv_thread *thread)
{
	must_be_able_to_sleep();
	thread->should_stop = true;
	thread->thread.join();
	threads--;
	delete thread;
}

/* ---- For tests ---- */

namespace fake {

std::size_t live_threads()
{
	return threads;
}

void only_rescuers(bool only)
{
	std::lock_guard guard(waiting::lock());
	no_new_workers = only;
	rescued.clear();
	start_waiting_works();
}

bool wait_for_work(unsigned int milliseconds)
{
	Clock::time_point end = after(milliseconds);
	std::unique_lock guard(waiting::lock());
	while (!works().empty())
		if (!waiting::wait(guard, &works(), end))
			return works().empty();
	return true;
}

} // namespace fake
