// SPDX-License-Identifier: GPL-2.0-only
/* Drivers, requests and allocations fail; the bus and the other devices go on. */
#include <gtest/gtest.h>

#include "tests/host/fake/xenbus.hh"
#include "tests/host/xenbus_device_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(Devices, DriverFailsTheDevice)
{
	start_connected({ "1" });
	xpv_device_fail(the_calls.device["1"], -XEN_EIO, "response %d makes no sense", 3);
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
	EXPECT_EQ(the_calls.get("1").find_last_of('d'), the_calls.get("1").size() - 1);
	EXPECT_EQ(peer.get("/local/domain/7/error/device/vbd/1/error"), "5 response 3 makes no sense");
	/* It stays that way, whatever the backend says. */
	fake::advance(50ms);
	peer.set(backend("1") + "/state", "2");
	fake::advance(50ms);
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "6");
	/* Until the toolstack attaches it again. */
	peer.erase(frontend("1"));
	fake::advance(50ms);
	attach("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
}

TEST_F(Devices, FailedNegotiation)
{
	start_bus();
	the_calls.negotiate_result = -XEN_EINVAL;
	do_register();
	attach("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
	EXPECT_EQ(the_calls.get("1"), "pn");
	unregister();
	EXPECT_EQ(the_calls.get("1"), "pnr");
}

TEST_F(Devices, FailedConnection)
{
	start_bus();
	the_calls.connect_result = -XEN_EINVAL;
	do_register();
	attach("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
	EXPECT_EQ(the_calls.get("1"), "pncd");
}

TEST_F(Devices, FailedProbe)
{
	start_bus();
	the_calls.probe_result = -XEN_ENOMEM;
	do_register();
	attach("1");
	ASSERT_TRUE(the_calls.wait("1", "p"));
	fake::advance(50ms);
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "1");
	unregister();
	EXPECT_EQ(the_calls.get("1"), "p");
}

TEST_F(Devices, InterferenceWithTheTransaction)
{
	start_connected({ "1" });
	peer.interfere = 3;
	unregister();
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "6");
}

/* Nothing moves a limit that has passed: the engine must not run all the time. */
TEST_F(Devices, LimitThatHasPassedCostsLittle)
{
	automatic = false;
	start_bus();
	do_register();
	attach("1");
	peer.set(backend("1") + "/online", "0");
	attach("2", "1", "2");
	peer.set(backend("2") + "/online", "0");
	xpv_sleep_ms(15000);
	unsigned int before = peer.requests;
	xpv_sleep_ms(10000);
	EXPECT_LE(peer.requests - before, 60u);
}

/* Linux may refer to a device that is gone. */
TEST_F(Devices, DeviceThatCannotBeAdded)
{
	start_bus();
	do_register();
	fake::fail_adding_a_device();
	attach("1");
	ASSERT_TRUE(logged("cannot add the device"));
	attach_connected("2");
}

/*
 * Cases 28 to 30. An index in the ring becomes impossible, so that the
 * connection is dead. A driver that waits for the backend's state hangs the
 * unload. unregister() must return in less than 5 s, with the driver
 * disconnected and removed.
 */
TEST_F(Devices, DeadStoreDoesNotHoldUnloadUp)
{
	start_connected({ "1" });
	fake::advance(50ms);
	peer.stop();
	peer.page.rsp_prod += 5000;
	peer.ring();
	auto begin = fake::Clock::now();
	unregister();
	EXPECT_LT(fake::Clock::now() - begin, 5s);
	EXPECT_EQ(the_calls.get("1").find_last_of('d'), the_calls.get("1").size() - 2);
	stop_bus();
}

/* One allocation fails somewhere between attach and Connected: nothing leaks, and the next device works. */
TEST_F(Devices, EveryAllocationFailsOnce)
{
	start_bus();
	do_register();
	/* Late ones first: an early one costs the bus a pause before it looks again. */
	for (unsigned int n = 60; n >= 1; n--) {
		std::string id = std::to_string(n);
		fake::fail_allocation(n);
		attach(id);
		peer.becomes(frontend(id) + "/state", "4", 30);
		fake::fail_allocation(0);
		peer.erase(frontend(id));
		peer.erase(backend(id));
	}
	attach("1000");
	EXPECT_TRUE(peer.becomes(frontend("1000") + "/state", "4", 20000));
}

/*
 * Case 31. xenstored refuses every watch. A bus that relies on watches never
 * sees the backend's state. It must poll instead, and the device connect.
 */
TEST_F(Devices, PollsWhereWatchesAreRefused)
{
	start_bus();
	fake::advance(50ms);
	peer.refuse_watches = "E2BIG";
	do_register();
	attach("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
}

} // namespace
