// SPDX-License-Identifier: GPL-2.0-only
/* Receive side scaling: what a vif tells backends over the control ring, well-behaved ones and others. */
#include <functional>

#include "tests/host/netfront_control_backend.hh"
#include "tests/host/netfront_vif_fixture.hh"

namespace {

using Types = std::vector<uint32_t>;

class NetfrontRss : public NetfrontVif {
protected:
	void SetUp() override
	{
		NetfrontVif::SetUp();
		device.backend["feature-ctrl-ring"] = "1";
		fake::netfront.max_queues = 4;
	}
	void TearDown() override
	{
		control.release();
		NetfrontVif::TearDown();
	}

	/* netback maps the control ring when it connects. */
	void attach_control()
	{
		control.attach({ key("ctrl-ring-ref") });
		control.queue_count = key("multi-queue-num-queues");
	}
	/* Up to where the backend is to be told. */
	void begin()
	{
		probe();
		negotiate();
		attach_control();
		connect();
	}
	xpv_event_channel &control_channel() { return *channels.at(key("event-channel-ctrl")); }
	/* Serve requests, with an event for each response, until nothing more comes for a while. */
	void serve()
	{
		unsigned int idle = 0;
		while (idle < 5) {
			if (control.serve()) {
				event(control_channel());
				idle = 0;
			}
			fake::sleep_for(std::chrono::milliseconds(20));
			idle++;
		}
	}
	void come_up_hashing()
	{
		begin();
		serve();
		ASSERT_EQ(control.settings.types, 15u);
	}
	void end()
	{
		control.release();
		go();
	}
	/* The backend goes, and another connection begins. */
	void connect_again()
	{
		release();
		control.release();
		connection_lost();
		control.settings = {};
		control.served.clear();
		negotiate();
		attach_control();
		connect();
	}
	static xpv_vif *vif() { return netdev().parameters.vif; }
	static xpv_net_rss settings()
	{
		xpv_net_rss rss;
		xpv_vif_get_rss(vif(), &rss);
		return rss;
	}
	static int set(const xpv_net_rss &rss) { return xpv_vif_set_rss(vif(), &rss); }
	static std::string key_of(const xpv_net_rss &rss) { return { rss.key, rss.key + sizeof(rss.key) }; }
	static std::vector<uint32_t> even(unsigned int queues, unsigned int entries = 128)
	{
		std::vector<uint32_t> mapping;
		for (unsigned int i = 0; i < entries; i++)
			mapping.push_back(i % queues);
		return mapping;
	}
	/* One that no smaller one can stand for. */
	static xpv_net_rss chosen()
	{
		xpv_net_rss rss = settings();
		rss.spread_evenly = false;
		for (unsigned int i = 0; i < XPV_NET_RSS_ENTRIES; i++)
			rss.mapping[i] = i < 100 ? 3 : 1;
		rss.key[0] = 0xee;
		return rss;
	}
	static std::vector<uint32_t> mapping_of(const xpv_net_rss &rss)
	{
		return { rss.mapping, rss.mapping + XPV_NET_RSS_ENTRIES };
	}
	/* Lines that say that there is no hashing, with this among them; all others say nothing of it. */
	static unsigned int warnings(const std::string &text)
	{
		unsigned int count = 0;
		for (const std::string &line : fake::take_log())
			if (line.find("not using receive hashing") != std::string::npos) {
				count++;
				EXPECT_NE(line.find(text), std::string::npos) << line;
			}
		return count;
	}
	/* Given up for this connection, with one line in the log; all else goes on. */
	void expect_given_up(const std::string &line)
	{
		EXPECT_TRUE(eventually([] { return !settings().supported; }));
		EXPECT_EQ(warnings(line), 1u);
		EXPECT_EQ(device.failure, "");
		EXPECT_EQ(set(chosen()), -XEN_EOPNOTSUPP);
		transmit(77);
		others[0].respond_tx(others[0].next_tx()->id);
		EXPECT_EQ(poll().transmitted, 1u);
		/* What comes late is not looked at. */
		event(control_channel());
		fake::sleep_for(std::chrono::milliseconds(100));
		EXPECT_FALSE(control.next());
		EXPECT_TRUE(control_channel().awaits_eoi) << "the port stays masked";
	}

	ControlBackend control{ backend };
};

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

/* ---- What backends may say ---- */

/* Case 24. */
TEST_F(NetfrontRss, SizesOfTables)
{
	const struct {
		uint32_t most;
		unsigned int entries;
	} table[] = { { 0, 0 },	   { 1, 1 },	 { 3, 2 },	{ 64, 64 },
		      { 127, 64 }, { 128, 128 }, { 1000, 128 }, { 0xffffffff, 128 } };
	for (const auto &[most, entries] : table) {
		SCOPED_TRACE(most);
		control.most_entries = most;
		begin();
		serve();
		EXPECT_EQ(control.settings.mapping, even(4, entries));
		EXPECT_EQ(control.settings.types, 15u);
		EXPECT_EQ(set(chosen()), entries == 128 ? 0 : -XEN_EOPNOTSUPP);
		xpv_net_rss rss = settings();
		rss.spread_evenly = false;
		for (uint32_t &queue : rss.mapping)
			queue = 2;
		EXPECT_EQ(set(rss), entries == 0 ? -XEN_EOPNOTSUPP : 0);
		EXPECT_EQ(device.failure, "");
		control.settings = {};
		end();
	}
}

TEST_F(NetfrontRss, BackendWithoutATable)
{
	control.refused_type = XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE;
	control.refused_status = XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
	begin();
	serve();
	EXPECT_TRUE(control.settings.mapping.empty());
	EXPECT_EQ(control.settings.types, 15u);
	end();
}

TEST_F(NetfrontRss, BackendThatKnowsFewerTypes)
{
	control.known_types = XPV_NET_RSS_IPV4 | XPV_NET_RSS_IPV4_TCP | 0xf0;
	begin();
	serve();
	EXPECT_EQ(control.settings.types, 3u);
	end();
}

TEST_F(NetfrontRss, BackendThatKnowsNoTypes)
{
	control.known_types = 0xf0;
	begin();
	serve();
	EXPECT_EQ(control.settings.algorithm, XEN_NETIF_CTRL_HASH_ALGORITHM_NONE);
	EXPECT_EQ(device.failure, "");
	end();
}

TEST_F(NetfrontRss, EachRequestRefused)
{
	for (uint32_t type = XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS; type <= XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM; type++)
		for (uint32_t status : { 1u, 2u, 3u, 4u, 0xffffffffu }) {
			if (type == XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE && status == 1)
				continue;
			SCOPED_TRACE(testing::Message() << "type " << type << " status " << status);
			control.refused_type = type;
			control.refused_status = status;
			begin();
			serve();
			expect_given_up("vif0: backend refuses ");
			end();
			/* The log has room for more lines. */
			fake::sleep_for(std::chrono::seconds(3));
		}
}

/* Case 23. */
TEST_F(NetfrontRss, BackendThatNeverAnswers)
{
	begin();
	ASSERT_TRUE(eventually([&] { return control.ring().req_prod != 0; }));
	auto request = control.next();
	fake::sleep_for(std::chrono::milliseconds(xpv::ControlRing::answer_ms));
	expect_given_up("vif0: backend does not answer on the control ring");
	control.respond(request->id, request->type);
	fake::sleep_for(std::chrono::milliseconds(100));
	EXPECT_EQ(device.failure, "");
	/* The next connection tries again. */
	connect_again();
	serve();
	EXPECT_EQ(control.settings.types, 15u);
	end();
}

/* Case 23. */
TEST_F(NetfrontRss, BackendThatNeverAnswersDoesNotHoldTheEndUp)
{
	begin();
	ASSERT_TRUE(eventually([&] { return control.ring().req_prod != 0; }));
	uint64_t before = xpv_now_ms();
	end();
	EXPECT_LT(xpv_now_ms() - before, 1000u);
}

/* Case 18. */
TEST_F(NetfrontRss, EventThatWasForgottenIsMissedForAWhileOnly)
{
	begin();
	ASSERT_TRUE(eventually([&] { return control.ring().req_prod != 0; }));
	control.serve();
	fake::sleep_for(std::chrono::milliseconds(xpv::ControlRing::answer_ms));
	EXPECT_TRUE(eventually([&] { return control.serve(); })) << "the next request";
	EXPECT_TRUE(settings().supported);
	end();
}

/* Cases 1 to 5. */
TEST_F(NetfrontRss, ResponseToAnotherRequest)
{
	const std::function<void(const xen_netif_ctrl_request &)> faults[] = {
		[&](const auto &request) { control.respond(request.id + 1u, request.type); },
		[&](const auto &request) { control.respond(request.id, request.type + 1u); },
		[&](const auto &request) {
			control.respond(request.id, request.type);
			control.respond(request.id, request.type);
		},
		[&](const auto &) { control.ring().rsp_prod += 1000; },
	};
	for (const auto &fault : faults) {
		begin();
		ASSERT_TRUE(eventually([&] { return control.ring().req_prod != 0; }));
		auto request = control.next();
		fault(*request);
		event(control_channel());
		EXPECT_TRUE(eventually([&] { return device.failure.find("control response") != std::string::npos; }));
		EXPECT_TRUE(control_channel().awaits_eoi);
		fake::sleep_for(std::chrono::milliseconds(100));
		EXPECT_FALSE(control.next()) << "nothing more is asked";
		device.failure.clear();
		end();
	}
}

/* Case 17. */
TEST_F(NetfrontRss, EventsWithoutWorkAreSpurious)
{
	come_up_hashing();
	for (unsigned int i = 1; i < 4; i++) {
		event(control_channel());
		EXPECT_TRUE(eventually([&] { return control_channel().spurious == i; }));
	}
	end();
}

/* netback may unmap the ring of a connection only when it connects to the next one. */
TEST_F(NetfrontRss, BackendThatKeepsTheRingMapped)
{
	come_up_hashing();
	ControlBackend before = control;
	release();
	connection_lost();
	negotiate();
	attach_control();
	before.release();
	connect();
	serve();
	EXPECT_EQ(device.parked, 0u);
	EXPECT_EQ(grant_counts().parked, 0u);
	end();
}

/* Case 13. */
TEST_F(NetfrontRss, BackendThatKeepsTheRingForEver)
{
	come_up_hashing();
	go();
	EXPECT_EQ(device.parked, 1u);
	EXPECT_EQ(grant_counts().parked, 1u);
	control.release();
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
