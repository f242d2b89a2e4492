// SPDX-License-Identifier: GPL-2.0-only
/* What /sys/hypervisor says. */
#include <gtest/gtest.h>

#include <string>

#include "hypervisor/linux.h"
#include "lib/xen.hh"
#include "tests/fake/fake_hypervisor.h"
#include "tests/host/fake/shim.hh"

#include <xen/errno.h>
#include <xen/version.h>
#include <xen/xen.h>

namespace {

std::string about(xpv_about what)
{
	std::string text(4096, '?');
	int length = xpv_hypervisor_about(what, text.data());
	if (length < 0)
		return "error " + std::to_string(-length);
	text.resize(static_cast<std::size_t>(length));
	return text;
}

TEST(About, SaysWhatXenSays)
{
	xpv_fake_reset();
	ASSERT_EQ(xpv_hypervisor_detect(), 0);
	std::size_t before = fake::live_allocations();
	EXPECT_EQ(about(XPV_ABOUT_MAJOR), "4\n");
	EXPECT_EQ(about(XPV_ABOUT_MINOR), "17\n");
	EXPECT_EQ(about(XPV_ABOUT_EXTRA), ".fake\n");
	EXPECT_EQ(about(XPV_ABOUT_UUID), "00112233-4455-6677-8899-aabbccddeeff\n");
	EXPECT_EQ(about(XPV_ABOUT_COMPILER), std::string(64, 'c') + "\n");
	EXPECT_EQ(about(XPV_ABOUT_COMPILED_BY), "fake\n");
	EXPECT_EQ(about(XPV_ABOUT_COMPILE_DATE), "today\n");
	EXPECT_EQ(about(XPV_ABOUT_CAPABILITIES), "error " + std::to_string(XEN_EPERM));
	EXPECT_EQ(about(XPV_ABOUT_VIRTUAL_START), "ffff800000000000\n");
	EXPECT_EQ(about(XPV_ABOUT_PAGESIZE), "1000\n");
	EXPECT_EQ(about(XPV_ABOUT_FEATURES), "00002705\n");
	EXPECT_EQ(about(XPV_ABOUT_BUILDID), std::string("\1\0\2\377", 4));
	xpv_fake_fail(__HYPERVISOR_xen_version, XENVER_build_id, 0, XEN_EPERM);
	EXPECT_EQ(about(XPV_ABOUT_BUILDID), "<denied>");
	xpv_fake_fail(__HYPERVISOR_xen_version, XENVER_guest_handle, 0, XEN_EPERM);
	EXPECT_EQ(about(XPV_ABOUT_UUID), "error " + std::to_string(XEN_EPERM));
	EXPECT_EQ(fake::live_allocations(), before);
}

} // namespace
