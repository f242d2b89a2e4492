/* SPDX-License-Identifier: GPL-2.0-only */
/* A vif with a control ring, and what a test does with both. For one source of a program. */
#pragma once

#include <functional>

#include "tests/host/netfront_control_backend.hh"
#include "tests/host/netfront_vif_fixture.hh"

namespace xpv_test {

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

} // namespace xpv_test
