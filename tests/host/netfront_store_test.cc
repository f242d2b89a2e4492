// SPDX-License-Identifier: GPL-2.0-only
/* What xenstore says of a network device: its address, and what the backend supports. */
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "netfront/features.hh"
#include "netfront/identity.hh"
#include "netfront/linux.h"
#include "tests/host/fake/shim.hh"

namespace {

using namespace xpv;

TEST(NetfrontMac, SixPairsOfDigits)
{
	uint8_t mac[6] = {};
	ASSERT_TRUE(parse_mac("00:16:3e:AB:cd:ff", mac).ok());
	const uint8_t expected[] = { 0x00, 0x16, 0x3e, 0xab, 0xcd, 0xff };
	EXPECT_EQ(std::memcmp(mac, expected, 6), 0);
}

/* Case 26. */
TEST(NetfrontMac, OthersAreNone)
{
	for (const char *text :
	     { "", "0", "00:16:3e:ab:cd", "00:16:3e:ab:cd:", "00:16:3e:ab:cd:f",
	       "00:16:3e:ab:cd:ff:", "00:16:3e:ab:cd:ff:00", "00-16-3e-ab-cd-ff", "00:16:3e:ab:cd:fg",
	       "0016:3e:ab:cd:ff:0", " 0:16:3e:ab:cd:ff", "00:16:3e:ab:cd:ff ", "+0:16:3e:ab:cd:ff",
	       "0x:16:3e:ab:cd:ff", "00:00:00:00:00:00", "01:16:3e:ab:cd:ff", "ff:ff:ff:ff:ff:ff", ":::::" }) {
		SCOPED_TRACE(text);
		uint8_t mac[6];
		EXPECT_EQ(parse_mac(text, mac).error(), XEN_EINVAL);
	}
}

FeatureTexts netback()
{
	return { .rx_copy = "1",
		 .max_queues = "4",
		 .split_event_channels = "1",
		 .scatter_gather = "1",
		 .gso_tcpv4 = "1",
		 .gso_tcpv6 = "1",
		 .no_checksum_ipv4 = nullptr,
		 .checksum_ipv6 = "1",
		 .multicast_filter = "1",
		 .control_ring = "1" };
}

TEST(NetfrontFeatures, Netbacks)
{
	auto features = check_features(netback(), "device/vif/0");
	ASSERT_TRUE(features.ok());
	EXPECT_EQ(features.value().max_queues, 4u);
	EXPECT_TRUE(features.value().split_event_channels);
	EXPECT_TRUE(features.value().scatter_gather);
	EXPECT_TRUE(features.value().gso_tcpv4);
	EXPECT_TRUE(features.value().gso_tcpv6);
	EXPECT_TRUE(features.value().checksum_ipv4);
	EXPECT_TRUE(features.value().checksum_ipv6);
	EXPECT_TRUE(features.value().multicast_filter);
	EXPECT_TRUE(features.value().control_ring);
}

TEST(NetfrontFeatures, TheLeastThatABackendHas)
{
	auto features = check_features({ .rx_copy = "1" }, "device/vif/0");
	ASSERT_TRUE(features.ok());
	EXPECT_EQ(features.value().max_queues, 1u);
	EXPECT_FALSE(features.value().split_event_channels);
	EXPECT_FALSE(features.value().scatter_gather);
	EXPECT_FALSE(features.value().gso_tcpv4);
	EXPECT_FALSE(features.value().gso_tcpv6);
	EXPECT_TRUE(features.value().checksum_ipv4);
	EXPECT_FALSE(features.value().checksum_ipv6);
	EXPECT_FALSE(features.value().multicast_filter);
	EXPECT_FALSE(features.value().control_ring);
}

TEST(NetfrontFeatures, BackendThatCannotCopy)
{
	for (const char *text : { static_cast<const char *>(nullptr), "0", "", "yes" }) {
		auto texts = netback();
		texts.rx_copy = text;
		EXPECT_EQ(check_features(texts, "device/vif/0").error(), XEN_EOPNOTSUPP);
	}
	fake::take_log();
}

/* Case 24. */
TEST(NetfrontFeatures, NumbersOfQueues)
{
	const struct {
		const char *text;
		unsigned int queues;
	} table[] = { { "0", 1 },
		      { "1", 1 },
		      { "64", 64 },
		      { "65", 64 },
		      { "4294967296", 64 },
		      { "18446744073709551615", 64 },
		      { "99999999999999999999999", 1 },
		      { "-1", 1 },
		      { "", 1 },
		      { "abc", 1 },
		      { "4 ", 1 } };
	for (const auto &[text, queues] : table) {
		SCOPED_TRACE(text);
		auto texts = netback();
		texts.max_queues = text;
		EXPECT_EQ(check_features(texts, "device/vif/0").value().max_queues, queues);
	}
}

TEST(NetfrontFeatures, NoSegmentationWithoutScatterGather)
{
	auto texts = netback();
	texts.scatter_gather = "0";
	auto features = check_features(texts, "device/vif/0");
	EXPECT_FALSE(features.value().gso_tcpv4);
	EXPECT_FALSE(features.value().gso_tcpv6);
}

TEST(NetfrontLink, CarrierAndSpeed)
{
	EXPECT_TRUE(check_link(nullptr, nullptr).carrier);
	EXPECT_FALSE(check_link(nullptr, nullptr).has_carrier);
	EXPECT_FALSE(check_link("0", nullptr).carrier);
	EXPECT_TRUE(check_link("0", nullptr).has_carrier);
	EXPECT_TRUE(check_link("1", "1000").carrier);
	EXPECT_EQ(check_link("1", "1000").speed, 1000u);
	EXPECT_EQ(check_link("1", "99999999999").speed, 0u);
	EXPECT_EQ(check_link("1", "fast").speed, 0u);
	EXPECT_TRUE(check_link("nonsense", nullptr).carrier);
}

} // namespace
