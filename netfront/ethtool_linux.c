// SPDX-License-Identifier: GPL-2.0-only
/* ethtool operations. */

#include <linux/ethtool.h>

#include "netfront/netdev.h"

static void get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->bus_info, dev_name(dev->dev.parent), sizeof(info->bus_info));
}

/* ---- Statistics of each queue ---- */

static const char *const directions[] = { "tx", "rx" };
static const char *const counters[] = { "packets", "bytes", "dropped", "errors" };
static const char *const xdp_counters[NET_XDP_COUNTERS] = {
	[NET_XDP_PASS] = "pass",	 [NET_XDP_DROP] = "drop",   [NET_XDP_TX] = "tx",
	[NET_XDP_REDIRECT] = "redirect", [NET_XDP_ERROR] = "error",
};

static int get_sset_count(struct net_device *dev, int set)
{
	struct xpv_netdev *netdev = netdev_priv(dev);

	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return netdev->queue_count * (ARRAY_SIZE(directions) * ARRAY_SIZE(counters) + 1 + NET_XDP_COUNTERS + 1);
}

static void get_strings(struct net_device *dev, u32 set, u8 *data)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	unsigned int i, direction, counter;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < netdev->queue_count; i++) {
		for (direction = 0; direction < ARRAY_SIZE(directions); direction++)
			for (counter = 0; counter < ARRAY_SIZE(counters); counter++)
				ethtool_sprintf(&data, "%s_queue_%u_%s", directions[direction], i, counters[counter]);
		ethtool_sprintf(&data, "rx_queue_%u_gso_checksum_fixup", i);
		for (counter = 0; counter < NET_XDP_COUNTERS; counter++)
			ethtool_sprintf(&data, "rx_queue_%u_xdp_%s", i, xdp_counters[counter]);
		ethtool_sprintf(&data, "tx_queue_%u_xdp_frames", i);
	}
}

static u64 *read_stats(const struct net_queue_stats *stats, u64 *data)
{
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&stats->syncp);
		data[0] = u64_stats_read(&stats->packets);
		data[1] = u64_stats_read(&stats->bytes);
		data[2] = u64_stats_read(&stats->dropped);
		data[3] = u64_stats_read(&stats->errors);
		data[4] = u64_stats_read(&stats->fixups);
	} while (u64_stats_fetch_retry(&stats->syncp, start));
	return data + 4;
}

static u64 *read_xdp_stats(const struct xpv_netdev_queue *queue, u64 *data)
{
	unsigned int start, i;

	do {
		start = u64_stats_fetch_begin(&queue->rx.syncp);
		for (i = 0; i < NET_XDP_COUNTERS; i++)
			data[i] = u64_stats_read(&queue->xdp[i]);
	} while (u64_stats_fetch_retry(&queue->rx.syncp, start));
	do {
		start = u64_stats_fetch_begin(&queue->tx.syncp);
		data[NET_XDP_COUNTERS] = u64_stats_read(&queue->tx_frames);
	} while (u64_stats_fetch_retry(&queue->tx.syncp, start));
	return data + NET_XDP_COUNTERS + 1;
}

static void get_ethtool_stats(struct net_device *dev, struct ethtool_stats *unused, u64 *data)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	unsigned int i;

	for (i = 0; i < netdev->queue_count; i++) {
		/* The fixups of rx overwrite those of tx, which has none. */
		data = read_stats(&netdev->queues[i].tx, data);
		data = read_stats(&netdev->queues[i].rx, data) + 1;
		data = read_xdp_stats(&netdev->queues[i], data);
	}
}

/* ---- Channels, rings, link ---- */

static void get_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct xpv_netdev *netdev = netdev_priv(dev);

	channels->max_combined = netdev->queue_count;
	channels->combined_count = dev->real_num_tx_queues;
}

/* Takes effect soon, with another connection. */
static int set_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct xpv_netdev *netdev = netdev_priv(dev);

	if (!channels->combined_count || channels->rx_count || channels->tx_count || channels->other_count)
		return -EINVAL;
	xpv_vif_set_queue_count(netdev->vif, channels->combined_count);
	return 0;
}

static void get_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
			  struct kernel_ethtool_ringparam *unused, struct netlink_ext_ack *extack)
{
	ring->rx_max_pending = ring->rx_pending = XPV_NET_RING_SIZE;
	ring->tx_max_pending = ring->tx_pending = XPV_NET_RING_SIZE;
}

static int get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *settings)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	unsigned int speed = READ_ONCE(netdev->speed);

	settings->base.speed = speed ?: SPEED_UNKNOWN;
	settings->base.duplex = speed ? DUPLEX_FULL : DUPLEX_UNKNOWN;
	settings->base.port = PORT_OTHER;
	settings->base.autoneg = AUTONEG_DISABLE;
	return 0;
}

const struct ethtool_ops net_ethtool_ops = {
	.get_drvinfo = get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_ts_info = ethtool_op_get_ts_info,
	.get_sset_count = get_sset_count,
	.get_strings = get_strings,
	.get_ethtool_stats = get_ethtool_stats,
	.get_channels = get_channels,
	.set_channels = set_channels,
	.get_ringparam = get_ringparam,
	.get_rxfh_indir_size = net_get_rxfh_indir_size,
	.get_rxfh_key_size = net_get_rxfh_key_size,
	.get_rxfh = net_get_rxfh,
	.set_rxfh = net_set_rxfh,
	.get_rxnfc = net_get_rxnfc,
	.set_rxnfc = net_set_rxnfc,
	.get_link_ksettings = get_link_ksettings,
};
