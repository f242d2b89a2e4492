// SPDX-License-Identifier: GPL-2.0-only
/* What is set and reported: features, MTU, addresses, link, statistics, channels. */

#include "netfront_kunit.h"

#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/notifier.h>
#include <linux/rtnetlink.h>

static const struct xpv_netdev_features no_features;

void features_follow_the_backend(struct kunit *test)
{
	const netdev_features_t offloads = NETIF_F_SG | NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM | NETIF_F_TSO |
					   NETIF_F_TSO6 | NETIF_F_RXHASH;
	struct xpv_netdev_features features = all_features;
	struct xpv_vif *vif = vif_make(test, 1, &all_features);

	KUNIT_EXPECT_EQ(test, offloads, vif->dev->features & offloads);
	vif_disconnect(vif);
	vif_connect(vif, 1, &no_features);
	KUNIT_EXPECT_EQ(test, (netdev_features_t)0, vif->dev->features & offloads);
	/* User space may still want them, for another backend. */
	KUNIT_EXPECT_EQ(test, offloads, vif->dev->hw_features & offloads);
	vif_disconnect(vif);
	features.checksum_ipv6 = features.gso_tcpv6 = features.receive_hash = false;
	vif_connect(vif, 1, &features);
	KUNIT_EXPECT_EQ(test, NETIF_F_SG | NETIF_F_IP_CSUM | NETIF_F_TSO, vif->dev->features & offloads);
	vif_disconnect(vif);
	vif_connect(vif, 1, &all_features);
	KUNIT_EXPECT_EQ(test, offloads, vif->dev->features & offloads);
}

static int set_mtu(struct xpv_vif *vif, int mtu)
{
	int error;

	rtnl_lock();
	error = dev_set_mtu(vif->dev, mtu);
	rtnl_unlock();
	return error;
}

void mtu_needs_scatter_gather(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);

	/* A packet has 65535 bytes at most, headers of Ethernet and of a VLAN among them. */
	KUNIT_EXPECT_EQ(test, 0, set_mtu(vif, 65517));
	KUNIT_EXPECT_EQ(test, -EINVAL, set_mtu(vif, 65518));
	KUNIT_EXPECT_EQ(test, 0, set_mtu(vif, 9000));
	KUNIT_EXPECT_TRUE(test, vif_send_and_wait(vif, packet_in_pages(2, 64, 9014)));
	vif_disconnect(vif);
	vif_connect(vif, 1, &no_features);
	KUNIT_EXPECT_EQ(test, 1500u, vif->dev->mtu);
	KUNIT_EXPECT_EQ(test, -EINVAL, set_mtu(vif, 1501));
	KUNIT_EXPECT_EQ(test, 0, set_mtu(vif, 1400));
	vif_disconnect(vif);
	vif_connect(vif, 1, &all_features);
	KUNIT_EXPECT_EQ(test, 1400u, vif->dev->mtu);
	KUNIT_EXPECT_EQ(test, 0, set_mtu(vif, 9000));
}

/* ---- Multicast ---- */

static bool has_address(const struct xpv_net_address *addresses, int count, const u8 *address)
{
	int i;

	for (i = 0; i < count; i++)
		if (!memcmp(addresses[i].octets, address, ETH_ALEN))
			return true;
	return false;
}

void multicast_list_is_copied(struct kunit *test)
{
	static const u8 first[ETH_ALEN] = { 0x01, 0, 0x5e, 1, 2, 3 };
	static const u8 second[ETH_ALEN] = { 0x33, 0x33, 0, 0, 0, 0x77 };
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	static struct xpv_net_address addresses[XPV_NET_FILTER_MAX];
	unsigned int changes = vif->multicast_changes;
	int before, count;

	/* Linux itself wants some. */
	before = xpv_netdev_multicast(vif->netdev, addresses, ARRAY_SIZE(addresses));
	KUNIT_ASSERT_GE(test, before, 0);
	KUNIT_ASSERT_EQ(test, 0, dev_mc_add(vif->dev, first));
	KUNIT_ASSERT_EQ(test, 0, dev_mc_add(vif->dev, second));
	KUNIT_EXPECT_GE(test, vif->multicast_changes, changes + 2);
	count = xpv_netdev_multicast(vif->netdev, addresses, ARRAY_SIZE(addresses));
	KUNIT_EXPECT_EQ(test, before + 2, count);
	KUNIT_EXPECT_TRUE(test, has_address(addresses, count, first));
	KUNIT_EXPECT_TRUE(test, has_address(addresses, count, second));
	KUNIT_EXPECT_EQ(test, count, xpv_netdev_multicast(vif->netdev, addresses, count));
	KUNIT_EXPECT_EQ(test, -E2BIG, xpv_netdev_multicast(vif->netdev, addresses, count - 1));
	dev_mc_del(vif->dev, first);
	count = xpv_netdev_multicast(vif->netdev, addresses, ARRAY_SIZE(addresses));
	KUNIT_EXPECT_EQ(test, before + 1, count);
	KUNIT_EXPECT_FALSE(test, has_address(addresses, count, first));

	rtnl_lock();
	dev_set_promiscuity(vif->dev, 1);
	KUNIT_EXPECT_EQ(test, -E2BIG, xpv_netdev_multicast(vif->netdev, addresses, ARRAY_SIZE(addresses)));
	dev_set_promiscuity(vif->dev, -1);
	dev_set_allmulti(vif->dev, 1);
	KUNIT_EXPECT_EQ(test, -E2BIG, xpv_netdev_multicast(vif->netdev, addresses, ARRAY_SIZE(addresses)));
	dev_set_allmulti(vif->dev, -1);
	rtnl_unlock();
	KUNIT_EXPECT_EQ(test, before + 1, xpv_netdev_multicast(vif->netdev, addresses, ARRAY_SIZE(addresses)));
}

/* ---- Link ---- */

/* Return the speed as ethtool shows it, and whether the duplex is full. */
static int speed_of(const struct xpv_vif *vif, bool *full_duplex)
{
	struct ethtool_link_ksettings settings = {};

	rtnl_lock();
	vif->dev->ethtool_ops->get_link_ksettings(vif->dev, &settings);
	rtnl_unlock();
	*full_duplex = settings.base.duplex == DUPLEX_FULL;
	return settings.base.speed;
}

void link_is_reported(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	bool full_duplex;

	KUNIT_EXPECT_EQ(test, 1000, speed_of(vif, &full_duplex));
	KUNIT_EXPECT_TRUE(test, full_duplex);
	xpv_netdev_set_link(vif->netdev, false, 0);
	KUNIT_EXPECT_FALSE(test, netif_carrier_ok(vif->dev));
	KUNIT_EXPECT_EQ(test, SPEED_UNKNOWN, speed_of(vif, &full_duplex));
	KUNIT_EXPECT_FALSE(test, full_duplex);
	xpv_netdev_set_link(vif->netdev, true, 10000);
	KUNIT_EXPECT_TRUE(test, netif_carrier_ok(vif->dev));
	KUNIT_EXPECT_EQ(test, 10000, speed_of(vif, &full_duplex));
	vif_wait_ready(vif);
	KUNIT_EXPECT_TRUE(test, vif_send_and_wait(vif, packet_linear(100)));
}

static struct net_device *announced_dev;
static unsigned int announcements;

static int on_netdev_event(struct notifier_block *unused, unsigned long event, void *info)
{
	if (event == NETDEV_NOTIFY_PEERS && netdev_notifier_info_to_dev(info) == announced_dev)
		announcements++;
	return NOTIFY_DONE;
}

void neighbours_are_notified(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct notifier_block notifier = { .notifier_call = on_netdev_event };

	announced_dev = vif->dev;
	announcements = 0;
	KUNIT_ASSERT_EQ(test, 0, register_netdevice_notifier(&notifier));
	xpv_netdev_announce(vif->netdev);
	unregister_netdevice_notifier(&notifier);
	KUNIT_EXPECT_EQ(test, 1u, announcements);
}

/* ---- Statistics ---- */

/* With as many queues as there can be, so that the names are at their longest. */
void statistics_have_names(struct kunit *test)
{
	struct xpv_vif *vif = vif_create(test, XPV_NET_QUEUES_MAX);
	const struct ethtool_ops *ops = vif->dev->ethtool_ops;
	unsigned int count = ops->get_sset_count(vif->dev, ETH_SS_STATS);
	char *names = kunit_kzalloc(test, (count + 1) * ETH_GSTRING_LEN, GFP_KERNEL);
	unsigned int wrong = 0, same = 0;
	unsigned int i, k;

	KUNIT_ASSERT_NOT_NULL(test, names);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, ops->get_sset_count(vif->dev, ETH_SS_TEST));
	ops->get_strings(vif->dev, ETH_SS_STATS, (u8 *)names);
	for (i = 0; i < count; i++) {
		const char *name = names + i * ETH_GSTRING_LEN;
		size_t length = strnlen(name, ETH_GSTRING_LEN);

		/* One that was cut off has one character less than the room for it. */
		wrong += !length || length >= ETH_GSTRING_LEN - 1;
		for (k = 0; k < i; k++)
			same += !strcmp(names + k * ETH_GSTRING_LEN, name);
	}
	KUNIT_EXPECT_EQ(test, 0u, wrong);
	KUNIT_EXPECT_EQ(test, 0u, same);
	/* None is written behind the last one. */
	KUNIT_EXPECT_NULL(test, memchr_inv(names + count * ETH_GSTRING_LEN, 0, ETH_GSTRING_LEN));
}

void statistics_count_each_queue(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 2, &all_features);
	const struct frame frame = { .data = packet_bytes, .length = 700 };

	vif_send_by(vif, 1, packet_linear(300));
	KUNIT_ASSERT_TRUE(test, EVENTUALLY(packet_releases(0) == 1));
	write_plain(packet_bytes, frame.length);
	KUNIT_ASSERT_TRUE(test, vif_deliver(vif->queues[1], &frame));
	KUNIT_ASSERT_TRUE(test, EVENTUALLY(vif_stats(vif)->rx_packets == 1));
	KUNIT_EXPECT_EQ(test, 0, (int)vif_statistic(vif, "tx_queue_0_packets"));
	KUNIT_EXPECT_EQ(test, 0, (int)vif_statistic(vif, "rx_queue_0_packets"));
	KUNIT_EXPECT_EQ(test, 1, (int)vif_statistic(vif, "tx_queue_1_packets"));
	KUNIT_EXPECT_EQ(test, 300, (int)vif_statistic(vif, "tx_queue_1_bytes"));
	KUNIT_EXPECT_EQ(test, 1, (int)vif_statistic(vif, "rx_queue_1_packets"));
	KUNIT_EXPECT_EQ(test, 700, (int)vif_statistic(vif, "rx_queue_1_bytes"));
	KUNIT_EXPECT_EQ(test, 0, (int)vif_statistic(vif, "rx_queue_1_errors"));
	KUNIT_EXPECT_EQ(test, 0, (int)vif_statistic(vif, "rx_queue_1_gso_checksum_fixup"));
	KUNIT_EXPECT_EQ(test, 300, (int)vif_stats(vif)->tx_bytes);
	KUNIT_EXPECT_EQ(test, 700, (int)vif_stats(vif)->rx_bytes);
}

/* ---- Channels ---- */

void channels_are_checked(struct kunit *test)
{
	struct xpv_vif *vif = vif_make(test, 4, &all_features);
	const struct ethtool_ops *ops = vif->dev->ethtool_ops;
	struct ethtool_channels channels = {};
	struct ethtool_drvinfo info = {};

	ops->get_channels(vif->dev, &channels);
	KUNIT_EXPECT_EQ(test, 4u, channels.max_combined);
	KUNIT_EXPECT_EQ(test, 4u, channels.combined_count);
	channels.combined_count = 2;
	KUNIT_EXPECT_EQ(test, 0, ops->set_channels(vif->dev, &channels));
	KUNIT_EXPECT_EQ(test, 2u, vif->queues_asked);
	channels.rx_count = 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, ops->set_channels(vif->dev, &channels));
	channels.rx_count = channels.combined_count = 0;
	KUNIT_EXPECT_EQ(test, -EINVAL, ops->set_channels(vif->dev, &channels));
	KUNIT_EXPECT_EQ(test, 2u, vif->queues_asked);
	ops->get_drvinfo(vif->dev, &info);
	KUNIT_EXPECT_STREQ(test, "xpv_netfront_kunit", info.bus_info);
}
