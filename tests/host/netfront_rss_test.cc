// SPDX-License-Identifier: GPL-2.0-only
/* Receive side scaling: what a vif tells the backend over the control ring. */
#include "tests/host/netfront_rss_fixture.hh"

namespace {

TEST_F(NetfrontRss, BackendIsToldAllOnce)
{
	begin();
	EXPECT_TRUE(netdev().features.receive_hash);
	EXPECT_EQ(control_channel().name, "vif0-ctrl");
	serve();
	EXPECT_EQ(control.served,
		  (Types{ XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE,
			  XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, XEN_NETIF_CTRL_TYPE_SET_HASH_KEY,
			  XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS,
			  XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS }));
	EXPECT_EQ(control.settings.algorithm, XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ);
	EXPECT_EQ(control.settings.types, 15u);
	EXPECT_EQ(control.settings.key, key_of(settings()));
	EXPECT_EQ(control.settings.mapping, even(4));
	EXPECT_TRUE(settings().supported);
	EXPECT_EQ(mapping_of(settings()), even(4));
	EXPECT_EQ(control_channel().spurious, 0u);
	EXPECT_EQ(control_channel().eois, 7u);
	EXPECT_EQ(device.failure, "");
	end();
}

TEST_F(NetfrontRss, ConnectionDoesNotWait)
{
	uint64_t before = xpv_now_ms();
	begin();
	EXPECT_LT(xpv_now_ms() - before, 1000u);
	EXPECT_TRUE(netdev().registered);
	end();
}

TEST_F(NetfrontRss, BackendWithoutAControlRing)
{
	device.backend.erase("feature-ctrl-ring");
	come_up();
	EXPECT_FALSE(device.own.contains("ctrl-ring-ref"));
	EXPECT_FALSE(netdev().features.receive_hash);
	EXPECT_FALSE(settings().supported);
	EXPECT_EQ(set(chosen()), -XEN_EOPNOTSUPP);
	EXPECT_EQ(set(settings()), 0) << "the way back to what there is";
	go();
}

/* netback would map the old one, and fail. */
TEST_F(NetfrontRss, RingOfAnEarlierDriverIsNotLeftInXenstore)
{
	device.own["ctrl-ring-ref"] = "9999";
	fake::netfront.receive_hash = false;
	come_up();
	EXPECT_FALSE(device.own.contains("ctrl-ring-ref"));
	EXPECT_FALSE(settings().supported);
	go();
}

TEST_F(NetfrontRss, OneQueueNeedsNoHash)
{
	device.backend.erase("multi-queue-max-queues");
	control.settings.algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
	begin();
	serve();
	EXPECT_EQ(control.settings.algorithm, XEN_NETIF_CTRL_HASH_ALGORITHM_NONE);
	EXPECT_EQ(control.settings.mapping, even(1));
	EXPECT_TRUE(settings().supported);
	end();
}

TEST_F(NetfrontRss, ChangesAreTold)
{
	come_up_hashing();
	control.served.clear();
	xpv_net_rss rss = chosen();
	EXPECT_EQ(set(rss), 0);
	EXPECT_EQ(mapping_of(settings()), mapping_of(rss));
	serve();
	EXPECT_EQ(control.settings.key, key_of(rss));
	EXPECT_EQ(control.settings.mapping, mapping_of(rss));
	EXPECT_EQ(control.served, (Types{ XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, XEN_NETIF_CTRL_TYPE_SET_HASH_KEY }));

	control.served.clear();
	EXPECT_EQ(set(rss), 0);
	serve();
	EXPECT_TRUE(control.served.empty()) << "nothing changed";

	rss.types = XPV_NET_RSS_IPV4;
	EXPECT_EQ(set(rss), 0);
	serve();
	EXPECT_EQ(control.settings.types, 1u);
	rss.types = 0;
	EXPECT_EQ(set(rss), 0);
	serve();
	EXPECT_EQ(control.settings.algorithm, XEN_NETIF_CTRL_HASH_ALGORITHM_NONE);
	rss.types = XPV_NET_RSS_TYPES;
	EXPECT_EQ(set(rss), 0);
	serve();
	EXPECT_EQ(control.settings.algorithm, XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ);
	EXPECT_EQ(control.settings.types, 15u);
	rss.types = 16;
	EXPECT_EQ(set(rss), -XEN_EINVAL);
	end();
}

TEST_F(NetfrontRss, ChangeWhileTheBackendIsBusy)
{
	begin();
	ASSERT_TRUE(eventually([&] { return control.ring().req_prod != 0; }));
	xpv_net_rss rss = chosen();
	EXPECT_EQ(set(rss), 0);
	rss.key[1] = 0xdd;
	EXPECT_EQ(set(rss), 0);
	serve();
	EXPECT_EQ(control.settings.key, key_of(rss));
	EXPECT_EQ(control.settings.mapping, mapping_of(rss));
	end();
}

TEST_F(NetfrontRss, SettingsOutliveConnections)
{
	come_up_hashing();
	xpv_net_rss rss = chosen();
	EXPECT_EQ(set(rss), 0);
	serve();
	connect_again();
	serve();
	EXPECT_EQ(control.settings.key, key_of(rss));
	EXPECT_EQ(control.settings.mapping, mapping_of(rss));
	EXPECT_EQ(control.settings.types, 15u);

	/* Also what was set while there was no connection. */
	release();
	control.release();
	connection_lost();
	EXPECT_TRUE(settings().supported);
	rss.key[2] = 0xcc;
	EXPECT_EQ(set(rss), 0);
	negotiate();
	attach_control();
	connect();
	serve();
	EXPECT_EQ(control.settings.key, key_of(rss));
	end();
}

TEST_F(NetfrontRss, NextConnectionHasFewerQueues)
{
	come_up_hashing();
	EXPECT_EQ(set(chosen()), 0);
	device.backend["multi-queue-max-queues"] = "2";
	connect_again();
	serve();
	for (uint32_t queue : control.settings.mapping)
		EXPECT_EQ(queue, 1u);
	EXPECT_EQ(mapping_of(settings()), mapping_of(chosen())) << "kept";
	EXPECT_TRUE(settings().supported);
	end();
}

TEST_F(NetfrontRss, EvenSpreadFollowsTheQueues)
{
	come_up_hashing();
	device.backend["multi-queue-max-queues"] = "3";
	connect_again();
	serve();
	EXPECT_EQ(control.settings.mapping, even(3));
	EXPECT_EQ(mapping_of(settings()), even(3));
	end();
}

/* ---- Failures of our own ---- */

TEST_F(NetfrontRss, NoChannelForTheControlRing)
{
	channels_left = 8;
	come_up();
	EXPECT_FALSE(device.own.contains("ctrl-ring-ref"));
	EXPECT_EQ(warnings("vif0: cannot make the control ring"), 1u);
	EXPECT_FALSE(settings().supported);
	go();
}

TEST_F(NetfrontRss, HandshakeThatFailsAfterTheRingWasMade)
{
	probe();
	device.publish_error = -XEN_EAGAIN;
	EXPECT_EQ(xpv_vif_driver.negotiate(&device), -XEN_EAGAIN);
	EXPECT_TRUE(channels.empty());
	device.publish_error = 0;
	negotiate();
	attach_control();
	connect();
	serve();
	EXPECT_EQ(control.settings.types, 15u);
	end();
}

TEST_F(NetfrontRss, EveryAllocationFailsOnce)
{
	for (unsigned int n = 1;; n++) {
		ASSERT_LT(n, 300u);
		fake::fail_allocation(n);
		int probed = xpv_vif_driver.probe(&device);
		int negotiated = probed < 0 ? probed : xpv_vif_driver.negotiate(&device);
		fake::fail_allocation(0);
		bool complete = negotiated == 0 && device.own.contains("ctrl-ring-ref") &&
				key("multi-queue-num-queues") == 4;
		if (negotiated == 0) {
			attach();
			connect();
			disconnect();
		}
		if (probed == 0)
			xpv_vif_driver.remove(&device);
		EXPECT_TRUE(channels.empty());
		device.own.erase("ctrl-ring-ref");
		if (complete)
			break;
	}
}

/* ---- Suspend ---- */

TEST_F(NetfrontRss, CancelledSuspendGoesOn)
{
	begin();
	ASSERT_TRUE(eventually([&] { return control.ring().req_prod != 0; }));
	xpv_vif_driver.hold(&device);
	EXPECT_EQ(xpv_vif_driver.drain(&device, xpv_now_ms()), 0);
	/* What comes meanwhile waits, and so do changes. */
	EXPECT_TRUE(control.serve());
	event(control_channel());
	EXPECT_EQ(set(chosen()), 0);
	fake::sleep_for(std::chrono::milliseconds(xpv::ControlRing::answer_ms + 100));
	EXPECT_FALSE(control.next());
	xpv_vif_driver.go_on(&device, XPV_RESUME_CANCELLED);
	serve();
	EXPECT_EQ(control.settings.types, 15u);
	EXPECT_EQ(control.settings.mapping, mapping_of(chosen()));
	EXPECT_TRUE(settings().supported);
	EXPECT_FALSE(control_channel().awaits_eoi);
	end();
}

TEST_F(NetfrontRss, BackendHasAllItsTimeAgainAfterASuspend)
{
	begin();
	ASSERT_TRUE(eventually([&] { return control.ring().req_prod != 0; }));
	xpv_vif_driver.hold(&device);
	EXPECT_EQ(xpv_vif_driver.drain(&device, xpv_now_ms()), 0);
	fake::sleep_for(std::chrono::milliseconds(xpv::ControlRing::answer_ms + 100));
	xpv_vif_driver.go_on(&device, XPV_RESUME_CANCELLED);
	fake::sleep_for(std::chrono::milliseconds(200));
	EXPECT_TRUE(settings().supported);
	serve();
	EXPECT_EQ(control.settings.types, 15u);
	end();
}

TEST_F(NetfrontRss, RestoredInterfaceTellsTheNextBackend)
{
	come_up_hashing();
	xpv_net_rss rss = chosen();
	EXPECT_EQ(set(rss), 0);
	serve();
	control.release();
	restore();
	EXPECT_EQ(set(rss), 0);
	connection_lost();
	control.settings = {};
	negotiate();
	attach_control();
	connect();
	serve();
	EXPECT_EQ(control.settings.key, key_of(rss));
	EXPECT_EQ(control.settings.mapping, mapping_of(rss));
	end();
}

} // namespace
