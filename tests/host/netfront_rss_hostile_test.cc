// SPDX-License-Identifier: GPL-2.0-only
/* Receive side scaling with backends that refuse, do not answer, or answer wrongly. */
#include "tests/host/netfront_rss_fixture.hh"

namespace {

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

} // namespace
