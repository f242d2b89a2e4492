// SPDX-License-Identifier: GPL-2.0-only
/* The registry of what takes part in a suspend: order, refusal, unwinding. */
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "hypervisor/linux.h"
#include "hypervisor/suspend_part.h"
#include "lib/shim.h"
#include "tests/host/fake/shim.hh"

namespace {

std::vector<std::string> calls;
std::string refuses, fails;
std::vector<uint64_t> deadlines;

/* A part is its name; what it is asked to do is noted under it. */
#define DEFINE_PART(NAME, LAYER)                                                                                       \
	xpv_suspend_part NAME = {                                                                                      \
		.name = #NAME,                                                                                         \
		.layer = LAYER,                                                                                        \
		.prepare =                                                                                             \
			[](uint64_t deadline_ms) {                                                                     \
				calls.push_back("prepare " #NAME);                                                     \
				deadlines.push_back(deadline_ms);                                                      \
				return refuses == #NAME ? -EBUSY : 0;                                                  \
			},                                                                                             \
		.abandon = [] { calls.push_back("abandon " #NAME); },                                                  \
		.suspend_early = [] { calls.push_back("suspend " #NAME); },                                            \
		.resume_early =                                                                                        \
			[](xpv_resume_kind kind) {                                                                     \
				calls.push_back((kind ? "restored " : "cancelled ") + std::string(#NAME));             \
				return fails == #NAME ? -EIO : 0;                                                      \
			},                                                                                             \
		.resume_cpu =                                                                                          \
			[](unsigned int cpu) {                                                                         \
				calls.push_back("cpu " + std::to_string(cpu) + " " #NAME);                             \
				return fails == #NAME ? -EIO : 0;                                                      \
			},                                                                                             \
		.resume_late =                                                                                         \
			[](xpv_resume_kind kind) {                                                                     \
				calls.push_back((kind ? "late restored " : "late cancelled ") + std::string(#NAME));   \
			},                                                                                             \
		.next = nullptr,                                                                                       \
		.prepared = false,                                                                                     \
	}

DEFINE_PART(hypervisor, XPV_SUSPEND_HYPERVISOR);
DEFINE_PART(grants, XPV_SUSPEND_GNTTAB);
DEFINE_PART(disk, XPV_SUSPEND_DEVICES);
DEFINE_PART(net, XPV_SUSPEND_DEVICES);

using Calls = std::vector<std::string>;

class SuspendParts : public testing::Test {
protected:
	SuspendParts()
	{
		static bool started = (xpv_suspend_parts_start(), true);
		static_cast<void>(started);
		calls.clear();
		deadlines.clear();
		refuses = fails = "";
		for (xpv_suspend_part *part : { &disk, &net, &hypervisor, &empty_, &grants })
			xpv_suspend_part_register(part);
	}
	~SuspendParts() override
	{
		for (xpv_suspend_part *part : { &disk, &hypervisor, &empty_, &grants, &net })
			xpv_suspend_part_unregister(part);
	}

	int prepare(const char *&refused_by, uint64_t deadline_ms = UINT64_MAX)
	{
		xpv_suspend_parts_lock();
		int error = xpv_suspend_parts_prepare(deadline_ms, &refused_by);
		xpv_suspend_parts_unlock();
		return error;
	}

	xpv_suspend_part empty_ = {
		"empty", XPV_SUSPEND_CONSOLE, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, false
	};
};

TEST_F(SuspendParts, DownFromTheLastDeviceAndUpFromTheHypervisor)
{
	const char *refused_by = nullptr;
	EXPECT_EQ(prepare(refused_by), 0);
	EXPECT_EQ(calls, (Calls{ "prepare net", "prepare disk", "prepare grants", "prepare hypervisor" }));
	calls.clear();
	xpv_suspend_parts_suspend_early();
	EXPECT_EQ(calls, (Calls{ "suspend net", "suspend disk", "suspend grants", "suspend hypervisor" }));
	calls.clear();
	xpv_suspend_parts_resume_early(XPV_RESUME_RESTORED);
	EXPECT_EQ(calls, (Calls{ "restored hypervisor", "restored grants", "restored disk", "restored net" }));
	calls.clear();
	xpv_suspend_parts_resume_cpu(3);
	EXPECT_EQ(calls, (Calls{ "cpu 3 hypervisor", "cpu 3 grants", "cpu 3 disk", "cpu 3 net" }));
	calls.clear();
	xpv_suspend_parts_resume_late(XPV_RESUME_CANCELLED);
	EXPECT_EQ(calls, (Calls{ "late cancelled hypervisor", "late cancelled grants", "late cancelled disk",
				 "late cancelled net" }));
	calls.clear();
	xpv_suspend_parts_abandon();
	EXPECT_EQ(calls, Calls{}) << "nothing is prepared after a resume";
}

TEST_F(SuspendParts, WhoWasPreparedIsAbandonedWhenOneRefuses)
{
	refuses = "grants";
	const char *refused_by = nullptr;
	EXPECT_EQ(prepare(refused_by), -EBUSY);
	EXPECT_STREQ(refused_by, "grants");
	EXPECT_EQ(calls, (Calls{ "prepare net", "prepare disk", "prepare grants", "abandon disk", "abandon net" }));
	calls.clear();
	xpv_suspend_parts_abandon();
	EXPECT_EQ(calls, Calls{});
}

TEST_F(SuspendParts, FirstAndLastMayRefuse)
{
	const char *refused_by = nullptr;
	refuses = "net";
	EXPECT_EQ(prepare(refused_by), -EBUSY);
	EXPECT_EQ(calls, Calls{ "prepare net" });
	calls.clear();
	refuses = "hypervisor";
	EXPECT_EQ(prepare(refused_by), -EBUSY);
	EXPECT_STREQ(refused_by, "hypervisor");
	EXPECT_EQ(calls.size(), 7u);
	EXPECT_EQ(calls.back(), "abandon net");
}

TEST_F(SuspendParts, AResumeGoesOnAfterAnErrorAndNamesThePart)
{
	fails = "grants";
	fake::take_log();
	xpv_suspend_parts_resume_early(XPV_RESUME_CANCELLED);
	EXPECT_EQ(calls, (Calls{ "cancelled hypervisor", "cancelled grants", "cancelled disk", "cancelled net" }));
	auto log = fake::take_log();
	ASSERT_EQ(log.size(), 1u);
	EXPECT_NE(log[0].find("part grants: cannot resume after the suspend (-EIO)"), std::string::npos);
}

TEST_F(SuspendParts, AllPartsGetTheDeadline)
{
	const char *refused_by = nullptr;
	uint64_t deadline_ms = xpv_now_ms() + 45000;
	EXPECT_EQ(prepare(refused_by, deadline_ms), 0);
	EXPECT_EQ(deadlines, std::vector<uint64_t>(4, deadline_ms));
	xpv_suspend_parts_abandon();
}

TEST_F(SuspendParts, NoPartIsAskedAfterTheDeadline)
{
	const char *refused_by = nullptr;
	EXPECT_EQ(prepare(refused_by, xpv_now_ms()), -ETIMEDOUT);
	EXPECT_STREQ(refused_by, "net");
	EXPECT_EQ(calls, Calls{});
}

TEST_F(SuspendParts, OnlyARestoreIsCountedAndBeforeAnyPartResumes)
{
	static uint32_t seen;
	empty_.resume_early = [](xpv_resume_kind) {
		seen = xpv_restore_count();
		return 0;
	};
	uint32_t before = xpv_restore_count();
	xpv_suspend_parts_resume_early(XPV_RESUME_CANCELLED);
	EXPECT_EQ(seen, before);
	xpv_suspend_parts_resume_early(XPV_RESUME_RESTORED);
	EXPECT_EQ(seen, before + 1);
	EXPECT_EQ(xpv_restore_count(), before + 1);
}

TEST_F(SuspendParts, OneThatLeftIsAskedNoMore)
{
	xpv_suspend_part_unregister(&grants);
	const char *refused_by = nullptr;
	EXPECT_EQ(prepare(refused_by), 0);
	EXPECT_EQ(calls, (Calls{ "prepare net", "prepare disk", "prepare hypervisor" }));
	xpv_suspend_parts_abandon();
}

} // namespace
