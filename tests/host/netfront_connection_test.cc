// SPDX-License-Identifier: GPL-2.0-only
/* A vif whose connections end and begin. */
#include "tests/host/netfront_vif_fixture.hh"

namespace {

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
	fake::settle();
	EXPECT_EQ(netdev().announced, 1u);
	fake::advance(std::chrono::milliseconds(100));
	EXPECT_EQ(netdev().announced, 3u) << "most of them soon";
	fake::advance(std::chrono::milliseconds(800));
	EXPECT_EQ(netdev().announced, 5u);
	fake::advance(std::chrono::milliseconds(100));
	EXPECT_EQ(netdev().announced, 6u);
	fake::sleep_for(std::chrono::seconds(5));
	EXPECT_EQ(netdev().announced, 6u);
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

} // namespace
