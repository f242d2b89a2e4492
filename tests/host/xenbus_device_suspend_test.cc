// SPDX-License-Identifier: GPL-2.0-only
/* The bus holds and drains all devices for a suspend, or refuses it. */
#include <gtest/gtest.h>

#include <optional>

#include "tests/host/xenbus_device_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(KeptDevices, AllStopBeforeAnyIsWaitedFor)
{
	attach_connected("2");
	suspend();
	EXPECT_EQ(the_calls.get("1"), "pncHW");
	EXPECT_EQ(the_calls.get("2"), "pncHW");
	EXPECT_LE(drain_deadline, xpv_now_ms() + 10000);
	cancel();
	EXPECT_EQ(the_calls.get("1"), "pncHWC");
	EXPECT_EQ(the_calls.get("2"), "pncHWC");
}

TEST_F(KeptDevices, RestoredDevicesAreToldBeforeTheyLoseTheirConnection)
{
	restore([&] { attach_elsewhere("1"); });
	EXPECT_TRUE(the_calls.wait("1", "pncHWSlnc")) << the_calls.get("1");
}

TEST_F(KeptDevices, DeviceThatCannotStopRefusesTheSuspend)
{
	attach_connected("2");
	drain_result = -XEN_EBUSY;
	EXPECT_EQ(xpv_bus_hold(xpv_now_ms() + 10000), -XEN_EBUSY);
	EXPECT_EQ(the_calls.get("1").back(), 'C');
	EXPECT_EQ(the_calls.get("2").back(), 'C');
	drain_result = 0;
	suspend();
	cancel();
}

/* By the clock, however long a step takes. */
TEST_F(KeptDevices, SuspendIsRefusedWhenTheDeadlineIsOver)
{
	peer.hold_directories = true;
	peer.set(frontend("2") + "/backend", "x"); /* makes the bus scan, which waits for xenstore */
	ASSERT_TRUE(peer.directories_are_held());
	EXPECT_EQ(xpv_bus_hold(xpv_now_ms() + 50), -XEN_ETIMEDOUT);
	EXPECT_EQ(the_calls.get("1"), "pnc");
	peer.answer_directories();
}

/* Its driver goes after it was stopped, and before it is waited for. */
TEST_F(KeptDevices, DriverGoesBetweenHoldAndDrain)
{
	attach_connected("2");
	xpv_bus_prepare_unregister(driver_used);
	ASSERT_TRUE(the_calls.wait("1", "pncRd"));
	ASSERT_TRUE(the_calls.wait("2", "pncRd"));
	fake::settle();
	std::optional<fake::Thread> unloads;
	on_hold = [&](const std::string &id) {
		if (id != "2" || unloads)
			return;
		unloads.emplace([&] { unregister(); });
		EXPECT_TRUE(the_calls.wait_for_last("1", 'r'));
	};
	suspend();
	EXPECT_EQ(the_calls.get("1"), "pncRdHr");
	cancel();
	unloads->join();
	EXPECT_EQ(the_calls.get("1"), "pncRdHr");
	on_hold = {};
}

/*
 * What the bus has still to look at is looked at before the suspend: the
 * directory of a restored guest is as of a new device in any case.
 */
TEST_F(KeptDevices, ReplacedBeforeTheSuspendIsNotTheSameAfterwards)
{
	peer.hold_directories = true;
	peer.set(frontend("2") + "/backend", "x"); /* makes the bus scan, which waits for xenstore */
	ASSERT_TRUE(peer.directories_are_held());
	xpv_sleep_ms(12000); /* of the 20 s that a request has */
	ASSERT_TRUE(logged("cannot read the list of devices"));
	peer.answer_directories();
	peer.with_no_events([&] {
		peer.erase(frontend("1"));
		attach("1");
	});
	restore([&] { attach_elsewhere("1"); });
	ASSERT_TRUE(the_calls.wait_for_last("1", 'c'));
	EXPECT_TRUE(the_calls.get("1").starts_with("pncdrp")) << the_calls.get("1");
}

} // namespace
