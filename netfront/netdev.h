/* SPDX-License-Identifier: GPL-2.0-only */
/* Internal interface between the C files. */
#ifndef XPV_NETFRONT_NETDEV_H
#define XPV_NETFRONT_NETDEV_H

#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/u64_stats_sync.h>
#include <linux/version.h>
#include <net/xdp.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#include <net/page_pool/helpers.h>
#else
#include <net/page_pool.h>
#endif

#include "netfront/linux.h"

/* Slots of a ring of one page, in either direction (ring.h's sizes; C++ has them from there). */
#define XPV_NET_RING_SIZE 256
/* Slots of the largest packet, with its GSO extra info. */
#define NET_TX_ROOM_FOR_ONE (XPV_NET_SLOTS_MAX + 1)
/* With less room than this the transmitter takes responses, if there are so many, which saves interrupts. */
#define NET_TX_REAP_BELOW (XPV_NET_RING_SIZE - 32)
#define NET_TX_REAP_AT_LEAST 16
/* Most bytes of a packet after Ethernet's and a VLAN's header (netif.h: XEN_NETIF_MAX_TX_SIZE). */
#define NET_MTU_MAX (65535 - VLAN_ETH_HLEN)
/* Frames for which XDP_TX sends one event. */
#define NET_XDP_BULK 64

struct net_queue_stats {
	u64_stats_t packets;
	u64_stats_t bytes;
	u64_stats_t dropped;
	u64_stats_t errors;
	u64_stats_t fixups; /* received GSO packets whose checksum was not said to be partial */
	struct u64_stats_sync syncp;
};

/* What became of the packets for which there was a program. */
enum net_xdp_counter {
	NET_XDP_PASS,
	NET_XDP_DROP,
	NET_XDP_TX,
	NET_XDP_REDIRECT,
	NET_XDP_ERROR, /* aborted, an unknown verdict, or one that could not be carried out */
	NET_XDP_COUNTERS
};

struct xpv_netdev_queue {
	struct napi_struct napi;
	struct xpv_net_queue *queue; /* C++'s half */
	struct xpv_netdev *netdev;
	struct page_pool *pages;
	unsigned int index;
	struct net_queue_stats tx ____cacheline_aligned; /* written under the transmit lock */
	u64_stats_t tx_frames; /* of the packets in `tx`, those of programs; likewise */
	unsigned int frames_in_flight; /* of this connection. Transmit lock */
	struct net_queue_stats rx ____cacheline_aligned; /* written in the NAPI poll */
	u64_stats_t xdp[NET_XDP_COUNTERS]; /* likewise, with the lock of `rx` */
	struct xdp_rxq_info xdp_rxq;
	/* Of the present NAPI poll. */
	bool redirected;
	unsigned int bulk_count;
	struct xdp_frame *bulk[NET_XDP_BULK]; /* that XDP_TX sends at its end */
};

/* The private part of the net_device. */
struct xpv_netdev {
	struct net_device *dev;
	struct xpv_vif *vif;
	struct xpv_netdev_features features; /* of the backend; the last one's while there is none. RTNL */
	bool connected; /* written with RTNL held, and only in functions that the bus calls */
	/*
	 * NAPI is, of the queues in use: connected, and the interface is up. Written
	 * with RTNL held; when this is false, or transmit_held true, each transmit lock
	 * is taken once, so that none of its holders goes by the old value any more.
	 */
	bool enabled;
	bool transmit_held; /* by a suspend: no queue is woken, and nothing is transmitted */
	bool polls_held; /* by a suspend: polls do nothing */
	unsigned int speed; /* Mbit/s; 0: not known */
	unsigned int queues_used; /* with rings, while connected. RTNL */
	unsigned int queue_count; /* that can be used */
	struct xpv_netdev_queue *queues;
	struct bpf_prog __rcu *program; /* of XDP. Written with RTNL held */
};

/* tx_linux.c */
netdev_tx_t net_start_xmit(struct sk_buff *skb, struct net_device *dev);
/*
 * Release what was transmitted, if there are `least` responses, and wake the
 * queue. `budget` is 0 outside of the queue's own NAPI poll. Transmit lock.
 */
void net_tx_reap(struct xpv_netdev_queue *queue, struct netdev_queue *txq, unsigned int least, int budget);
/*
 * Describe a packet that is in one piece of memory, in pages or slab memory. False:
 * it cannot be sent to this backend. Any context.
 */
bool net_tx_describe_memory(const struct xpv_netdev *netdev, const void *data, unsigned int length,
			    struct xpv_tx_packet *packet);

/* rx_linux.c: the NAPI poll, of both directions */
int net_poll(struct napi_struct *napi, int budget);
static inline struct page *net_page_of(struct xpv_rx_page *page)
{
	return (struct page *)page;
}
/* Allocate a page that may be granted later. NULL: no memory. NAPI poll. */
static inline struct page *net_rx_page_alloc(struct xpv_netdev_queue *queue)
{
	/* Not a page with data of the kernel's. */
	return page_pool_alloc_pages(queue->pages, GFP_ATOMIC | __GFP_NOWARN | __GFP_ZERO);
}

/* ---- xdp_linux.c: programs for received packets ---- */

/* A packet that a program let pass. */
struct net_xdp_passed {
	struct xpv_rx_packet packet;
	struct xpv_rx_piece piece;
	unsigned int metadata; /* bytes of it, before the packet */
};

/* Register the queue for programs, and unregister it if it was. -ENOMEM. Sleeping context. */
int net_xdp_register(struct xpv_netdev_queue *queue);
void net_xdp_unregister(struct xpv_netdev_queue *queue);
/*
 * Run the program for a received packet, which is not to be used any more. 1: it
 * passed. 0: it is gone, as the program or an error of the program wants it. -EINVAL:
 * no packet for a program. -ENOMEM. NAPI poll.
 */
int net_xdp_run(struct xpv_netdev_queue *queue, struct bpf_prog *program, const struct xpv_rx_packet *packet,
		struct net_xdp_passed *passed);
/* Send on what programs sent. NAPI poll, at its end. */
void net_xdp_flush(struct xpv_netdev_queue *queue);
/* RTNL; ndo_bpf. */
int net_xdp_setup(struct net_device *dev, struct netdev_bpf *command);

/* ---- xdp_tx_linux.c: the packets that programs send ---- */

/* An owner of a packet to transmit is a sk_buff, or a xdp_frame that has this bit set in its address. */
#define NET_OWNER_FRAME 1ul

static inline struct xpv_tx_owner *net_owner_of_frame(struct xdp_frame *frame)
{
	return (struct xpv_tx_owner *)((unsigned long)frame | NET_OWNER_FRAME);
}

/* Return the frame. NULL: it is a sk_buff. */
static inline struct xdp_frame *net_frame_of(const struct xpv_tx_owner *owner)
{
	unsigned long address = (unsigned long)owner;

	return address & NET_OWNER_FRAME ? (struct xdp_frame *)(address & ~NET_OWNER_FRAME) : NULL;
}

/*
 * Put frames into the ring, and send an event if `push`. Return how many were taken;
 * the caller keeps the others. -ENETDOWN: there is no connection, or a suspend holds
 * it. `budget` is 0 outside of the queue's own NAPI poll. Softirqs are off.
 */
int net_xdp_transmit(struct xpv_netdev_queue *queue, struct xdp_frame **frames, int count, bool push, int budget);
/* Softirqs are off; ndo_xdp_xmit. */
int net_xdp_xmit(struct net_device *dev, int count, struct xdp_frame **frames, u32 flags);
/* Release a frame that was transmitted. `budget` as above. Transmit lock. */
void net_xdp_release(struct xpv_netdev_queue *queue, struct xdp_frame *frame, int budget);

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
