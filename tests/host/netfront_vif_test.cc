// SPDX-License-Identifier: GPL-2.0-only
/* A vif from probe to removal, its events, and violations. */
#include "tests/host/netfront_vif_fixture.hh"

namespace {

TEST_F(NetfrontVif, WholeLife)
{
	probe();
	EXPECT_TRUE(fake::netfront.netdevs.empty());
	negotiate();
	EXPECT_EQ(device.own.at("request-rx-copy"), "1");
	EXPECT_EQ(device.own.at("feature-rx-notify"), "1");
	EXPECT_EQ(device.own.at("feature-sg"), "1");
	EXPECT_EQ(device.own.at("feature-gso-tcpv4"), "1");
	EXPECT_EQ(device.own.at("feature-gso-tcpv6"), "1");
	EXPECT_EQ(device.own.at("feature-ipv6-csum-offload"), "1");
	EXPECT_EQ(device.own.at("multi-queue-num-queues"), "1");
	EXPECT_FALSE(device.own.contains("event-channel"));
	EXPECT_EQ(channel("-tx").name, "vif0-q0-tx");
	EXPECT_EQ(channel("-rx").name, "vif0-q0-rx");
	EXPECT_FALSE(netdev().connected);

	connect();
	EXPECT_TRUE(netdev().registered);
	EXPECT_TRUE(netdev().carrier);
	EXPECT_TRUE(netdev().features.scatter_gather && netdev().features.gso_tcpv4 && netdev().features.gso_tcpv6);
	EXPECT_TRUE(netdev().features.checksum_ipv4 && netdev().features.checksum_ipv6);
	EXPECT_FALSE(netdev().features.stage_all);
	const uint8_t mac[] = { 0, 0x16, 0x3e, 1, 2, 3 };
	EXPECT_EQ(std::memcmp(netdev().parameters.mac, mac, 6), 0);
	EXPECT_EQ(others[0].posted(), 256u);

	EXPECT_EQ(transmit(1), 255);
	EXPECT_EQ(transmit(2), 254);
	EXPECT_EQ(channel("-tx").sent, 1u) << "the backend did not go back to sleep between";
	auto first = others[0].next_tx(), second = others[0].next_tx();
	ASSERT_TRUE(first && second);
	others[0].respond_tx(second->id);
	others[0].respond_tx(first->id);
	event(channel("-tx"));
	EXPECT_EQ(netdev().halves[0].polls, 1u);
	EXPECT_EQ(poll().transmitted, 2u);
	EXPECT_EQ(channel("-tx").eois, 1u);

	others[0].deliver("incoming");
	others[0].deliver(std::string(1500, 'l'));
	event(channel("-rx"));
	EXPECT_EQ(poll().received, 2u);
	EXPECT_EQ(channel("-rx").eois, 1u);
	EXPECT_EQ(channel("-rx").spurious, 0u);
	EXPECT_EQ(device.failure, "");
	disconnect();
	EXPECT_TRUE(fake::netfront.netdevs.empty());
	xpv_vif_driver.remove(&device);
}

TEST_F(NetfrontVif, AsManyQueuesAsBothWant)
{
	fake::netfront.max_queues = 8;
	come_up();
	EXPECT_EQ(device.own.at("multi-queue-num-queues"), "4");
	EXPECT_EQ(netdev().used, 4u);
	EXPECT_FALSE(device.own.contains("tx-ring-ref"));
	std::set<std::string> references;
	for (unsigned int i = 0; i < 4; i++) {
		references.insert(device.own.at(directory(i) + "tx-ring-ref"));
		references.insert(device.own.at(directory(i) + "rx-ring-ref"));
		EXPECT_EQ(channel("-rx", i).name, "vif0-q" + std::to_string(i) + "-rx");
		EXPECT_EQ(transmit(i, i), 255);
		EXPECT_TRUE(others[i].next_tx());
	}
	EXPECT_EQ(references.size(), 8u);
	EXPECT_FALSE(device.own.contains("queue-4/tx-ring-ref"));
	go();
}

TEST_F(NetfrontVif, FewerQueuesWhereReferencesAreShort)
{
	xpv_gnttab_unload();
	xpv_fake_set_max_grant_frames(4);
	xpv_fake_reset();
	ASSERT_EQ(xpv_gnttab_load(), 0);
	fake::netfront.max_queues = 4;
	come_up();
	EXPECT_EQ(device.own.at("multi-queue-num-queues"), "2");
	EXPECT_EQ(netdev().used, 2u);
	go();
}

TEST_F(NetfrontVif, OneChannelForBothDirections)
{
	device.backend.erase("feature-split-event-channels");
	/* Of an earlier load. */
	device.own["event-channel-tx"] = "77";
	device.own["event-channel-rx"] = "78";
	come_up();
	EXPECT_FALSE(device.own.contains("event-channel-tx"));
	EXPECT_FALSE(device.own.contains("event-channel-rx"));
	EXPECT_EQ(channel("").name, "vif0-q0");
	others[0].deliver("x");
	event(channel(""));
	EXPECT_EQ(poll().received, 1u);
	EXPECT_EQ(channel("").eois, 1u);
	EXPECT_EQ(channel("").spurious, 0u);
	transmit(1);
	others[0].respond_tx(others[0].next_tx()->id);
	event(channel(""));
	EXPECT_EQ(poll().transmitted, 1u);
	EXPECT_EQ(channel("").spurious, 0u);
	event(channel(""));
	poll();
	EXPECT_EQ(channel("").spurious, 1u);
	go();
}

TEST_F(NetfrontVif, OneChannelForEachQueue)
{
	device.backend.erase("feature-split-event-channels");
	fake::netfront.max_queues = 2;
	come_up();
	EXPECT_EQ(channel("", 0).name, "vif0-q0");
	EXPECT_EQ(channel("", 1).name, "vif0-q1");
	go();
}

TEST_F(NetfrontVif, BackendWithFewFeatures)
{
	device.backend = { { "feature-rx-copy", "1" }, { "feature-gso-tcpv4", "1" }, { "feature-no-csum-offload", "1" } };
	fake::netfront.max_queues = 4;
	come_up();
	EXPECT_EQ(netdev().used, 1u);
	EXPECT_FALSE(netdev().features.scatter_gather || netdev().features.gso_tcpv4 || netdev().features.checksum_ipv4);
	go();
}

TEST_F(NetfrontVif, BackendThatCannotCopyIsRefused)
{
	device.backend["feature-rx-copy"] = "0";
	probe();
	EXPECT_EQ(xpv_vif_driver.negotiate(&device), -XEN_EOPNOTSUPP);
	xpv_vif_driver.remove(&device);
}

TEST_F(NetfrontVif, Trust)
{
	device.own["trusted"] = "0";
	come_up();
	EXPECT_TRUE(netdev().features.stage_all);
	go();
	device.own["trusted"] = "1";
	fake::netfront.trusted = false;
	come_up();
	EXPECT_TRUE(netdev().features.stage_all);
	go();
}

/* Case 26. */
TEST_F(NetfrontVif, WithoutAnAddressThereIsNoDevice)
{
	device.own["mac"] = "00:16:3e";
	EXPECT_EQ(xpv_vif_driver.probe(&device), -XEN_EINVAL);
	device.own.erase("mac");
	EXPECT_EQ(xpv_vif_driver.probe(&device), -XEN_ENOENT);
}

TEST_F(NetfrontVif, Mtu)
{
	device.own["mtu"] = "9000";
	come_up();
	EXPECT_EQ(netdev().parameters.mtu, 9000u);
	go();
	device.own["mtu"] = "99999999999";
	come_up();
	EXPECT_EQ(netdev().parameters.mtu, 0u);
	go();
}

TEST_F(NetfrontVif, CarrierFollowsTheBackend)
{
	device.backend["carrier"] = "0";
	device.backend["speed"] = "10000";
	come_up();
	EXPECT_FALSE(netdev().carrier);
	EXPECT_EQ(netdev().speed, 10000u);
	ASSERT_TRUE(store_watches.contains(device.backend_path + "/carrier"));
	auto changed = [this] {
		auto *watch = store_watches.at(device.backend_path + "/carrier");
		watch->callback(watch->context, "");
	};
	device.backend["carrier"] = "1";
	changed();
	EXPECT_TRUE(netdev().carrier);
	device.backend["carrier"] = "0";
	xpv_vif_driver.backend_changed(&device);
	EXPECT_FALSE(netdev().carrier);
	release();
	connection_lost();
	EXPECT_TRUE(store_watches.empty());
	xpv_vif_driver.backend_changed(&device);
	xpv_vif_driver.disconnect(&device);
	xpv_vif_driver.remove(&device);
}

/* ---- Events ---- */

/* Case 17. */
TEST_F(NetfrontVif, EventsThatBringNothingAreReported)
{
	come_up();
	for (unsigned int i = 1; i <= 3; i++) {
		event(channel("-rx"));
		poll();
		EXPECT_EQ(channel("-rx").spurious, i);
	}
	event(channel("-tx"));
	poll();
	EXPECT_EQ(channel("-tx").spurious, 1u);
	/* A poll that ran ahead of the event is no reason to call it spurious. */
	others[0].deliver("x");
	poll();
	event(channel("-rx"));
	poll();
	EXPECT_EQ(channel("-rx").spurious, 3u);
	event(channel("-rx"));
	poll();
	EXPECT_EQ(channel("-rx").spurious, 4u);
	go();
}

/* Case 18. */
TEST_F(NetfrontVif, LostEventIsFound)
{
	come_up();
	unsigned int before = netdev().halves[0].polls;
	fake::sleep_for(std::chrono::seconds(10));
	EXPECT_EQ(netdev().halves[0].polls, before) << "nothing is there";
	others[0].deliver("x");
	EXPECT_TRUE(eventually([&] { return netdev().halves[0].polls != before; }));
	go();
}

TEST_F(NetfrontVif, PollsAgainWhenPagesAreShort)
{
	come_up();
	netdev().halves[0].pages_left = 0;
	for (unsigned int i = 0; i < 250; i++) {
		others[0].deliver(std::string(1000, 'x'));
		if (i % 50 == 49)
			poll();
	}
	unsigned int before = netdev().halves[0].polls;
	EXPECT_TRUE(eventually([&] { return netdev().halves[0].polls != before; }, std::chrono::seconds(1)));
	go();
}

/* ---- Violations ---- */

TEST_F(NetfrontVif, ViolationInReceivingFailsTheDeviceAndStopsEvents)
{
	come_up();
	transmit(1);
	auto request = others[0].next_rx();
	others[0].respond_rx(request->id + 7u, 0, 0, 60);
	event(channel("-rx"));
	poll();
	EXPECT_NE(device.failure.find("another slot"), std::string::npos) << device.failure;
	EXPECT_EQ(channel("-rx").eois, 0u) << "the port stays masked";
	go();
	EXPECT_EQ(owners.at(1).released + owners.at(1).dropped, 1u);
}

TEST_F(NetfrontVif, ViolationInTransmittingFailsTheDevice)
{
	come_up();
	transmit(1);
	others[0].respond_tx(200);
	event(channel("-tx"));
	poll();
	EXPECT_NE(device.failure.find("no packet in flight, id 200"), std::string::npos) << device.failure;
	EXPECT_EQ(channel("-tx").eois, 0u);
	EXPECT_EQ(transmit(2), -XEN_ENODEV);
	go();
	EXPECT_EQ(owners.at(1).dropped, 1u);
	EXPECT_EQ(owners.at(2).dropped, 0u) << "its owner knows that it was refused";
}

TEST_F(NetfrontVif, ViolationFoundInArming)
{
	come_up();
	others[0].rx().rsp_prod = 5000;
	poll();
	EXPECT_NE(device.failure.find("illegal number"), std::string::npos) << device.failure;
	go();
}

} // namespace
