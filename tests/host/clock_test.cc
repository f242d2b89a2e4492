// SPDX-License-Identifier: GPL-2.0-only
/* The virtual clock that all other tests here rely on. */
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <vector>

#include "lib/deadline.hh"
#include "lib/work.hh"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"

using namespace std::chrono_literals;

namespace {

TEST(Clock, MovesByWhatIsWaitedFor)
{
	auto begin = fake::Clock::now();
	uint64_t begin_ms = xpv_now_ms();
	xpv_sleep_ms(3600 * 1000);
	EXPECT_EQ(fake::Clock::now() - begin, 1h);
	EXPECT_EQ(xpv_now_ms() - begin_ms, 3600u * 1000);
	EXPECT_FALSE(xpv::poll_until(xpv::Deadline::after(500), [] { return false; }));
	EXPECT_EQ(fake::Clock::now() - begin, 1h + 500ms);
}

TEST(Clock, StandsStillWhileAThreadRuns)
{
	auto begin = fake::Clock::now();
	std::atomic<bool> sleeps = false, seen = false;
	fake::Thread sleeper([&] {
		sleeps = true;
		fake::sleep_for(1ms);
		seen = true;
	});
	while (!sleeps)
		std::this_thread::yield();
	for (int i = 0; i < 1000; i++)
		std::this_thread::yield();
	EXPECT_FALSE(seen);
	fake::settle();
	EXPECT_FALSE(seen);
	EXPECT_EQ(fake::Clock::now(), begin);
	fake::advance(1ms);
	EXPECT_TRUE(seen);
	EXPECT_EQ(fake::Clock::now() - begin, 1ms);
	sleeper.join();
}

TEST(Clock, WakesInTheOrderOfTime)
{
	std::mutex mutex;
	std::vector<int> order;
	std::vector<fake::Future<void>> sleepers;
	for (int time : { 30, 10, 20 })
		sleepers.push_back(fake::async([&mutex, &order, time] {
			fake::sleep_for(std::chrono::milliseconds(time));
			std::lock_guard guard(mutex);
			order.push_back(time);
		}));
	for (auto &sleeper : sleepers)
		sleeper.get();
	EXPECT_EQ(order, (std::vector{ 10, 20, 30 }));
}

TEST(Clock, WaitingForALockIsWaiting)
{
	fake::Mutex mutex;
	auto begin = fake::Clock::now();
	auto holder = fake::async([&] {
		std::lock_guard guard(mutex);
		fake::sleep_for(10ms);
	});
	fake::settle();
	{
		std::lock_guard guard(mutex);
		EXPECT_EQ(fake::Clock::now() - begin, 10ms);
	}
	holder.get();
}

TEST(Clock, ConditionsAndTheirTimeOuts)
{
	std::mutex mutex;
	fake::Condition changed;
	bool set = false;
	auto begin = fake::Clock::now();
	{
		std::unique_lock guard(mutex);
		EXPECT_FALSE(changed.wait_for(guard, 5ms, [&] { return set; }));
	}
	EXPECT_EQ(fake::Clock::now() - begin, 5ms);
	auto setter = fake::async([&] {
		fake::sleep_for(5ms);
		std::lock_guard guard(mutex);
		set = true;
		changed.notify_all();
	});
	std::unique_lock guard(mutex);
	EXPECT_TRUE(changed.wait_for(guard, 1h, [&] { return set; }));
	EXPECT_EQ(fake::Clock::now() - begin, 10ms);
}

struct Runs {
	void run() { times.push_back(xpv_now_ms() - begin); }
	uint64_t begin = xpv_now_ms();
	std::vector<uint64_t> times;
	xpv::Work<&Runs::run> work{ *this, XPV_WORK_SYSTEM, xpv::LockClass{ "runs", nullptr } };
};

TEST(Clock, WorksRunAtTheirTime)
{
	Runs runs;
	runs.work.schedule(1000);
	fake::advance(999ms);
	EXPECT_TRUE(runs.times.empty());
	fake::advance(1ms);
	EXPECT_EQ(runs.times, (std::vector<uint64_t>{ 1000 }));
	runs.work.schedule(1000);
	runs.work.reschedule(500);
	runs.work.schedule(100); /* keeps its time */
	EXPECT_TRUE(fake::wait_for_work(10000));
	EXPECT_EQ(runs.times, (std::vector<uint64_t>{ 1000, 1500 }));
	runs.work.schedule(10);
	runs.work.cancel();
	fake::advance(1s);
	EXPECT_EQ(runs.times.size(), 2u);
}

TEST(ClockDeathTest, AbortsWhereNothingIsToCome)
{
	fake::Promise<void> promise;
	EXPECT_DEATH(promise.get_future().wait(), "nothing is to come");
}

} // namespace
