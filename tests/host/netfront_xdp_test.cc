// SPDX-License-Identifier: GPL-2.0-only
/* What a vif receives for programs (XDP), and asks of its backend for them, in each connection. */
#include "tests/host/netfront_vif_fixture.hh"

namespace {

class NetfrontXdp : public NetfrontVif {
protected:
	void TearDown() override
	{
		go();
		NetfrontVif::TearDown();
	}
	void set_xdp(bool xdp) { xpv_vif_set_xdp(netdev().parameters.vif, xdp); }
	void reconnect()
	{
		release();
		connection_lost();
		negotiate();
		connect();
	}
	void expect_asked(bool xdp)
	{
		const char *offloads = xdp ? "0" : "1";
		EXPECT_EQ(device.own.at("feature-gso-tcpv4"), offloads);
		EXPECT_EQ(device.own.at("feature-gso-tcpv6"), offloads);
		EXPECT_EQ(device.own.at("feature-ipv6-csum-offload"), offloads);
		EXPECT_EQ(device.own.at("feature-no-csum-offload"), xdp ? "1" : "0");
		/* The same with programs. */
		EXPECT_EQ(device.own.at("feature-sg"), "1");
		EXPECT_EQ(device.own.at("xdp-headroom"), "0");
	}
};

/* What a program cannot have is asked of the backend by another connection. */
TEST_F(NetfrontXdp, ProgramsMakeAnotherConnection)
{
	/* An earlier driver's. */
	device.own["xdp-headroom"] = "256";
	device.backend["feature-xdp-headroom"] = "1";
	come_up();
	expect_asked(false);
	set_xdp(false);
	EXPECT_EQ(device.reconnects, 0u);
	set_xdp(true);
	EXPECT_EQ(device.reconnects, 1u);
	/* Another program. */
	set_xdp(true);
	EXPECT_EQ(device.reconnects, 1u);
	fake::take_log();
	reconnect();
	expect_asked(true);
	auto log = fake::take_log();
	ASSERT_FALSE(log.empty());
	EXPECT_NE(log.back().find(", XDP"), std::string::npos) << log.back();
	/* Of what Linux transmits. */
	EXPECT_TRUE(netdev().features.gso_tcpv4 && netdev().features.checksum_ipv4);
	set_xdp(false);
	EXPECT_EQ(device.reconnects, 2u);
	reconnect();
	expect_asked(false);
}

TEST_F(NetfrontXdp, EveryConnectionIsAsked)
{
	come_up();
	set_xdp(true);
	reconnect();
	expect_asked(true);
	restore();
	connection_lost();
	negotiate();
	connect();
	expect_asked(true);
	EXPECT_EQ(device.reconnects, 1u);
	/* Changed while there is no connection: the next one knows. */
	release();
	connection_lost();
	set_xdp(false);
	negotiate();
	connect();
	expect_asked(false);
}

/* The bus connects again, as negotiate() was over. */
TEST_F(NetfrontXdp, ProgramDuringTheHandshake)
{
	come_up();
	release();
	connection_lost();
	negotiate();
	set_xdp(true);
	EXPECT_EQ(device.reconnects, 1u);
	connect();
	expect_asked(false);
	reconnect();
	expect_asked(true);
}

/* Linux copies them, and their pages are posted again as they are. */
TEST_F(NetfrontXdp, PagesOfPacketsStayGranted)
{
	come_up();
	auto receive = [this](unsigned int length) {
		EXPECT_TRUE(others[0].deliver(std::string(length, 'x')));
		EXPECT_EQ(poll().received, 1u);
		return 256 - netdev().halves[0].pages;
	};
	EXPECT_EQ(receive(256), 0u);
	EXPECT_EQ(receive(257), 1u);
	set_xdp(true);
	reconnect();
	EXPECT_EQ(receive(1514), 0u);
	EXPECT_EQ(receive(4096), 0u);
	/* Of two pages. */
	EXPECT_TRUE(others[0].deliver(std::string(4096, 'x'), NETRXF_more_data));
	EXPECT_EQ(receive(1), 2u);
}

} // namespace
