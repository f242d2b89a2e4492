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

#endif
