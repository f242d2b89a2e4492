// SPDX-License-Identifier: GPL-2.0-only
/* A detach or unbind closes a device once its driver has retired. */
#include <gtest/gtest.h>

#include "tests/host/xenbus_device_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(Devices, DetachByTheToolstack)
{
	start_connected({ "51712" });
	/* xl block-detach: libxl waits for 6, then removes both ends. */
	peer.set(backend("51712") + "/online", "0");
	peer.set(backend("51712") + "/state", "5");
	ASSERT_TRUE(peer.becomes(backend("51712") + "/state", "6"));
	ASSERT_TRUE(the_calls.wait("51712", "pncd"));
	peer.erase(frontend("51712"));
	peer.erase(backend("51712"));
	EXPECT_TRUE(the_calls.wait("51712", "pncdr"));
	EXPECT_FALSE(peer.get(frontend("51712") + "/state"));
}

TEST_F(Devices, DetachedBeforeItWasNegotiated)
{
	start_bus();
	do_register();
	automatic = false;
	attach("1", "1", "1");
	ASSERT_TRUE(the_calls.wait("1", "p"));
	automatic = true;
	peer.set(backend("1") + "/online", "0");
	peer.set(backend("1") + "/state", "5");
	EXPECT_TRUE(peer.becomes(backend("1") + "/state", "6"));
	EXPECT_EQ(the_calls.get("1"), "p");
}

TEST_F(KeptDevices, BackendThatSaysNothingOfOnlineEndsTheDevice)
{
	peer.erase(backend("1") + "/online");
	peer.set(backend("1") + "/state", "5");
	EXPECT_TRUE(the_calls.wait("1", "pncRd")) << the_calls.get("1");
}

/* What is dirty is written while the backend still serves it. */
TEST_F(KeptDevices, DetachWaitsForTheDriverToRetire)
{
	retires_at_once = false;
	automatic = false;
	detach("1");
	ASSERT_TRUE(the_calls.wait("1", "pncR"));
	peer.set(backend("1") + "/state", "5");
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "4");
	EXPECT_EQ(the_calls.get("1"), "pncR");
	automatic = true;
	xpv_device_retired(the_calls.device["1"]);
	EXPECT_TRUE(peer.becomes(backend("1") + "/state", "6"));
	EXPECT_TRUE(the_calls.wait("1", "pncRd"));
}

TEST_F(KeptDevices, UnbindWaitsForTheDriverToRetire)
{
	retires_at_once = false;
	fake::Thread unbinds([&] { unregister(); });
	ASSERT_TRUE(the_calls.wait("1", "pncR"));
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "4");
	/* Its backend restarts meanwhile: the driver still needs it. */
	peer.set(backend("1") + "/state", "2");
	EXPECT_TRUE(the_calls.wait("1", "pncRlnc")) << the_calls.get("1");
	xpv_device_retired(the_calls.device["1"]);
	unbinds.join();
	EXPECT_EQ(the_calls.get("1"), "pncRlncdr");
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "6");
}

TEST_F(KeptDevices, BackendThatIsClosedIsNotWaitedFor)
{
	retires_at_once = false;
	automatic = false;
	peer.set(backend("1") + "/online", "0");
	peer.set(backend("1") + "/state", "6");
	EXPECT_TRUE(the_calls.wait("1", "pncd")) << the_calls.get("1");
}

TEST_F(KeptDevices, VanishedWhileItRetires)
{
	retires_at_once = false;
	detach("1");
	ASSERT_TRUE(the_calls.wait("1", "pncR"));
	peer.erase(frontend("1"));
	EXPECT_TRUE(the_calls.wait("1", "pncRdr"));
}

TEST_F(KeptDevices, FailureDoesNotWaitForTheDriverToRetire)
{
	retires_at_once = false;
	detach("1");
	ASSERT_TRUE(the_calls.wait("1", "pncR"));
	xpv_device_fail(the_calls.device["1"], -XEN_EIO, "broken");
	EXPECT_TRUE(the_calls.wait("1", "pncRd"));
}

TEST_F(KeptDevices, DetachedAndAttachedAgain)
{
	detach("1");
	ASSERT_TRUE(the_calls.wait("1", "pncRd"));
	ASSERT_TRUE(peer.becomes(backend("1") + "/state", "6"));
	make_again("1");
	EXPECT_TRUE(the_calls.wait("1", "pncRdrpnc")) << the_calls.get("1");
}

/* Detached while the connection is being made again: nothing is left to write it to. */
TEST_F(KeptDevices, DetachedWhileClosed)
{
	close_backend("1", "6");
	detach("1");
	EXPECT_TRUE(the_calls.wait("1", "pncld")) << the_calls.get("1");
}

/* A backend waits in Closing for a frontend to write Closed, and sees only a write, not the value. */
TEST_F(KeptDevices, DetachedWhileClosedAndTheBackendIsClosing)
{
	close_backend("1", "5");
	ASSERT_EQ(peer.get(frontend("1") + "/state"), "6");
	automatic = true;
	detach("1");
	EXPECT_TRUE(the_calls.wait("1", "pncld")) << the_calls.get("1");
	EXPECT_TRUE(peer.becomes(backend("1") + "/state", "6"));
	/* Once: not for ever. */
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
}

} // namespace
