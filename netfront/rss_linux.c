// SPDX-License-Identifier: GPL-2.0-only
/* ethtool operations of receive side scaling: what the backend's hash covers, its key, and its table. */

#include <linux/ethtool.h>

#include "netfront/netdev.h"

/* ---- Key and table (ethtool -x, -X). RTNL ---- */

/* The same for each backend: Linux asks for the sizes first, and a connection may begin meanwhile. */
u32 net_get_rxfh_indir_size(struct net_device *dev)
{
	return XPV_NET_RSS_ENTRIES;
}

u32 net_get_rxfh_key_size(struct net_device *dev)
{
	return XPV_NET_RSS_KEY_BYTES;
}

static int get_settings(struct net_device *dev, u32 *indir, u8 *key, u8 *hfunc)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	struct xpv_net_rss rss;
	unsigned int i;

	xpv_vif_get_rss(netdev->vif, &rss);
	if (!rss.supported)
		return -EOPNOTSUPP;
	*hfunc = ETH_RSS_HASH_TOP;
	for (i = 0; indir && i < XPV_NET_RSS_ENTRIES; i++)
		indir[i] = rss.mapping[i] % dev->real_num_rx_queues;
	if (key)
		memcpy(key, rss.key, sizeof(rss.key));
	return 0;
}

/* Linux has checked the sizes, and that each entry is a queue. */
static int set_settings(struct net_device *dev, const u32 *indir, const u8 *key, u8 hfunc)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	struct xpv_net_rss rss;
	unsigned int i;

	if (hfunc != ETH_RSS_HASH_NO_CHANGE && hfunc != ETH_RSS_HASH_TOP)
		return -EOPNOTSUPP;
	xpv_vif_get_rss(netdev->vif, &rss);
	if (key)
		memcpy(rss.key, key, sizeof(rss.key));
	if (indir) {
		memcpy(rss.mapping, indir, sizeof(rss.mapping));
		rss.spread_evenly = true;
		for (i = 0; i < XPV_NET_RSS_ENTRIES; i++)
			if (indir[i] != ethtool_rxfh_indir_default(i, dev->real_num_rx_queues))
				rss.spread_evenly = false;
	}
	return xpv_vif_set_rss(netdev->vif, &rss);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
int net_get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh)
{
	return get_settings(dev, rxfh->indir, rxfh->key, &rxfh->hfunc);
}

int net_set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh, struct netlink_ext_ack *extack)
{
	return set_settings(dev, rxfh->indir, rxfh->key, rxfh->hfunc);
}
#else
int net_get_rxfh(struct net_device *dev, u32 *indir, u8 *key, u8 *hfunc)
{
	u8 unused;

	return get_settings(dev, indir, key, hfunc ?: &unused);
}

int net_set_rxfh(struct net_device *dev, const u32 *indir, const u8 *key, u8 hfunc)
{
	return set_settings(dev, indir, key, hfunc);
}
#endif

/* ---- What is hashed (ethtool -n, -N). RTNL ---- */

#define ADDRESSES ((u64)(RXH_IP_SRC | RXH_IP_DST))
#define PORTS ((u64)(RXH_L4_B_0_1 | RXH_L4_B_2_3))

/* Find the bits of a kind of flow: of its addresses, and of its ports or 0 where these are never hashed. */
static int types_of_flow(u32 flow, u32 *addresses, u32 *ports)
{
	*ports = 0;
	switch (flow) {
	case TCP_V4_FLOW:
		*ports = XPV_NET_RSS_IPV4_TCP;
		fallthrough;
	case UDP_V4_FLOW:
	case SCTP_V4_FLOW:
	case AH_V4_FLOW:
	case ESP_V4_FLOW:
	case AH_ESP_V4_FLOW:
	case IPV4_FLOW:
		*addresses = XPV_NET_RSS_IPV4;
		return 0;
	case TCP_V6_FLOW:
		*ports = XPV_NET_RSS_IPV6_TCP;
		fallthrough;
	case UDP_V6_FLOW:
	case SCTP_V6_FLOW:
	case AH_V6_FLOW:
	case ESP_V6_FLOW:
	case AH_ESP_V6_FLOW:
	case IPV6_FLOW:
		*addresses = XPV_NET_RSS_IPV6;
		return 0;
	default:
		return -EINVAL;
	}
}

static int get_flow(struct net_device *dev, struct ethtool_rxnfc *info)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	struct xpv_net_rss rss;
	u32 addresses, ports;
	int error = types_of_flow(info->flow_type, &addresses, &ports);

	if (error)
		return error;
	xpv_vif_get_rss(netdev->vif, &rss);
	if (!rss.supported)
		return -EOPNOTSUPP;
	info->data = 0;
	if (rss.types & ports)
		info->data = ADDRESSES | PORTS;
	else if (rss.types & addresses)
		info->data = ADDRESSES;
	return 0;
}

/*
 * All kinds of flows but TCP share one bit, which is TCP's too where its ports are
 * not hashed: what cannot be without changing the other is refused.
 */
static int set_flow(struct net_device *dev, const struct ethtool_rxnfc *info)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	struct xpv_net_rss rss;
	u32 addresses, ports;
	int error = types_of_flow(info->flow_type, &addresses, &ports);

	if (error)
		return error;
	xpv_vif_get_rss(netdev->vif, &rss);
	if (!rss.supported)
		return -EOPNOTSUPP;
	if (ports) {
		if (info->data == (ADDRESSES | PORTS))
			rss.types |= ports;
		else if (info->data == (rss.types & addresses ? ADDRESSES : 0))
			rss.types &= ~ports;
		else
			return -EINVAL;
	} else {
		if (info->data == ADDRESSES)
			rss.types |= addresses;
		else if (info->data == 0)
			rss.types &= ~addresses;
		else
			return -EINVAL;
	}
	return xpv_vif_set_rss(netdev->vif, &rss);
}

int net_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info, u32 *unused)
{
	switch (info->cmd) {
	case ETHTOOL_GRXRINGS:
		info->data = dev->real_num_rx_queues;
		return 0;
	case ETHTOOL_GRXFH:
		return get_flow(dev, info);
	default:
		return -EOPNOTSUPP;
	}
}

int net_set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info)
{
	return info->cmd == ETHTOOL_SRXFH ? set_flow(dev, info) : -EOPNOTSUPP;
}
