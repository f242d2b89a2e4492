// SPDX-License-Identifier: GPL-2.0-only
/* A vif over suspends. */
#include "tests/host/netfront_vif_fixture.hh"

namespace {

TEST_F(NetfrontVif, CancelledSuspendGoesOn)
{
	come_up();
	transmit(1);
	xpv_vif_driver.hold(&device);
	EXPECT_TRUE(netdev().holding);
	EXPECT_EQ(xpv_vif_driver.drain(&device, xpv_now_ms() + 5000), 0);
	EXPECT_TRUE(netdev().held);
	xpv_vif_driver.go_on(&device, XPV_RESUME_CANCELLED);
	EXPECT_FALSE(netdev().holding || netdev().held);
	others[0].respond_tx(others[0].next_tx()->id);
	EXPECT_EQ(poll().transmitted, 1u);
	go();
}

TEST_F(NetfrontVif, DrainDoesNotWaitLong)
{
	come_up();
	transmit(1);
	xpv_vif_driver.hold(&device);
	uint64_t before = xpv_now_ms();
	EXPECT_EQ(xpv_vif_driver.drain(&device, before + 60000), 0);
	EXPECT_LT(xpv_now_ms() - before, 200u);
	xpv_vif_driver.go_on(&device, XPV_RESUME_CANCELLED);
	go();
}

TEST_F(NetfrontVif, RestoredInterfaceKeepsItsChannels)
{
	come_up();
	xpv_event_channel *tx = &channel("-tx"), *rx = &channel("-rx");
	transmit(1);
	restore();
	EXPECT_TRUE(netdev().held) << "until the connection is given up";
	connection_lost();
	EXPECT_EQ(owners.at(1).dropped, 1u);
	EXPECT_FALSE(netdev().held);
	negotiate();
	connect();
	EXPECT_EQ(&channel("-tx"), tx);
	EXPECT_EQ(&channel("-rx"), rx);
	EXPECT_EQ(rx->rebound, 1u);
	EXPECT_TRUE(eventually([] { return netdev().announced == 6; }));
	others[0].deliver("x");
	event(channel("-rx"));
	EXPECT_EQ(poll().received, 1u);
	EXPECT_EQ(rx->eois, 1u);
	go();
}

/* netback's carrier, and so the bridge's port, waits for pages to receive in. */
TEST_F(NetfrontVif, PagesArePostedBeforeTheBackendConnectsAgain)
{
	come_up();
	restore();
	connection_lost();
	fake::sleep_for(std::chrono::milliseconds(100));
	negotiate();
	EXPECT_NE(others[0].rx().req_prod, 0u);
	EXPECT_EQ(netdev().announced, 0u) << "not before the backend is Connected";
	connect();
	fake::settle();
	EXPECT_EQ(netdev().announced, 1u);
	others[0].deliver("x");
	event(channel("-rx"));
	EXPECT_EQ(poll().received, 1u);
	go();
}

TEST_F(NetfrontVif, CarrierStaysOverARestore)
{
	come_up();
	restore();
	connection_lost();
	EXPECT_TRUE(netdev().carrier);
	negotiate();
	EXPECT_TRUE(netdev().carrier);
	connect();
	fake::sleep_for(std::chrono::seconds(10));
	EXPECT_TRUE(netdev().carrier);
	release();
	connection_lost();
	EXPECT_FALSE(netdev().carrier) << "this time the backend went";
	go();
}

TEST_F(NetfrontVif, CarrierWaitsForALateBackendForSoLongOnly)
{
	come_up();
	restore();
	connection_lost();
	negotiate();
	fake::advance(std::chrono::milliseconds(1990));
	EXPECT_TRUE(netdev().carrier);
	fake::advance(std::chrono::milliseconds(20));
	EXPECT_FALSE(netdev().carrier);
	connect();
	EXPECT_TRUE(netdev().carrier);
	go();
}

TEST_F(NetfrontVif, CarrierGoesIfConnectingFails)
{
	come_up();
	restore();
	connection_lost();
	negotiate();
	fake::netfront.connect_error = -XEN_ENOMEM;
	EXPECT_EQ(xpv_vif_driver.connect(&device), -XEN_ENOMEM);
	fake::sleep_for(std::chrono::seconds(3));
	EXPECT_FALSE(netdev().carrier);
	fake::netfront.connect_error = 0;
	connect();
	EXPECT_TRUE(netdev().carrier);
	go();
}

TEST_F(NetfrontVif, CarrierGoesWithABackendThatIsNotTheRestoredOne)
{
	come_up();
	restore();
	disconnect();
	negotiate();
	connect();
	release();
	connection_lost();
	EXPECT_FALSE(netdev().carrier);
	go();
}

TEST_F(NetfrontVif, CarrierIsWhatTheNewBackendSays)
{
	come_up();
	restore();
	connection_lost();
	negotiate();
	device.backend["carrier"] = "0";
	connect();
	EXPECT_FALSE(netdev().carrier);
	go();
}

/* Else the port would stay masked for ever. */
TEST_F(NetfrontVif, RestoredBetweenAnEventAndItsEnd)
{
	come_up();
	xpv_event_channel *rx = &channel("-rx");
	event(*rx);
	restore();
	connection_lost();
	negotiate();
	connect();
	EXPECT_FALSE(rx->awaits_eoi);
	EXPECT_EQ(rx->spurious, 0u);
	go();
}

TEST_F(NetfrontVif, RestoredToABackendWithOneChannel)
{
	come_up();
	restore();
	connection_lost();
	device.backend.erase("feature-split-event-channels");
	negotiate();
	connect();
	EXPECT_EQ(channels.size(), 1u);
	EXPECT_EQ(channel("").name, "vif0-q0");
	go();
}

TEST_F(NetfrontVif, SuspendBeforeThereIsAnything)
{
	probe();
	xpv_vif_driver.hold(&device);
	EXPECT_EQ(xpv_vif_driver.drain(&device, xpv_now_ms()), 0);
	xpv_vif_driver.go_on(&device, XPV_RESUME_RESTORED);
	negotiate();
	connect();
	EXPECT_FALSE(netdev().holding);
	go();
}

/* XSA-465: detached right after a restore, before anything was sent. */
TEST_F(NetfrontVif, DetachRightAfterARestore)
{
	come_up();
	restore();
	connection_lost();
	go();
}

} // namespace
