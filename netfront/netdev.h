/* SPDX-License-Identifier: GPL-2.0-only */
/* Internal interface between the C files. */
#ifndef XPV_NETFRONT_NETDEV_H
#define XPV_NETFRONT_NETDEV_H

#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/u64_stats_sync.h>
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#include <net/page_pool/helpers.h>
#else
#include <net/page_pool.h>
#endif

#include "netfront/linux.h"

/* Slots of a ring of one page, in either direction (ring.h's sizes; C++ has them from there). */
#define XPV_NET_RING_SIZE 256

struct net_queue_stats {
	u64_stats_t packets;
	u64_stats_t bytes;
	u64_stats_t dropped;
	u64_stats_t errors;
	u64_stats_t fixups; /* received GSO packets whose checksum was not said to be partial */
	struct u64_stats_sync syncp;
};

struct xpv_netdev_queue {
	struct napi_struct napi;
	struct xpv_net_queue *queue; /* C++'s half */
	struct xpv_netdev *netdev;
	struct page_pool *pages;
	unsigned int index;
	struct net_queue_stats tx ____cacheline_aligned; /* written under the transmit lock */
	struct net_queue_stats rx ____cacheline_aligned; /* written in the NAPI poll */
};

/* The private part of the net_device. */
struct xpv_netdev {
	struct net_device *dev;
	struct xpv_vif *vif;
	struct xpv_netdev_features features; /* of the backend; the last one's while there is none. RTNL */
	bool connected; /* written with RTNL held, and only in functions that the bus calls */
	bool enabled; /* NAPI is, of the queues in use: connected, and the interface is up. RTNL */
	bool transmit_held; /* by a suspend: no queue is woken */
	bool polls_held; /* by a suspend: polls do nothing */
	unsigned int speed; /* Mbit/s; 0: not known */
	unsigned int queues_used; /* with rings, while connected. RTNL */
	unsigned int queue_count; /* that can be used */
	struct xpv_netdev_queue *queues;
};

/* tx_linux.c */
netdev_tx_t net_start_xmit(struct sk_buff *skb, struct net_device *dev);
/*
 * Release what was transmitted, if there are `least` responses, and wake the
 * queue. `budget` as napi_consume_skb() takes it. Transmit lock.
 */
void net_tx_reap(struct xpv_netdev_queue *queue, struct netdev_queue *txq, unsigned int least, int budget);

/* rx_linux.c: the NAPI poll, of both directions */
int net_poll(struct napi_struct *napi, int budget);

/* ethtool_linux.c */
extern const struct ethtool_ops net_ethtool_ops;

/* rss_linux.c: the ethtool operations of receive side scaling. RTNL */
struct ethtool_rxnfc;
struct ethtool_rxfh_param;
struct netlink_ext_ack;
u32 net_get_rxfh_indir_size(struct net_device *dev);
u32 net_get_rxfh_key_size(struct net_device *dev);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
int net_get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh);
int net_set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh, struct netlink_ext_ack *extack);
#else
int net_get_rxfh(struct net_device *dev, u32 *indir, u8 *key, u8 *hfunc);
int net_set_rxfh(struct net_device *dev, const u32 *indir, const u8 *key, u8 hfunc);
#endif
int net_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info, u32 *unused);
int net_set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info);

/* Tell Linux the hash that came with a packet, unless that is switched off. NAPI poll. */
static inline void net_set_hash(struct sk_buff *skb, const struct xpv_rx_packet *packet)
{
	if (packet->hash_kind == XPV_NET_HASH_NONE || !(skb->dev->features & NETIF_F_RXHASH))
		return;
	skb_set_hash(skb, packet->hash, packet->hash_kind == XPV_NET_HASH_L4 ? PKT_HASH_TYPE_L4 : PKT_HASH_TYPE_L3);
}

#endif
