// SPDX-License-Identifier: GPL-2.0-only
/* Parts of a suspend run in the order of their layers, whatever the order of their registration. */
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "hypervisor/suspend_part.h"
#include "lib/result.hh"

namespace {

std::vector<std::string> steps;
int refusal;

xpv_suspend_part lower = {
	.name = "lower",
	.layer = XPV_SUSPEND_CONSOLE,
	.prepare =
		[](uint64_t) {
			steps.push_back("lower prepare");
			return refusal;
		},
	.abandon = [] { steps.push_back("lower abandon"); },
	.suspend_early = [] { steps.push_back("lower suspend_early"); },
	.resume_early =
		[](xpv_resume_kind) {
			steps.push_back("lower resume_early");
			return 0;
		},
	.resume_cpu = nullptr,
	.resume_late = [](xpv_resume_kind) { steps.push_back("lower resume_late"); },
	.next = nullptr,
	.prepared = false,
};
xpv_suspend_part upper = {
	.name = "upper",
	.layer = XPV_SUSPEND_DEVICES,
	.prepare =
		[](uint64_t) {
			steps.push_back("upper prepare");
			return 0;
		},
	.abandon = [] { steps.push_back("upper abandon"); },
	.suspend_early = [] { steps.push_back("upper suspend_early"); },
	.resume_early =
		[](xpv_resume_kind) {
			steps.push_back("upper resume_early");
			return 0;
		},
	.resume_cpu = nullptr,
	.resume_late = [](xpv_resume_kind) { steps.push_back("upper resume_late"); },
	.next = nullptr,
	.prepared = false,
};

TEST(SuspendParts, GoInTheOrderOfTheirLayers)
{
	using Steps = std::vector<std::string>;
	const char *refused = nullptr;
	xpv_suspend_part_register(&upper);
	xpv_suspend_part_register(&lower);
	refusal = 0;
	xpv_suspend_parts_lock();
	EXPECT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), 0);
	xpv_suspend_parts_suspend_early();
	xpv_suspend_parts_resume_early(XPV_RESUME_CANCELLED);
	xpv_suspend_parts_resume_late(XPV_RESUME_CANCELLED);
	EXPECT_EQ(std::exchange(steps, {}),
		  (Steps{ "upper prepare", "lower prepare", "upper suspend_early", "lower suspend_early",
			  "lower resume_early", "upper resume_early", "lower resume_late", "upper resume_late" }));
	refusal = -XEN_EBUSY;
	EXPECT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), -XEN_EBUSY);
	EXPECT_STREQ(refused, "lower");
	EXPECT_EQ(std::exchange(steps, {}), (Steps{ "upper prepare", "lower prepare", "upper abandon" }));
	xpv_suspend_parts_unlock();
	xpv_suspend_part_unregister(&lower);
	xpv_suspend_part_unregister(&upper);
}

} // namespace
