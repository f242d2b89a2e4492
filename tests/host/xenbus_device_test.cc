// SPDX-License-Identifier: GPL-2.0-only
/* Devices come, shake hands with a backend, connect, and go. */
#include <gtest/gtest.h>

#include <optional>

#include "tests/host/xenbus_device_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(Devices, FromAttachToConnected)
{
	start_connected({ "51712" });
	EXPECT_EQ(the_calls.get("51712"), "pnc");
	EXPECT_EQ(peer.get(frontend("51712") + "/ring-ref"), "8");
	EXPECT_EQ(peer.history(frontend("51712") + "/state"), (std::vector<std::string>{ "1", "3", "4" }));
	EXPECT_EQ(xpv_device_state(the_calls.device["51712"]), XenbusStateConnected);
	EXPECT_STREQ(xpv_device_path(the_calls.device["51712"]), "device/vbd/51712");
	unregister();
	EXPECT_EQ(the_calls.get("51712"), "pncdr");
	EXPECT_EQ(peer.history(frontend("51712") + "/state"), (std::vector<std::string>{ "1", "3", "4", "5", "6" }));
	EXPECT_EQ(peer.get(backend("51712") + "/state"), "6");
}

TEST_F(Devices, KeysAreReadWithTheState)
{
	struct {
		std::optional<std::string> info;
		std::size_t size;
		bool other;
		unsigned int asked; /* of the two nodes, by connect() itself */
		int result;
	} cases[] = {
		{ "4", 80, false, 0, 1 },
		{ std::nullopt, 80, false, 0, -XEN_ENOENT },
		{ std::string(63, 'x'), 80, false, 0, 63 },
		/* Of the driver's size, as if it had asked. */
		{ std::string(40, 'x'), 20, false, 0, -XEN_EMSGSIZE },
		/* Too long to be kept, and something that was not declared. */
		{ std::string(64, 'x'), 80, false, 2, 64 },
		{ "4", 80, true, 2, 1 },
	};
	start_bus();
	do_register();
	unsigned int number = 51712;
	for (const auto &one : cases) {
		std::string id = std::to_string(number += 16);
		SCOPED_TRACE(id);
		the_calls.reads = [&] {
			return peer.reads(backend(id) + "/sectors") + peer.reads(backend(id) + "/info");
		};
		the_calls.info_size = one.size;
		the_calls.wants_other = one.other;
		if (one.info)
			peer.set(backend(id) + "/info", *one.info);
		attach_connected(id);
		EXPECT_EQ(the_calls.asked, one.asked);
		EXPECT_EQ(the_calls.sectors, "2048");
		EXPECT_EQ(the_calls.info_result, one.result);
		if (one.result >= 0) {
			EXPECT_EQ(the_calls.info, *one.info);
		}
	}
	the_calls.reads = nullptr;
}

TEST_F(Devices, StateIsWrittenWithTheKeysOrAfterThem)
{
	start_bus();
	do_register();
	for (bool only_publishes : { false, true }) {
		the_calls.only_publishes = only_publishes;
		std::string id = only_publishes ? "51728" : "51712";
		attach_connected(id);
		EXPECT_EQ(peer.history(frontend(id) + "/state"), (std::vector<std::string>{ "1", "3", "4" }));
		EXPECT_EQ(peer.get(frontend(id) + "/event-channel"), "5");
	}
}

TEST_F(Devices, KeyThatCannotBeWritten)
{
	start_bus();
	peer.read_only.insert(frontend("1") + "/ring-ref");
	do_register();
	attach("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
	EXPECT_EQ(the_calls.get("1"), "pn");
}

/* What the driver does to connect, and the calls that it gets. */
TEST_F(Devices, DriverIsCalledInANoIoScope)
{
	start_bus();
	do_register();
	the_calls.reads = [] {
		EXPECT_TRUE(fake::noio_scope());
		return 0u;
	};
	attach_connected("1");
	EXPECT_EQ(the_calls.get("1"), "pnc");
}

TEST_F(Devices, DriverLaterThanDevice)
{
	attach("768");
	start_bus();
	fake::advance(50ms);
	EXPECT_EQ(peer.get(frontend("768") + "/state"), "1");
	do_register();
	EXPECT_TRUE(peer.becomes(frontend("768") + "/state", "4"));
}

TEST_F(Devices, BackendComesLate)
{
	start_bus();
	do_register();
	attach("1", "1", "1");
	fake::advance(50ms);
	EXPECT_EQ(the_calls.get("1"), "p");
	peer.set(backend("1") + "/state", "2");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
}

TEST_F(Devices, AttachDetachLoop)
{
	start_bus();
	do_register();
	for (int round = 1; round <= 20; round++) {
		attach_connected("51712");
		peer.set(backend("51712") + "/online", "0");
		peer.set(backend("51712") + "/state", "5");
		ASSERT_TRUE(peer.becomes(backend("51712") + "/state", "6"));
		peer.erase(frontend("51712"));
		peer.erase(backend("51712"));
		std::string expected;
		for (int i = 0; i < round; i++)
			expected += "pncdr";
		ASSERT_TRUE(the_calls.wait("51712", expected)) << the_calls.get("51712");
	}
}

TEST_F(Devices, UnloadAndLoadAgain)
{
	start_bus();
	attach("51712");
	for (int round = 0; round < 10; round++) {
		do_register();
		ASSERT_TRUE(peer.becomes(frontend("51712") + "/state", "4")) << round;
		unregister();
		EXPECT_EQ(peer.get(frontend("51712") + "/state"), "6");
		stop_bus();
		start_bus();
	}
}

TEST_F(Devices, LeftInEveryStateByAnEarlierLoad)
{
	start_bus();
	do_register();
	int number = 0;
	for (const char *own : { "3", "4", "5", "6" }) {
		for (const char *theirs : { "2", "4", "5", "6" }) {
			std::string id = std::to_string(++number);
			attach(id, own, theirs);
			/* A backend that was told to close before says 5, and goes on when it hears 6. */
			EXPECT_TRUE(peer.becomes(frontend(id) + "/state", "4", 20000)) << own << " " << theirs;
			EXPECT_TRUE(the_calls.wait(id, "pnc")) << own << " " << theirs << " " << the_calls.get(id);
		}
	}
}

TEST_F(Devices, FreshNodeButAnOldConnection)
{
	start_bus();
	do_register();
	attach("1", "1", "4");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
	EXPECT_TRUE(the_calls.wait("1", "pnc"));
	EXPECT_EQ(peer.history(frontend("1") + "/state"), (std::vector<std::string>{ "1", "5", "6", "1", "3", "4" }));
}

TEST_F(Devices, ManyDevicesOverlap)
{
	the_calls.slow_ms = 100;
	start_bus();
	do_register();
	for (int i = 0; i < 16; i++)
		attach(std::to_string(i));
	for (int i = 0; i < 16; i++)
		EXPECT_TRUE(peer.becomes(frontend(std::to_string(i)) + "/state", "4"));
	EXPECT_GT(the_calls.most_overlapping, 4);
	unregister();
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(peer.get(frontend(std::to_string(i)) + "/state"), "6");
}

/* netback: nothing of the frontend's is read before it is Connected. */
TEST_F(Devices, BackendThatConnectsSecond)
{
	xpv_frontend_driver first = driver;
	first.connects_first = true;
	driver_used = &first;
	automatic = false;
	start_bus();
	do_register();
	attach("51712");
	ASSERT_TRUE(peer.becomes(frontend("51712") + "/state", "4"));
	EXPECT_EQ(peer.get(frontend("51712") + "/ring-ref"), "8");
	ASSERT_TRUE(the_calls.wait("51712", "pn"));
	/* The state is written before negotiate() returns. */
	fake::settle();
	EXPECT_EQ(xpv_device_state(the_calls.device["51712"]), XenbusStateConnected);

	peer.set(backend("51712") + "/state", "4");
	ASSERT_TRUE(the_calls.wait("51712", "pnc"));
	EXPECT_EQ(peer.history(frontend("51712") + "/state"), (std::vector<std::string>{ "1", "4" }));

	/* The backend starts again: the next connection is made in the same way. */
	peer.set(backend("51712") + "/state", "2");
	ASSERT_TRUE(peer.becomes(frontend("51712") + "/state", "6"));
	peer.set(backend("51712") + "/state", "6");
	ASSERT_TRUE(the_calls.wait("51712", "pncl"));
	ASSERT_TRUE(peer.becomes(frontend("51712") + "/state", "1"));
	peer.set(backend("51712") + "/state", "2");
	ASSERT_TRUE(the_calls.wait("51712", "pncln"));
	peer.set(backend("51712") + "/state", "4");
	ASSERT_TRUE(the_calls.wait("51712", "pnclnc"));
	automatic = true;
	unregister();
	driver_used = &driver;
}

} // namespace
