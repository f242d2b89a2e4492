// SPDX-License-Identifier: GPL-2.0-only
/* Errors in log lines: err_ptr() for "%pe", which fake/shim.cc prints like the kernel. */
#include <gtest/gtest.h>

#include "lib/log.hh"
#include "tests/host/fake/shim.hh"

#include <xen/errno.h>

using namespace xpv;

TEST(Log, ErrorIsItsName)
{
	static_cast<void>(fake::take_log());
	XPV_ERR("%s: cannot create the device (%pe)", "device/vbd/1", err_ptr(-XEN_ENOMEM));
	XPV_WARNING_LIMITED("%s: %s (%pe), retrying in %u ms", "device/vbd/1", "cannot connect",
			    err_ptr(-XEN_ETIMEDOUT), 500u);
	EXPECT_EQ(fake::take_log(),
		  (std::vector<std::string>{
			  "host_test: device/vbd/1: cannot create the device (-ENOMEM)\n",
			  "host_test: device/vbd/1: cannot connect (-ETIMEDOUT), retrying in 500 ms\n" }));
}

TEST(Log, ErrorOfEitherSign)
{
	char text[64];
	xpv_format(text, sizeof(text), "(%pe) (%pe)", err_ptr(XEN_EIO), err_ptr(-XEN_EIO));
	EXPECT_STREQ(text, "(-EIO) (-EIO)");
}

TEST(Log, ErrorWithoutANameIsItsNumber)
{
	char text[64];
	xpv_format(text, sizeof(text), "(%pe) (%pe)", err_ptr(-1234), err_ptr(-4095));
	EXPECT_STREQ(text, "(-1234) (-4095)");
}

TEST(Log, SuccessAndAddressesAreNoError)
{
	char text[64];
	xpv_format(text, sizeof(text), "%pe", err_ptr(0));
	EXPECT_STREQ(text, "(nil)e");
	xpv_format(text, sizeof(text), "%lxe", -1ul);
	EXPECT_STREQ(text, "ffffffffffffffffe");
}

TEST(Log, FormatTruncatesAfterTheName)
{
	char text[8];
	EXPECT_EQ(xpv_format(text, sizeof(text), "%pe, %u", err_ptr(-XEN_ENOMEM), 12u), 11);
	EXPECT_STREQ(text, "-ENOMEM");
}
