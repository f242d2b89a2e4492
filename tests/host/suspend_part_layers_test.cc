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
constexpr char lower_name[] = "lower", upper_name[] = "upper";
/* What the part's prepare() returns. */
template <const char *name>
int refusal = 0;

template <const char *name>
void note(const char *step)
{
	steps.push_back(std::string(name) + " " + step);
}

template <const char *name>
xpv_suspend_part part(xpv_suspend_layer layer)
{
	return {
		.name = name,
		.layer = layer,
		.prepare =
			[](uint64_t) {
				note<name>("prepare");
				return refusal<name>;
			},
		.abandon = [] { note<name>("abandon"); },
		.suspend_early = [] { note<name>("suspend_early"); },
		.resume_early =
			[](xpv_resume_kind) {
				note<name>("resume_early");
				return 0;
			},
		.resume_cpu = nullptr,
		.resume_late = [](xpv_resume_kind) { note<name>("resume_late"); },
		.next = nullptr,
		.prepared = false,
	};
}

xpv_suspend_part lower = part<lower_name>(XPV_SUSPEND_CONSOLE);
xpv_suspend_part upper = part<upper_name>(XPV_SUSPEND_DEVICES);

TEST(SuspendParts, GoInTheOrderOfTheirLayers)
{
	using Steps = std::vector<std::string>;
	const char *refused = nullptr;
	xpv_suspend_part_register(&upper);
	xpv_suspend_part_register(&lower);
	xpv_suspend_parts_lock();
	EXPECT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), 0);
	xpv_suspend_parts_suspend_early();
	xpv_suspend_parts_resume_early(XPV_RESUME_CANCELLED);
	xpv_suspend_parts_resume_late(XPV_RESUME_CANCELLED);
	EXPECT_EQ(std::exchange(steps, {}),
		  (Steps{ "upper prepare", "lower prepare", "upper suspend_early", "lower suspend_early",
			  "lower resume_early", "upper resume_early", "lower resume_late", "upper resume_late" }));
	refusal<lower_name> = -XEN_EBUSY;
	EXPECT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), -XEN_EBUSY);
	EXPECT_STREQ(refused, "lower");
	EXPECT_EQ(std::exchange(steps, {}), (Steps{ "upper prepare", "lower prepare", "upper abandon" }));
	xpv_suspend_parts_unlock();
	xpv_suspend_part_unregister(&lower);
	xpv_suspend_part_unregister(&upper);
}

} // namespace
