// SPDX-License-Identifier: GPL-2.0-only
/* Backends that restart, write nonsense, flap, or are not there: what the bus makes of them. */
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/host/xenbus_device_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(Devices, BackendStartsAgain)
{
	start_connected({ "1" });
	fake::advance(50ms);
	peer.set(backend("1") + "/state", "2");
	EXPECT_TRUE(the_calls.wait("1", "pnclnc")) << the_calls.get("1");
}

TEST_F(Devices, BackendDriverGoesAndComesBack)
{
	start_connected({ "1" });
	fake::advance(50ms);
	automatic = false;
	peer.set(backend("1") + "/state", "6");
	ASSERT_TRUE(the_calls.wait("1", "pncl"));
	/* By hand: the automatic one may only now see that we are Closed, and answer that. */
	peer.set(backend("1") + "/state", "2");
	ASSERT_TRUE(the_calls.wait("1", "pncln"));
	ASSERT_TRUE(peer.becomes(frontend("1") + "/state", "3"));
	peer.set(backend("1") + "/state", "4");
	EXPECT_TRUE(the_calls.wait("1", "pnclnc")) << the_calls.get("1");
}

TEST_F(Devices, ConnectedAgainIsAChange)
{
	start_connected({ "1" });
	fake::advance(50ms);
	std::size_t before = the_calls.changes("1");
	peer.set(backend("1") + "/state", "4");
	fake::advance(50ms);
	EXPECT_EQ(the_calls.changes("1"), before + 1);
	EXPECT_EQ(the_calls.get("1"), "pnc");
}

/*
 * Case 21. A connected backend writes states that have no meaning now, numbers
 * out of range and texts, and then removes the node. A driver that acts on each
 * negotiates again over a ring in use, or gives up a disk that works. The
 * device must stay connected, without a call of disconnect().
 */
TEST_F(Devices, NonsenseStatesAreIgnored)
{
	start_connected({ "1" });
	fake::advance(50ms);
	automatic = false;
	for (const char *state :
	     { "0", "1", "3", "7", "8", "9", "9999", "", "abc", "4294967298", "-1", "44444444444444444444444444" }) {
		peer.set(backend("1") + "/state", state);
		fake::advance(10ms);
	}
	peer.erase(backend("1") + "/state");
	fake::advance(50ms);
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "4");
	EXPECT_EQ(the_calls.get("1").find('d'), std::string::npos);
	peer.set(backend("1") + "/state", "4");
	automatic = true;
}

/*
 * Case 22. The backend writes its state 3,000 times. A bus that queues
 * something for each event loses memory and time to the backend. The device
 * must stay connected; TearDown() checks that nothing is left allocated.
 */
TEST_F(Devices, FloodOfStateChanges)
{
	start_connected({ "1" });
	for (int i = 0; i < 3000; i++)
		peer.set(backend("1") + "/state", "4");
	fake::settle();
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "4");
	/* And it still follows its backend: it closes, and may have connected again at once. */
	peer.set(backend("1") + "/state", "5");
	fake::settle();
	std::vector<std::string> states = peer.history(frontend("1") + "/state");
	EXPECT_EQ(std::count(states.begin(), states.end(), "6"), 1);
}

/*
 * Case 27. The directory of a connected device vanishes. A driver that
 * publishes Closing and Closed all the same makes it again, and the toolstack
 * finds half a device. The driver must be disconnected and removed, and no node
 * be written.
 */
TEST_F(Devices, VanishedNodeIsNotWrittenTo)
{
	start_connected({ "1" });
	peer.erase(frontend("1"));
	EXPECT_TRUE(the_calls.wait("1", "pncdr"));
	fake::advance(50ms);
	EXPECT_FALSE(peer.get(frontend("1") + "/state"));
}

/*
 * Case 27. A device is replaced by one of the same name whose backend is in
 * another domain. A bus that takes it for the old device sends the old disk's
 * requests to that domain, or writes the old one's Closing into the new node.
 * The old device must be removed, with no write to the new node; then the new
 * one connects.
 */
TEST_F(Devices, ReplacedByADeviceOfAnotherDomain)
{
	start_connected({ "1" });
	/* All at once, as a transaction would. */
	automatic = false;
	peer.with_no_events([&] { peer.erase(frontend("1")); });
	peer.set(backend("1", 3) + "/online", "1");
	peer.set(backend("1", 3) + "/sectors", "1");
	peer.set(backend("1", 3) + "/state", "1");
	peer.set(frontend("1") + "/state", "1");
	peer.set(frontend("1") + "/backend-id", "3");
	peer.set(frontend("1") + "/backend", backend("1", 3));
	ASSERT_TRUE(the_calls.wait("1", "pncdrp")) << the_calls.get("1");
	fake::advance(50ms);
	/* Nothing of the old one's end went into the new one's node. */
	auto history = peer.history(frontend("1") + "/state");
	EXPECT_EQ(history, (std::vector<std::string>{ "1", "3", "4", "1" }));
	automatic = true;
	peer.set(backend("1", 3) + "/state", "2");
	EXPECT_TRUE(the_calls.wait("1", "pncdrpnc"));
}

/*
 * Case 26. Directories name a backend path that is not the backend domain's, is
 * empty or too long, or a backend-id that is no domain. A bus that believes
 * them reads nodes that a backend of the device does not write. The bus must
 * make no device of them, and connect a valid device that comes after them.
 */
TEST_F(Devices, ImpossibleBackendsAreNoDevices)
{
	start_bus();
	do_register();
	auto place = [&](const std::string &id, const std::string &path, const std::string &domain) {
		peer.set(frontend(id) + "/state", "1");
		peer.set(frontend(id) + "/backend-id", domain);
		peer.set(frontend(id) + "/backend", path);
	};
	place("1", "/local/domain/0/elsewhere/1", "0");
	place("2", "/local/domain/5/backend/vbd/7/2", "0");
	place("3", "/local/domain/0/backend/vbd/7/3", "abc");
	place("4", "/local/domain/0/backend/" + std::string(400, 'x'), "0");
	place("5", "", "0");
	place("6", "/local/domain/99999/backend/vbd/7/6", "99999");
	peer.set("/local/domain/7/device/vbd/nobackend/state", "1");
	peer.set("/local/domain/7/device/suspend/event-channel", "");
	attach_connected("10");
	for (const char *id : { "1", "2", "3", "4", "5", "6", "nobackend" })
		EXPECT_EQ(the_calls.get(id), "") << id;
}

/*
 * Case 23. The backend does not react to Closing and Closed. A driver that
 * waits for it hangs, and with it the unload of its module. unregister() must
 * return in less than 12 s, with Closed published and the driver disconnected
 * and removed.
 */
TEST_F(Devices, BackendThatNeverClosesCostsABoundedTime)
{
	start_connected({ "1" });
	automatic = false;
	auto begin = fake::Clock::now();
	unregister();
	EXPECT_LT(fake::Clock::now() - begin, 12s);
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "6");
	EXPECT_EQ(the_calls.get("1").find_last_of('d'), the_calls.get("1").size() - 2);
}

/*
 * Case 21. The backend returns to InitWait after each connection. A driver that
 * connects again at once lets the backend use up its CPU time, and may leave
 * pages mapped each time. After ten connections in a minute the next one must
 * wait, with a line in the log; the device stays, since its disk may be
 * mounted.
 */
TEST_F(Devices, BackendThatFlapsIsSlowedDown)
{
	start_connected({ "1" });
	std::string expected = "pnc";
	for (int i = 0; i < 10; i++) {
		peer.set(backend("1") + "/state", "2");
		expected += "lnc";
		ASSERT_TRUE(the_calls.wait("1", expected)) << the_calls.get("1");
		connected("1");
	}
	peer.set(backend("1") + "/state", "2");
	ASSERT_TRUE(the_calls.wait("1", expected + "l")) << the_calls.get("1");
	EXPECT_TRUE(logged("closed 10 connections in 60 s"));
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "6");
	EXPECT_EQ(the_calls.get("1").find('d'), std::string::npos) << "the device stays";
	EXPECT_FALSE(peer.get("/local/domain/7/error/device/vbd/1/error"));
}

} // namespace
