// SPDX-License-Identifier: GPL-2.0-only
/* The multicast filter in the backend follows Linux's list. */
#include "tests/host/netfront_vif_fixture.hh"

namespace {

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

} // namespace
