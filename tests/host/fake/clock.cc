// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every thread that takes part is counted while it runs. A waker counts the
 * thread that it wakes as running, not that thread itself when it gets to it:
 * so the count is never too low, and the clock never moves too early.
 */
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/spinning.hh"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

namespace fake {

namespace {

struct Participant {
	Participant();
	~Participant();

	std::condition_variable resumed;
	const std::thread::id thread = std::this_thread::get_id();
	const void *reason = nullptr;
	bool waits = false;
	bool timed_out = false;
};

struct Timer {
	void (*action)(void *object);
	void *object;
};

/* Never destroyed: threads outlive main(). */
struct World {
	std::mutex mutex;
	Clock::time_point now{ std::chrono::hours(1) };
	unsigned int running = 0;
	std::vector<Participant *> waiting;
	std::vector<Participant *> settling;
	std::multimap<Clock::time_point, Timer> timers;
	bool ended = false;
};

World &world()
{
	static World *made = new World;
	return *made;
}

/* Whoever started this thread has counted it. */
thread_local bool counted;
thread_local Participant self;

void resume(Participant &participant, bool timed_out)
{
	participant.waits = false;
	participant.timed_out = timed_out;
	world().running++;
	participant.resumed.notify_one();
}

void end_wait(void *object)
{
	auto *participant = static_cast<Participant *>(object);
	std::erase(world().waiting, participant);
	resume(*participant, true);
}

/* What is due by now. */
void fire_timers()
{
	World &all = world();
	while (!all.timers.empty() && all.timers.begin()->first <= all.now) {
		Timer timer = all.timers.begin()->second;
		all.timers.erase(all.timers.begin());
		timer.action(timer.object);
	}
}

/* Nothing runs: let something run again. */
void move_on()
{
	World &all = world();
	while (all.running == 0 && !all.ended) {
		if (!all.settling.empty()) {
			for (Participant *participant : std::exchange(all.settling, {}))
				resume(*participant, false);
			return;
		}
		if (all.timers.empty()) {
			std::fputs("fake clock: all threads wait, and nothing is to come\n", stderr);
			std::abort();
		}
		all.now = std::max(all.now, all.timers.begin()->first);
		fire_timers();
	}
}

/* Until resumed; counted as waiting. */
void stand_still(std::unique_lock<std::mutex> &guard, Participant &participant)
{
	participant.waits = true;
	world().running--;
	move_on();
	participant.resumed.wait(guard, [&] { return !participant.waits; });
}

Participant::Participant()
{
	if (counted)
		return;
	/* A thread that was started by other means takes part from now on. */
	World &all = world();
	std::lock_guard guard(all.mutex);
	all.running++;
}

Participant::~Participant()
{
	World &all = world();
	std::lock_guard guard(all.mutex);
	all.running--;
	/* At the program's end those that still wait go on waiting. */
	if (gettid() == getpid())
		all.ended = true;
	move_on();
}

} // namespace

Clock::time_point Clock::now()
{
	std::lock_guard guard(world().mutex);
	return world().now;
}

void sleep_for(Clock::duration duration)
{
	std::unique_lock guard(waiting::lock());
	Participant &me = self;
	waiting::wait(guard, &me, world().now + std::max(duration, Clock::duration(1)));
}

void settle()
{
	std::unique_lock guard(waiting::lock());
	world().settling.push_back(&self);
	stand_still(guard, self);
}

void pass(Clock::duration duration)
{
	std::lock_guard guard(waiting::lock());
	world().now += duration;
	fire_timers();
}

void advance(Clock::duration duration)
{
	sleep_for(duration);
	settle();
}

namespace waiting {

std::mutex &lock()
{
	/* The thread takes part before it waits for anything, and before it holds the lock. */
	self.reason = nullptr;
	return world().mutex;
}

bool wait(std::unique_lock<std::mutex> &guard, const void *reason, Clock::time_point end)
{
	World &all = world();
	if (end <= all.now)
		return false;
	self.reason = reason;
	all.waiting.push_back(&self);
	if (end != never)
		all.timers.emplace(end, Timer{ end_wait, &self });
	stand_still(guard, self);
	if (end != never && !self.timed_out)
		remove_timer(&self);
	return !self.timed_out;
}

std::thread::id wake_one(const void *reason)
{
	auto &all = world().waiting;
	auto found = std::find_if(all.begin(), all.end(), [&](const auto *one) { return one->reason == reason; });
	if (found == all.end())
		return {};
	Participant *participant = *found;
	all.erase(found);
	resume(*participant, false);
	return participant->thread;
}

void wake_all(const void *reason)
{
	while (wake_one(reason) != std::thread::id())
		;
}

std::thread start(std::function<void()> function)
{
	world().running++;
	return std::thread([function = std::move(function)] {
		counted = true;
		self.reason = nullptr;
		function();
	});
}

void set_timer(Clock::time_point at, void (*action)(void *object), void *object)
{
	world().timers.emplace(at, Timer{ action, object });
}

void remove_timer(void *object)
{
	std::erase_if(world().timers, [&](const auto &timer) { return timer.second.object == object; });
}

} // namespace waiting

void Mutex::lock()
{
	std::unique_lock guard(waiting::lock());
	if (owner_ == std::thread::id())
		owner_ = std::this_thread::get_id();
	else
		waiting::wait(guard, this, waiting::never); /* unlock() makes it ours */
}

void Mutex::unlock()
{
	std::lock_guard guard(waiting::lock());
	owner_ = waiting::wake_one(this);
}

void Condition::notify_all()
{
	std::lock_guard guard(waiting::lock());
	notified_++;
	waiting::wake_all(this);
}

std::uint64_t Condition::notified()
{
	std::lock_guard guard(waiting::lock());
	return notified_;
}

bool Condition::wait_from(std::uint64_t seen, Clock::time_point end)
{
	std::unique_lock guard(waiting::lock());
	while (notified_ == seen)
		if (!waiting::wait(guard, this, end))
			return false;
	return true;
}

} // namespace fake
