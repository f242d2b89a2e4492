// SPDX-License-Identifier: GPL-2.0-only
/* The order of a suspend over a fake of Linux's side, in which threads are the other CPUs. */
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
#include "suspend/suspend.h"
#include "suspend/wallclock.hh"
#include "tests/fake/fake_hypervisor.h"
#include "tests/fake/fake_vcpus.h"
#include "tests/host/fake/shim.hh"
#include "tests/host/fake/spinning.hh"
#include "tests/host/fake/suspend.hh"

#include "lib/shim.h"
#include "lib/xen.hh"

#include <xen/sched.h>
#include <xen/vcpu.h>

namespace {

using fake::machine;
constexpr unsigned int cpus = fake::Machine::cpus;

/* A step of the suspend that takes longer than the whole may take. */
std::string stalls_at;
constexpr unsigned int limit_ms = 60, stall_ms = 90;

void step(const std::string &name)
{
	/* In the steps that may sleep. From "stop" on others run them. */
	if (name == "respond" || name == "prepare" || name == "memory") {
		EXPECT_TRUE(fake::noio_scope()) << name;
	}
	if (name == "stop") {
		EXPECT_EQ(machine.hotplug_disabled, 1u);
	}
	if (name == stalls_at)
		fake::pass(std::chrono::milliseconds(stall_ms)); /* the other vCPUs spin */
}

std::atomic<unsigned int> resumed_cpus;
unsigned int down_before, down_after;
int prepare_error;

using Calls = std::vector<std::string>;

xpv_suspend_part part = {
	.name = "part",
	.layer = XPV_SUSPEND_DEVICES,
	.prepare =
		[](uint64_t) {
			machine.calls.push_back("prepare");
			step("prepare");
			return prepare_error;
		},
	.abandon = [] { machine.calls.push_back("abandon"); },
	.suspend_early =
		[] {
			machine.calls.push_back("suspend");
			step("suspend_early");
			down_before = xpv_fake_vcpus_down();
		},
	.resume_early =
		[](xpv_resume_kind kind) {
			machine.calls.push_back(kind ? "restored" : "cancelled");
			down_after = xpv_fake_vcpus_down();
			return 0;
		},
	.resume_cpu =
		[](unsigned int) {
			resumed_cpus++;
			return 0;
		},
	.resume_late = [](xpv_resume_kind kind) { machine.calls.push_back(kind ? "late restored" : "late cancelled"); },
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
		prepare_error = 0;
		fake::reset_machine();
		machine.at_step = step;
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
		machine.calls.clear();
		machine.notified.clear();
		resumed_cpus = machine.saved = machine.went_on = 0;
		char text[64] = "x";
		int error = xpv_suspend(xpv_now_ms() + milliseconds, text, sizeof(text));
		reason_ = text;
		EXPECT_EQ(xpv_fake_vcpus_down(), 0u);
		EXPECT_EQ(machine.hotplug_disabled, 0u);
		return error;
	}
	void expect_refused(int error, const std::string &reason, const Calls &expected)
	{
		EXPECT_EQ(suspend(), error);
		EXPECT_EQ(reason_, reason);
		EXPECT_EQ(machine.calls, expected);
		EXPECT_EQ(machine.notified, (std::vector{ XPV_SUSPEND_PREPARE, XPV_SUSPEND_FAILED }));
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
		EXPECT_EQ(machine.calls,
			  (Calls{ "prepare", "suspend", "core suspend", "core resume", "cancelled", "late cancelled" }));
		EXPECT_EQ(resumed_cpus, 0u);
		EXPECT_EQ(machine.saved, cpus);
		EXPECT_EQ(machine.went_on, cpus);
		EXPECT_EQ(down_before, down ? cpus - 1 : 0) << "they would take processors from CPU 0";
		EXPECT_EQ(down_after, down_before);
		EXPECT_EQ(machine.notified, (std::vector{ XPV_SUSPEND_PREPARE, XPV_SUSPEND_CANCELLED }));
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
		EXPECT_EQ(machine.calls,
			  (Calls{ "prepare", "suspend", "core suspend", "core resume", "restored", "late restored" }));
		EXPECT_EQ(resumed_cpus, cpus - 1);
		EXPECT_EQ(machine.notified, (std::vector{ XPV_SUSPEND_PREPARE, XPV_SUSPEND_RESTORED }));
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
	expect_refused(-EBUSY, "part part: not ready to suspend (-EBUSY)", { "prepare" });
}

TEST_F(Suspend, NothingToStopWith)
{
	machine.memory_error = -ENOMEM;
	expect_refused(-ENOMEM, "cannot save the state of the CPUs (-ENOMEM)", { "prepare", "abandon" });
	machine.memory_error = 0;
	machine.stop_error = -ENOMEM;
	expect_refused(-ENOMEM, "stop_machine() failed (-ENOMEM)", { "prepare", "abandon" });
}

TEST_F(Suspend, ACpuDoesNotRespond)
{
	machine.respond_error = -EBUSY;
	expect_refused(-EBUSY, "vCPU 2 does not respond", { "report 2" });
}

TEST_F(Suspend, ACpuDoesNotStop)
{
	xpv_suspend_options.stop_ms = 50;
	xpv_fake_vcpu_delay({ 3 }, 400000);
	expect_refused(-ETIMEDOUT, "vCPU 3 did not stop", { "prepare", "report 3", "abandon" });
	EXPECT_EQ(machine.went_on, cpus);
}

TEST_F(Suspend, TheCoreRefuses)
{
	machine.core_error = -EBUSY;
	expect_refused(-EBUSY, "syscore_suspend() failed (-EBUSY)",
		       { "prepare", "suspend", "core suspend", "cancelled", "abandon" });
}

/* The toolstack has given up by then, and nothing would ever resume the domain. */
TEST_F(Suspend, NoHypercallAfterTheDeadline)
{
	xpv_fake_suspend_result(0, true, nullptr);
	for (const char *name : { "respond", "prepare", "memory", "stop", "suspend_early" }) {
		stalls_at = name;
		EXPECT_EQ(suspend(limit_ms), -ETIMEDOUT) << name;
		for (const std::string &call : machine.calls)
			EXPECT_TRUE(call != "core suspend" && call != "restored") << name << ": " << call;
		EXPECT_EQ(machine.notified, (std::vector{ XPV_SUSPEND_PREPARE, XPV_SUSPEND_FAILED })) << name;
	}
	stalls_at = "";
	EXPECT_EQ(suspend(0), -ETIMEDOUT);
	EXPECT_EQ(reason_, "deadline has passed");
	EXPECT_EQ(machine.calls, Calls{});
}

TEST_F(Suspend, AVcpuDoesNotGoDown)
{
	for (unsigned int good = 0; good < cpus - 1; good++) {
		xpv_fake_fail(__HYPERVISOR_vcpu_op, VCPUOP_down, good, EINVAL);
		expect_refused(-EINVAL, "vCPU " + std::to_string(good + 1) + ": VCPUOP_down failed (-EINVAL)",
			       { "prepare", "abandon" });
	}
}

TEST_F(Suspend, TheHypercallFails)
{
	for (bool down : { true, false }) {
		xpv_suspend_options.down = down;
		xpv_fake_fail(__HYPERVISOR_sched_op, SCHEDOP_shutdown, 0, EPERM);
		expect_refused(-EPERM, "SCHEDOP_shutdown failed (-EPERM)", unwound);
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
	machine.realtime = 5000 * second;
	xpv::WallClock clock;
	set_xen_clock(1000, 3600 * second);
	EXPECT_EQ(clock.catch_up(), 3600 * second);
	EXPECT_EQ(machine.realtime_set_to, 8600 * second);
	machine.realtime = machine.realtime_set_to = 0;
	machine.realtime = 8600 * second + 50 * 1000 * 1000;
	EXPECT_EQ(clock.catch_up(), 0) << "that little is left alone";
	EXPECT_EQ(machine.realtime_set_to, 0);
}

TEST_F(WallClockTest, NothingIsSetWhereXenShowsNoTime)
{
	machine.realtime_set_to = 0;
	xpv::WallClock clock;
	set_xen_clock(1000, 0);
	EXPECT_EQ(clock.catch_up(), 0);
	EXPECT_EQ(machine.realtime_set_to, 0);
}

} // namespace
