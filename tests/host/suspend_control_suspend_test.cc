// SPDX-License-Identifier: GPL-2.0-only
/* Requests to suspend: acknowledged, refused, with a deadline, and with others that come meanwhile. */
#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "tests/host/suspend_control_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(Control, SuspendsAndGoesOn)
{
	start();
	peer.set(error_node, "of the last time");
	kernel.hold(true);
	ask("suspend");
	EXPECT_TRUE(kernel.wait("S"));
	EXPECT_TRUE(acknowledged());
	/* As after a restore: the new xenstore does not have our features yet. */
	for (const std::string &feature : features)
		peer.set(feature, "");
	kernel.hold(false);
	for (const std::string &feature : features)
		EXPECT_TRUE(peer.becomes(feature, "1"));
	EXPECT_FALSE(peer.get(error_node));
	/* Back to back. */
	ask("suspend");
	EXPECT_TRUE(kernel.wait("SS"));
}

/* What the store takes for a request after the acknowledgement is time of the suspend. */
TEST_F(Control, DeadlineOfASuspendCountsFromBeforeTheAcknowledgement)
{
	start();
	std::atomic<std::uint64_t> acknowledged_ms = 0;
	peer.on_change = [&](const std::string &path) {
		if (path != shutdown_node || peer.get(path) != "")
			return;
		acknowledged_ms = xpv_now_ms();
		xpv_sleep_ms(100);
	};
	std::uint64_t before_ms = xpv_now_ms();
	ask("suspend");
	EXPECT_TRUE(kernel.wait("S"));
	EXPECT_GE(kernel.suspend_deadline_ms, before_ms + 45000);
	EXPECT_LE(kernel.suspend_deadline_ms, acknowledged_ms + 45000);
	stop();
}

TEST_F(Control, SuspendThatFailsSaysWhy)
{
	kernel.suspend_result = -XEN_EBUSY;
	start();
	ask("suspend");
	EXPECT_TRUE(kernel.wait("S"));
	EXPECT_TRUE(acknowledged());
	EXPECT_TRUE(peer.becomes(error_node, "16 suspend: " + std::string(127, 'x')));
	fake::settle();
	EXPECT_TRUE(logged(fake::take_log(), "suspend failed: xxx"));
	kernel.suspend_result = 0;
	ask("suspend");
	EXPECT_TRUE(kernel.wait("SS"));
	fake::settle();
	EXPECT_FALSE(peer.get(error_node));
}

/* The store's events go on being served meanwhile: a device may need them to suspend. */
TEST_F(Control, SuspendAskedForDuringASuspend)
{
	start();
	kernel.hold(true);
	ask("suspend");
	ASSERT_TRUE(kernel.wait("S") && acknowledged());
	ask("suspend");
	fake::settle();
	EXPECT_EQ(peer.get(shutdown_node), "suspend");
	EXPECT_TRUE(kernel.wait("S"));
	kernel.hold(false);
	EXPECT_TRUE(kernel.wait("SS"));
	EXPECT_TRUE(acknowledged());
}

TEST_F(Control, ShutdownAskedForDuringASuspend)
{
	start();
	kernel.hold(true);
	ask("suspend");
	ASSERT_TRUE(kernel.wait("S") && acknowledged());
	ask("nonsense");
	fake::settle();
	ask("reboot");
	fake::settle();
	kernel.hold(false);
	EXPECT_TRUE(kernel.wait("Sr"));
	EXPECT_TRUE(acknowledged());
}

} // namespace
