// SPDX-License-Identifier: GPL-2.0-only
/* A device outlives its connections; the bus tells its backend, restarted, from that of another device. */
#include <gtest/gtest.h>

#include "tests/host/xenbus_device_fixture.hh"

namespace {

using namespace xpv_test;

/* The driver of the backend is unloaded and loaded, or its domain restarts. */
TEST_F(KeptDevices, ClosingOrClosedBackendsComeBack)
{
	/* Closed is tried by hand in BackendDriverGoesAndComesBack. */
	for (const char *state : { "5", "2" }) {
		the_calls.clear("1");
		peer.set(backend("1") + "/state", state);
		ASSERT_TRUE(the_calls.wait("1", "lnc")) << state << the_calls.get("1");
		connected("1");
	}
}

/* What reconnects is tried again, whatever the error is. */
TEST_F(KeptDevices, ErrorsOfAReconnectionAreTemporary)
{
	the_calls.negotiate_result = -XEN_ENOMEM;
	restore([&] { attach_elsewhere("1"); });
	ASSERT_TRUE(the_calls.wait_for_more("1", "pncHWSl", 'n'));
	the_calls.connect_result = -XEN_EINVAL;
	the_calls.negotiate_result = 0;
	peer.set(backend("1", 3) + "/state", "2");
	ASSERT_TRUE(the_calls.wait_for_last("1", 'c')) << the_calls.get("1");
	EXPECT_EQ(the_calls.get("1").find('d'), std::string::npos);
	EXPECT_FALSE(peer.get("/local/domain/7/error/device/vbd/1/error"));
	the_calls.connect_result = 0;
	peer.set(backend("1", 3) + "/state", "4");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
	EXPECT_EQ(the_calls.get("1").find('d'), std::string::npos);
	EXPECT_TRUE(logged("retrying in"));
}

/*
 * Case 27. A directory is removed, and made again for another device with the
 * same name and backend. A driver that takes that for a restarted backend sends
 * the old disk's writes to the new disk. The new directory lacks the tag: the
 * old device must be removed, without connection_lost(), and the new one
 * probed.
 */
TEST_F(KeptDevices, ReplacedUnderTheSameNameAtOnce)
{
	automatic = false;
	peer.with_no_events([&] {
		peer.erase(frontend("1"));
		attach("1", "1", "2");
	});
	/* The bus does not know of it; the handshake finds out. */
	peer.set(backend("1") + "/state", "2");
	ASSERT_TRUE(the_calls.wait("1", "pncdrpn")) << the_calls.get("1");
	EXPECT_EQ(the_calls.get("1").find('l'), std::string::npos);
	automatic = true;
	peer.set(backend("1") + "/state", "6");
}

/* Case 27. As above, but a scan of the bus finds the directory without the tag. */
TEST_F(KeptDevices, ReplacedAsSeenByTheBus)
{
	automatic = false;
	peer.set(backend("1") + "/state", "4");
	peer.erase(frontend("1") + "/xpv-tag");
	peer.set(frontend("1") + "/backend", backend("1"));
	EXPECT_TRUE(the_calls.wait("1", "pncdrp")) << the_calls.get("1");
	automatic = true;
}

/* A driver domain that was made again, and has another number: its directory moves, ours stays. */
TEST_F(KeptDevices, BackendMovesToAnotherDomain)
{
	peer.erase(backend("1"));
	peer.set(backend("1", 3) + "/online", "1");
	peer.set(backend("1", 3) + "/sectors", "2048");
	peer.set(backend("1", 3) + "/state", "2");
	peer.set_together({ { frontend("1") + "/backend-id", "3" }, { frontend("1") + "/backend", backend("1", 3) } });
	EXPECT_TRUE(the_calls.wait("1", "pnclnc")) << the_calls.get("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
	EXPECT_EQ(xpv_device_backend_domain(the_calls.device["1"]).value, 3);
}

/* It is tried again, but another device's directory is not tagged. */
TEST_F(KeptDevices, RefusedTagIsWrittenLater)
{
	peer.read_only.insert(frontend("2") + "/xpv-tag");
	attach_connected("2");
	ASSERT_TRUE(logged("cannot write xpv-tag"));
	EXPECT_FALSE(peer.get(frontend("2") + "/xpv-tag"));
	peer.read_only.clear();
	for (unsigned int i = 0; i < 100 && !peer.get(frontend("2") + "/xpv-tag"); i++)
		xpv_sleep_ms(100);
	EXPECT_TRUE(peer.get(frontend("2") + "/xpv-tag"));
	EXPECT_EQ(the_calls.get("2"), "pnc");
}

TEST_F(KeptDevices, RefusedTagIsNotWrittenForAnotherDevice)
{
	peer.read_only.insert(frontend("2") + "/xpv-tag");
	attach_connected("2");
	ASSERT_TRUE(logged("cannot write xpv-tag"));
	/* While there is no tag, a run in progress could take the new backend for the old one, restarted. */
	fake::settle();
	automatic = false;
	peer.with_no_events([&] {
		peer.read_only.clear();
		peer.erase(frontend("2"));
		attach("2");
	});
	ASSERT_TRUE(the_calls.wait("2", "pncdrpn")) << the_calls.get("2");
	automatic = true;
	peer.set(backend("2") + "/state", "6");
}

/*
 * Case 12, over all connections of a device. Each page that the backend keeps
 * mapped is lost to the guest, and without a bound a backend can take all of
 * its memory (Qubes #7410). 64 pages must be tolerated; with the next one the
 * device must be disconnected.
 */
TEST_F(KeptDevices, BackendThatKeepsPagesMappedEndsTheDevice)
{
	for (int i = 0; i < 8; i++)
		xpv_device_parked(the_calls.device["1"], 8);
	EXPECT_EQ(the_calls.get("1"), "pnc");
	xpv_device_parked(the_calls.device["1"], 1);
	EXPECT_TRUE(the_calls.wait("1", "pncd"));
}

TEST_F(KeptDevices, DriverThatWantsAnotherConnectionGetsIt)
{
	xpv_device_reconnect(the_calls.device["1"]);
	ASSERT_TRUE(the_calls.wait("1", "pnclnc")) << the_calls.get("1");
	connected("1");
	auto states = peer.history(frontend("1") + "/state");
	EXPECT_EQ(states, (std::vector<std::string>{ "1", "3", "4", "5", "6", "1", "3", "4" }));
	/* Once. */
	fake::sleep_for(10s);
	EXPECT_EQ(the_calls.get("1"), "pnclnc");
}

} // namespace
