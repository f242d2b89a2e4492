// SPDX-License-Identifier: GPL-2.0-only
/* When emulated devices are unplugged again. */
#include <gtest/gtest.h>

#include "hypervisor/linux.h"
#include "tests/host/fake/hypervisor.hh"

namespace {

/* The device model of a restored domain has them all again. */
TEST(Unplug, RepeatedInARestoredDomainOnly)
{
	unsigned int before = fake::unplugs;
	xpv_hypervisor_suspend_part.resume_late(XPV_RESUME_CANCELLED);
	EXPECT_EQ(before, fake::unplugs);
	xpv_hypervisor_suspend_part.resume_late(XPV_RESUME_RESTORED);
	EXPECT_EQ(before + 1, fake::unplugs);
}

} // namespace
