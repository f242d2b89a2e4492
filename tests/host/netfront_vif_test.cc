// SPDX-License-Identifier: GPL-2.0-only
/* A vif from probe to removal. */
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

/* ---- Connections ---- */

TEST_F(NetfrontVif, InterfaceOutlivesItsConnections)
{
	fake::netfront.max_queues = 4;
	come_up();
	xpv_netdev *before = &netdev();
	unsigned int number = 0;
	for (const char *queues : { "1", "3", "0", "4" }) {
		for (unsigned int i = 0; i < 5; i++)
			transmit(number++);
		release();
		connection_lost();
		EXPECT_FALSE(netdev().carrier || netdev().connected);
		EXPECT_TRUE(netdev().registered);
		EXPECT_EQ(transmit(1000), -XEN_ENODEV);
		device.backend["multi-queue-max-queues"] = queues;
		negotiate();
		connect();
		EXPECT_EQ(&netdev(), before);
		EXPECT_EQ(netdev().used, std::max(1, std::stoi(queues)));
		EXPECT_TRUE(netdev().carrier);
		EXPECT_EQ(transmit(2000 + number), 255);
		EXPECT_TRUE(others[0].next_tx());
	}
	EXPECT_EQ(netdev().connects, 5u);
	go();
	for (unsigned int i = 0; i < number; i++)
		EXPECT_EQ(owners.at(i).dropped, 1u) << i;
}

TEST_F(NetfrontVif, NumberOfQueuesIsSetByAnotherConnection)
{
	fake::netfront.max_queues = 4;
	come_up();
	xpv_vif *vif = netdev().parameters.vif;
	xpv_vif_set_queue_count(vif, 4);
	EXPECT_EQ(device.reconnects, 0u);
	xpv_vif_set_queue_count(vif, 2);
	EXPECT_EQ(device.reconnects, 1u);
	release();
	connection_lost();
	negotiate();
	connect();
	EXPECT_EQ(netdev().used, 2u);
	go();
}

TEST_F(NetfrontVif, NeighboursAreToldOfANewConnection)
{
	come_up();
	EXPECT_EQ(netdev().announced, 0u);
	release();
	connection_lost();
	negotiate();
	connect();
	EXPECT_TRUE(eventually([] { return netdev().announced == 4; }, std::chrono::seconds(2)));
	fake::sleep_for(std::chrono::seconds(5));
	EXPECT_EQ(netdev().announced, 4u);
	go();
}

TEST_F(NetfrontVif, BackendThatKeepsPagesIsNotReplacedYet)
{
	come_up();
	auto posted = others[0].next_rx();
	ASSERT_NE(others[0].map({ posted->gref }, true), nullptr);
	NetBackend holder = others[0];
	release();
	connection_lost();
	EXPECT_EQ(xpv_vif_driver.negotiate(&device), -XEN_EBUSY);
	EXPECT_EQ(device.parked, 0u);
	holder.unmap({ posted->gref });
	negotiate();
	connect();
	go();
}

/* netback may unmap the rings of a connection only when it connects to the next one. */
TEST_F(NetfrontVif, BackendThatKeepsOnlyRingsIsReplaced)
{
	fake::netfront.max_queues = 8;
	device.backend["multi-queue-max-queues"] = "8";
	come_up();
	std::deque<NetBackend> before = std::move(others);
	connection_lost();
	negotiate();
	for (NetBackend &one : before)
		one.release();
	connect();
	EXPECT_EQ(device.parked, 0u);
	EXPECT_EQ(grant_counts().parked, 0u);
	go();
}

/* netback maps all of a packet but its first 128 bytes, for as long as the packet is on its way in dom0. */
TEST_F(NetfrontVif, BackendThatKeepsPagesStagedInIsNotReplacedYet)
{
	come_up();
	transmit(1);
	auto slot = others[0].next_tx();
	ASSERT_NE(others[0].map({ slot->gref }, false), nullptr);
	NetBackend holder = others[0];
	release();
	connection_lost();
	EXPECT_EQ(owners.at(1).dropped, 1u);
	EXPECT_EQ(xpv_vif_driver.negotiate(&device), -XEN_EBUSY);
	EXPECT_EQ(device.parked, 0u);
	EXPECT_EQ(grant_counts().parked, 0u);
	holder.unmap({ slot->gref });
	negotiate();
	connect();
	go();
}

/* Case 13. */
TEST_F(NetfrontVif, BackendThatKeepsPagesDoesNotHoldTheEndUp)
{
	come_up();
	auto posted = others[0].next_rx();
	ASSERT_NE(others[0].map({ posted->gref }, true), nullptr);
	transmit(1);
	auto slot = others[0].next_tx();
	ASSERT_NE(others[0].map({ slot->gref }, false), nullptr);
	NetBackend holder = others[0];
	go();
	EXPECT_EQ(device.parked, 2u);
	EXPECT_EQ(grant_counts().parked, 2u);
	holder.unmap({ posted->gref });
	holder.unmap({ slot->gref });
}

TEST_F(NetfrontVif, ConnectsAgainAfterDisconnect)
{
	probe();
	for (unsigned int i = 0; i < 3; i++) {
		negotiate();
		connect();
		transmit(i);
		disconnect();
		EXPECT_EQ(owners.at(i).dropped, 1u);
	}
	xpv_vif_driver.remove(&device);
}

TEST_F(NetfrontVif, HandshakeThatEndsHalfway)
{
	probe();
	negotiate();
	release();
	connection_lost();
	negotiate();
	disconnect();
	negotiate();
	connect();
	go();
}

TEST_F(NetfrontVif, FailuresOfTheHandshake)
{
	probe();
	device.publish_error = -XEN_EAGAIN;
	EXPECT_EQ(xpv_vif_driver.negotiate(&device), -XEN_EAGAIN);
	EXPECT_TRUE(channels.empty());
	device.publish_error = 0;
	device.read_error = -XEN_ETIMEDOUT;
	EXPECT_EQ(xpv_vif_driver.negotiate(&device), -XEN_ETIMEDOUT);
	device.read_error = 0;
	channels_left = 1;
	EXPECT_EQ(xpv_vif_driver.negotiate(&device), -XEN_ENOSPC);
	EXPECT_TRUE(channels.empty());
	channels_left = 100;
	fake::netfront.create_error = 0;
	negotiate();
	fake::netfront.connect_error = -XEN_ENOMEM;
	EXPECT_EQ(xpv_vif_driver.connect(&device), -XEN_ENOMEM);
	fake::netfront.connect_error = 0;
	fake::netfront.register_error = -XEN_ENOMEM;
	EXPECT_EQ(xpv_vif_driver.connect(&device), -XEN_ENOMEM);
	fake::netfront.register_error = 0;
	connect();
	EXPECT_TRUE(netdev().registered);
	go();
}

TEST_F(NetfrontVif, EveryAllocationFailsOnce)
{
	for (unsigned int n = 1;; n++) {
		ASSERT_LT(n, 200u);
		fake::fail_allocation(n);
		int probed = xpv_vif_driver.probe(&device);
		int negotiated = probed < 0 ? probed : xpv_vif_driver.negotiate(&device);
		fake::fail_allocation(0);
		if (probed == 0 && negotiated == 0) {
			attach();
			connect();
			disconnect();
		}
		if (probed == 0)
			xpv_vif_driver.remove(&device);
		EXPECT_TRUE(channels.empty());
		EXPECT_TRUE(fake::netfront.netdevs.empty());
		if (probed == 0 && negotiated == 0)
			break;
	}
}

/* ---- Multicast ---- */

class NetfrontFilter : public NetfrontVif {
protected:
	void SetUp() override
	{
		NetfrontVif::SetUp();
		device.backend["feature-dynamic-multicast-control"] = "1";
	}
	static xpv_net_address address(unsigned int i)
	{
		return { { 0x33, 0x33, 0, 0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i) } };
	}
	void want(unsigned int first, unsigned int end)
	{
		netdev().multicast.clear();
		for (unsigned int i = first; i < end; i++)
			netdev().multicast.push_back(address(i));
		xpv_vif_multicast_changed(netdev().parameters.vif);
	}
	/* As netback: what is in the ring, done and answered. */
	void serve(int status = NETIF_RSP_OKAY)
	{
		while (auto slot = others[0].next_tx()) {
			ASSERT_EQ(slot->flags, NETTXF_extra_info);
			auto extra = NetBackend::extra_of(*others[0].next_tx());
			EXPECT_EQ(extra.flags, 0);
			unsigned int number = extra.u.mcast.addr[4] * 256u + extra.u.mcast.addr[5];
			if (extra.type == XEN_NETIF_EXTRA_TYPE_MCAST_ADD)
				EXPECT_TRUE(list.insert(number).second);
			else if (extra.type == XEN_NETIF_EXTRA_TYPE_MCAST_DEL)
				EXPECT_EQ(list.erase(number), 1u);
			else
				ADD_FAILURE();
			others[0].respond_tx(slot->id, status);
			others[0].respond_tx(0xabcd, NETIF_RSP_NULL);
		}
		poll();
		EXPECT_EQ(device.failure, "");
	}
	bool filtering(const char *expected)
	{
		return eventually([&] {
			serve();
			return device.own.at("request-multicast-control") == expected;
		});
	}

	std::set<unsigned int> list;
};

TEST_F(NetfrontFilter, FollowsLinux)
{
	probe();
	negotiate();
	EXPECT_EQ(device.own.at("request-multicast-control"), "0");
	netdev().multicast = { address(1), address(2) };
	connect();
	ASSERT_TRUE(filtering("1"));
	EXPECT_EQ(list, (std::set<unsigned int>{ 1, 2 }));
	want(2, 5);
	EXPECT_TRUE(eventually([&] {
		serve();
		return list == std::set<unsigned int>{ 2, 3, 4 };
	}));
	netdev().all_multicast = true;
	want(2, 5);
	ASSERT_TRUE(filtering("0"));
	netdev().all_multicast = false;
	want(2, 66);
	ASSERT_TRUE(filtering("1"));
	EXPECT_EQ(list.size(), 64u);
	want(2, 67);
	ASSERT_TRUE(filtering("0"));
	go();
}

TEST_F(NetfrontFilter, NextConnectionBeginsAnew)
{
	come_up();
	want(1, 4);
	ASSERT_TRUE(filtering("1"));
	release();
	connection_lost();
	want(1, 4);
	list.clear();
	negotiate();
	EXPECT_EQ(device.own.at("request-multicast-control"), "0");
	connect();
	ASSERT_TRUE(filtering("1"));
	EXPECT_EQ(list.size(), 3u);
	go();
}

TEST_F(NetfrontFilter, BackendThatRefusesAnAddressSendsAll)
{
	come_up();
	ASSERT_TRUE(filtering("1"));
	want(1, 2);
	EXPECT_TRUE(eventually([&] {
		serve(NETIF_RSP_ERROR);
		return device.own.at("request-multicast-control") == "0";
	}));
	go();
}

TEST_F(NetfrontFilter, FullRingIsWaitedFor)
{
	come_up();
	ASSERT_TRUE(filtering("1"));
	unsigned int number = 0;
	while (transmit(number++) > 1) {
	}
	want(1, 9);
	fake::sleep_for(std::chrono::milliseconds(200));
	for (unsigned int i = 0; i + 1 < number; i++)
		others[0].respond_tx(others[0].next_tx()->id);
	poll();
	EXPECT_TRUE(eventually([&] {
		while (auto slot = others[0].next_tx()) {
			bool filter = slot->flags & NETTXF_extra_info;
			if (filter)
				list.insert(NetBackend::extra_of(*others[0].next_tx()).u.mcast.addr[5]);
			others[0].respond_tx(slot->id);
			if (filter)
				others[0].respond_tx(0, NETIF_RSP_NULL);
		}
		poll();
		return list.size() == 8;
	}));
	go();
}

TEST_F(NetfrontFilter, IsNotChangedDuringASuspend)
{
	come_up();
	ASSERT_TRUE(filtering("1"));
	auto told = [&](unsigned int count) {
		return eventually([&] {
			serve();
			return list.size() == count;
		});
	};
	auto hold = [&] {
		xpv_vif_driver.hold(&device);
		want(1, 4);
		EXPECT_EQ(xpv_vif_driver.drain(&device, xpv_now_ms()), 0);
		want(5, 9);
		fake::sleep_for(std::chrono::milliseconds(200));
		EXPECT_FALSE(others[0].next_tx());
	};
	hold();
	xpv_vif_driver.go_on(&device, XPV_RESUME_CANCELLED);
	EXPECT_TRUE(told(4));

	/* After a restore it waits for the next connection. */
	hold();
	xpv_vif_driver.go_on(&device, XPV_RESUME_RESTORED);
	want(1, 4);
	fake::sleep_for(std::chrono::milliseconds(200));
	EXPECT_FALSE(others[0].next_tx());
	release();
	connection_lost();
	list.clear();
	negotiate();
	connect();
	EXPECT_TRUE(told(3));
	go();
}

/* ---- Suspend ---- */

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
	EXPECT_TRUE(eventually([] { return netdev().announced == 4; }));
	others[0].deliver("x");
	event(channel("-rx"));
	EXPECT_EQ(poll().received, 1u);
	EXPECT_EQ(rx->eois, 1u);
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
