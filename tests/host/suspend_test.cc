// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of a suspend over a fake of Linux's side, in which threads are
 * the other CPUs; they cannot lose their state here (tests/kunit does that),
 * and so find themselves where they were.
 */
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "hypervisor/hypervisor_owned.h"
#include "hypervisor/linux.h"
#include "suspend/linux.h"
#include "suspend/suspend.h"
#include "suspend/wallclock.hh"
#include "tests/fake/fake_hypervisor.h"
#include "tests/fake/fake_vcpus.h"
#include "tests/host/fake/shim.hh"
#include "tests/host/fake/spinning.hh"

#include "lib/shim.h"
#include "lib/xen.hh"

#include <xen/sched.h>
#include <xen/vcpu.h>

namespace {

constexpr unsigned int cpus = 4;

/* A step of the suspend that takes longer than the whole may take. */
std::string stalls_at;
constexpr unsigned int limit_ms = 60, stall_ms = 90;

void step(const std::string &name)
{
	if (name == stalls_at)
		fake::pass(std::chrono::milliseconds(stall_ms)); /* the other vCPUs spin */
}

std::vector<std::string> calls;
std::atomic<unsigned int> resumed_cpus, saved, went_on;
unsigned int down_before, down_after;
unsigned int hotplug_disabled;
int core_error, respond_error, stop_error, memory_error, prepare_error;
int64_t realtime, realtime_set_to;
std::vector<xpv_suspend_event> told;
xpv_context contexts[cpus];

} // namespace

/* ---- Linux's side ---- */

extern "C" {

xpv_suspend_choice xpv_suspend_options = { true, 5000, 5000 };

int xpv_processors_prepare(void)
{
	step("memory");
	return memory_error;
}
void xpv_processors_release(void)
{
}
xpv_context *xpv_processor_context(unsigned int cpu)
{
	return &contexts[cpu];
}
void xpv_processor_save(unsigned int)
{
	saved++;
}
void xpv_processor_restore(unsigned int)
{
}
void xpv_processor_go_on(unsigned int, bool)
{
	went_on++;
}
int xpv_context_save(xpv_context *)
{
	return 0;
}
void xpv_context_enter(const xpv_context *)
{
}
int xpv_cpus_respond(unsigned int, unsigned int *silent)
{
	step("respond");
	*silent = 2;
	return respond_error;
}
void xpv_cpu_report(unsigned int cpu)
{
	calls.push_back("report " + std::to_string(cpu));
}
void xpv_cpu_hotplug_disable(void)
{
	hotplug_disabled++;
}
void xpv_cpu_hotplug_enable(void)
{
	hotplug_disabled--;
}
int xpv_stop_machine(void (*function)(unsigned int cpu))
{
	EXPECT_EQ(hotplug_disabled, 1u);
	step("stop");
	if (stop_error)
		return stop_error;
	std::vector<std::thread> threads;
	for (unsigned int cpu = 0; cpu < cpus; cpu++)
		threads.emplace_back(function, cpu);
	for (std::thread &thread : threads)
		thread.join();
	return 0;
}
bool xpv_cpu_is_online(unsigned int cpu)
{
	return cpu < cpus;
}
int xpv_core_suspend(void)
{
	calls.push_back("core suspend");
	return core_error;
}
void xpv_core_resume(void)
{
	calls.push_back("core resume");
}
uint64_t xpv_suspend_clock(void)
{
	return static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}
void xpv_suspend_give_up(const char *, unsigned int, int)
{
	std::abort();
}
int64_t xpv_realtime(void)
{
	return realtime;
}
int xpv_realtime_set(int64_t nanoseconds)
{
	realtime_set_to = nanoseconds;
	return 0;
}
void xpv_suspend_tell(xpv_suspend_event event)
{
	told.push_back(event);
}

} /* extern "C" */

namespace {

using Calls = std::vector<std::string>;

xpv_suspend_part part = {
	.name = "part",
	.layer = XPV_SUSPEND_DEVICES,
	.prepare = [](uint64_t) { calls.push_back("prepare"); step("prepare"); return prepare_error; },
	.abandon = [] { calls.push_back("abandon"); },
	.suspend_early = [] {
		calls.push_back("suspend");
		step("suspend_early");
		down_before = xpv_fake_vcpus_down();
	},
	.resume_early = [](xpv_resume_kind kind) {
		calls.push_back(kind ? "restored" : "cancelled");
		down_after = xpv_fake_vcpus_down();
		return 0;
	},
	.resume_cpu = [](unsigned int) { resumed_cpus++; return 0; },
	.resume_late = [](xpv_resume_kind kind) { calls.push_back(kind ? "late restored" : "late cancelled"); },
	.next = nullptr,
	.prepared = false,
};

class Suspend : public testing::Test {
protected:
	Suspend()
	{
		static bool started = (xpv_suspend_parts_start(), true);
		static_cast<void>(started);
		xpv_fake_reset();
		stalls_at = "";
		core_error = respond_error = stop_error = memory_error = prepare_error = 0;
		xpv_suspend_options = { true, 5000, 5000 };
		EXPECT_EQ(xpv_hypervisor_start(), 0);
		for (unsigned int cpu = 0; cpu < cpus; cpu++)
			EXPECT_EQ(xpv_hypervisor_vcpu_online(cpu), 0);
		EXPECT_EQ(xpv_suspend_start(), 0);
		xpv_suspend_part_register(&part);
	}
	~Suspend() override
	{
		xpv_suspend_part_unregister(&part);
		xpv_suspend_stop();
		xpv_hypervisor_stop();
	}

	int suspend(uint64_t milliseconds = 45000)
	{
		calls.clear();
		told.clear();
		resumed_cpus = saved = went_on = 0;
		char text[64] = "x";
		int error = xpv_suspend(xpv_now_ms() + milliseconds, text, sizeof(text));
		reason_ = text;
		EXPECT_EQ(xpv_fake_vcpus_down(), 0u);
		EXPECT_EQ(hotplug_disabled, 0u);
		return error;
	}
	void expect_refused(int error, const std::string &reason, const Calls &expected)
	{
		EXPECT_EQ(suspend(), error);
		EXPECT_EQ(reason_, reason);
		EXPECT_EQ(calls, expected);
		EXPECT_EQ(told, (std::vector{ XPV_SUSPEND_PREPARE, XPV_SUSPEND_FAILED }));
		EXPECT_EQ(resumed_cpus, 0u);
	}

	std::string reason_;
};

const Calls unwound = { "prepare", "suspend", "core suspend", "core resume", "cancelled", "abandon" };

TEST_F(Suspend, Cancelled)
{
	for (bool down : { true, false }) {
		xpv_suspend_options.down = down;
		xpv_fake_suspend_result(1, false, nullptr);
		EXPECT_EQ(suspend(), 0);
		EXPECT_EQ(reason_, "");
		EXPECT_EQ(calls, (Calls{ "prepare", "suspend", "core suspend", "core resume", "cancelled", "late cancelled" }));
		EXPECT_EQ(resumed_cpus, 0u);
		EXPECT_EQ(saved, cpus);
		EXPECT_EQ(went_on, cpus);
		EXPECT_EQ(down_before, down ? cpus - 1 : 0) << "they would take processors from CPU 0";
		EXPECT_EQ(down_after, down_before);
		EXPECT_EQ(told, (std::vector{ XPV_SUSPEND_PREPARE, XPV_SUSPEND_CANCELLED }));
	}
	EXPECT_EQ(xpv_fake_count_vcpu_calls().downs, cpus - 1);
	EXPECT_EQ(xpv_fake_count_vcpu_calls().initialisations, 0u);
}

TEST_F(Suspend, RestoredWithVcpusThatXenSaved)
{
	for (bool down : { true, false }) {
		xpv_suspend_options.down = down;
		xpv_fake_suspend_result(0, true, nullptr);
		EXPECT_EQ(suspend(), 0);
		EXPECT_EQ(calls, (Calls{ "prepare", "suspend", "core suspend", "core resume", "restored", "late restored" }));
		EXPECT_EQ(resumed_cpus, cpus - 1);
		EXPECT_EQ(told, (std::vector{ XPV_SUSPEND_PREPARE, XPV_SUSPEND_RESTORED }));
	}
	xpv_suspend_statistics statistics;
	xpv_suspend_get_statistics(&statistics);
	EXPECT_EQ(statistics.restored, 2u);
	for (unsigned int step = 1; step < XPV_STEPS; step++)
		EXPECT_GE(statistics.step[step], statistics.step[step - 1]);
}

TEST_F(Suspend, APartRefuses)
{
	prepare_error = -EBUSY;
	expect_refused(-EBUSY, "part part: error -16", { "prepare" });
}

TEST_F(Suspend, NothingToStopWith)
{
	memory_error = -ENOMEM;
	expect_refused(-ENOMEM, "no memory to save the processors: error -12", { "prepare", "abandon" });
	memory_error = 0;
	stop_error = -ENOMEM;
	expect_refused(-ENOMEM, "the CPUs cannot be stopped: error -12", { "prepare", "abandon" });
}

TEST_F(Suspend, ACpuDoesNotRespond)
{
	respond_error = -EBUSY;
	expect_refused(-EBUSY, "vCPU 2 does not respond", { "report 2" });
}

TEST_F(Suspend, ACpuDoesNotStop)
{
	xpv_suspend_options.stop_ms = 50;
	xpv_fake_vcpu_delay({ 3 }, 400000);
	expect_refused(-ETIMEDOUT, "vCPU 3 did not stop", { "prepare", "report 3", "abandon" });
	EXPECT_EQ(went_on, cpus);
}

TEST_F(Suspend, TheCoreRefuses)
{
	core_error = -EBUSY;
	expect_refused(-EBUSY, "Linux's core: error -16", { "prepare", "suspend", "core suspend", "cancelled", "abandon" });
}

/* B1: the toolstack has given up by then, and nothing would ever resume the domain. */
TEST_F(Suspend, NoHypercallAfterTheDeadline)
{
	xpv_fake_suspend_result(0, true, nullptr);
	for (const char *name : { "respond", "prepare", "memory", "stop", "suspend_early" }) {
		stalls_at = name;
		EXPECT_EQ(suspend(limit_ms), -ETIMEDOUT) << name;
		for (const std::string &call : calls)
			EXPECT_TRUE(call != "core suspend" && call != "restored") << name << ": " << call;
		EXPECT_EQ(told, (std::vector{ XPV_SUSPEND_PREPARE, XPV_SUSPEND_FAILED })) << name;
	}
	stalls_at = "";
	EXPECT_EQ(suspend(0), -ETIMEDOUT);
	EXPECT_EQ(reason_, "the deadline has passed");
	EXPECT_EQ(calls, Calls{});
}

TEST_F(Suspend, AVcpuDoesNotGoDown)
{
	for (unsigned int good = 0; good < cpus - 1; good++) {
		xpv_fake_fail(__HYPERVISOR_vcpu_op, VCPUOP_down, good, EINVAL);
		expect_refused(-EINVAL, "vCPU " + std::to_string(good + 1) + " does not go down: error -22",
			       { "prepare", "abandon" });
	}
}

TEST_F(Suspend, TheHypercallFails)
{
	for (bool down : { true, false }) {
		xpv_suspend_options.down = down;
		xpv_fake_fail(__HYPERVISOR_sched_op, SCHEDOP_shutdown, 0, EPERM);
		expect_refused(-EPERM, "the hypercall: error -1", unwound);
	}
}

TEST_F(Suspend, AVcpuComesUpAtTheSecondAttempt)
{
	xpv_fake_suspend_result(1, false, nullptr);
	xpv_fake_fail(__HYPERVISOR_vcpu_op, VCPUOP_up, 1, ENOMEM);
	EXPECT_EQ(suspend(), 0);
	xpv_suspend_statistics statistics;
	xpv_suspend_get_statistics(&statistics);
	EXPECT_EQ(statistics.retries, 1u);
}

TEST_F(Suspend, LateCpusAreWaitedFor)
{
	xpv_fake_suspend_result(0, true, nullptr);
	for (unsigned int cpu = 1; cpu < cpus; cpu++)
		xpv_fake_vcpu_delay({ cpu }, cpu * 20000);
	EXPECT_EQ(suspend(), 0);
	EXPECT_EQ(resumed_cpus, cpus - 1);
}

/* ---- The time of day ---- */

class WallClockTest : public Suspend {
protected:
	/* The TSC counts nanoseconds, and Xen was started at `boot`, `system_time` ago. */
	static void set_xen_clock(int64_t boot, uint64_t system_time)
	{
		shared_info *shared = xpv_shared_info();
		shared->wc_version = 2;
		shared->wc_sec = static_cast<uint32_t>(boot);
		shared->wc_sec_hi = static_cast<uint32_t>(static_cast<uint64_t>(boot) >> 32);
		shared->wc_nsec = 5;
		vcpu_time_info &time = xpv_vcpu_info(0)->time;
		time.version = 4;
		time.tsc_timestamp = ~0ull; /* in the future: no time has passed */
		time.system_time = system_time;
		time.tsc_to_system_mul = 1u << 31;
		time.tsc_shift = 1;
	}
	static constexpr int64_t second = 1000000000;
};

TEST_F(WallClockTest, AddsUp)
{
	EXPECT_FALSE(xpv::xen_wall_clock().ok()) << "no version was ever written";
	set_xen_clock(0x100000001, 7 * second);
	auto now = xpv::xen_wall_clock();
	ASSERT_TRUE(now.ok());
	EXPECT_EQ(now.value(), 0x100000008 * second + 5);
	xpv_vcpu_info(0)->time.version = 5;
	EXPECT_FALSE(xpv::xen_wall_clock().ok()) << "Xen never comes to an end with it";
}

TEST_F(WallClockTest, GoesOnAsFarFromXensAsBefore)
{
	set_xen_clock(1000, 0);
	realtime = 5000 * second;
	xpv::WallClock clock;
	set_xen_clock(1000, 3600 * second);
	EXPECT_EQ(clock.catch_up(), 3600 * second);
	EXPECT_EQ(realtime_set_to, 8600 * second);
	realtime = realtime_set_to = 0;
	realtime = 8600 * second + 50 * 1000 * 1000;
	EXPECT_EQ(clock.catch_up(), 0) << "that little is left alone";
	EXPECT_EQ(realtime_set_to, 0);
}

TEST_F(WallClockTest, NothingIsSetWhereXenShowsNoTime)
{
	realtime_set_to = 0;
	xpv::WallClock clock;
	set_xen_clock(1000, 0);
	EXPECT_EQ(clock.catch_up(), 0);
	EXPECT_EQ(realtime_set_to, 0);
}

} // namespace
