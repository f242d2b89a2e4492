/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interface between the protocol (C++: vif.cc and below) and the network stack
 * (C: netdev.h and the files that include it). One call passes one packet to
 * transmit with all its fragments, or all packets that one poll received.
 *
 * A *vif* is a device of the bus. It has one network interface (struct
 * xpv_netdev), and during a connection two rings for each of its queues. The
 * transmit ring is used with the lock of Linux's transmit queue held ("transmit
 * lock": netif_tx_lock()), the receive ring in the queue's NAPI poll. A connection
 * begins and ends while neither can run.
 */
#ifndef XPV_NETFRONT_LINUX_H
#define XPV_NETFRONT_LINUX_H

#include "hypervisor/suspend_part.h"
#include "lib/debugfs.h"
#include "lib/types.h"
#include "xenbus/xenbus.h"

#ifdef __cplusplus
extern "C" {
#endif

struct device; /* Linux's */
struct xpv_netdev; /* in C: a net_device and its queues */
struct xpv_netdev_queue; /* in C: NAPI, page pool and statistics of one queue */
struct xpv_tx_owner; /* in C: the sk_buff or xdp_frame of a packet to transmit */
struct xpv_rx_page; /* in C: a struct page */
struct xpv_vif; /* in C++: a device and its connection */
struct xpv_net_queue; /* in C++: one queue, with its rings while there is a connection */

/* Most queues of a vif. */
#define XPV_NET_QUEUES_MAX 64
/* Most data slots of one packet, in either direction: every backend accepts as many (netif.h: XEN_NETIF_NR_SLOTS_MIN). */
#define XPV_NET_SLOTS_MAX 18
/* Most multicast addresses in a backend's filter (netback's XEN_NETBK_MCAST_MAX). */
#define XPV_NET_FILTER_MAX 64
/* Receive side scaling: the key and the table that Linux sees (netback's are as large). */
#define XPV_NET_RSS_KEY_BYTES 40
#define XPV_NET_RSS_ENTRIES 128
/*
 * Bytes of a received packet up to which it is copied; its page stays granted, and is
 * posted again. With xpv_vif_set_xdp() that is every packet of one page.
 */
#define XPV_RX_COPY_LIMIT 256

struct xpv_net_address {
	uint8_t octets[6];
};

/* ---- Packets to transmit ---- */

enum xpv_net_gso {
	XPV_NET_GSO_NONE,
	XPV_NET_GSO_TCPV4,
	XPV_NET_GSO_TCPV6,
};

/*
 * A piece of a packet within one page. A staged segment is copied into a page
 * that is already granted to the backend. That exposes nothing else of the pages of
 * the packet's owner, and needs no grant and no revocation.
 */
struct xpv_tx_segment {
	struct xpv_pfn frame; /* unless staged */
	uint16_t offset; /* in the page; unless staged */
	uint16_t length; /* never 0, at most a page */
	bool staged;
};

struct xpv_tx_packet {
	struct xpv_tx_owner *owner;
	uint16_t length; /* of all segments */
	uint16_t gso_size; /* payload bytes of each packet after segmentation, unless XPV_NET_GSO_NONE */
	enum xpv_net_gso gso;
	bool checksum_blank; /* the backend must complete the checksum */
	bool checksum_known_good;
	unsigned int segment_count; /* at least 1 */
	/* In the order of the data. The first one contains all headers. */
	struct xpv_tx_segment segments[XPV_NET_SLOTS_MAX];
};

/* Packets whose transmission has completed. */
struct xpv_tx_done {
	struct xpv_tx_owner *const *owners; /* the caller releases each once */
	unsigned int count;
	unsigned int dropped; /* of these, dropped by the backend */
	unsigned int errors; /* of these, failed in the backend */
	unsigned int room; /* as xpv_tx_submit() returns */
};

/* ---- Packets received ---- */

/* What a hash of a packet was calculated over. */
enum xpv_net_hash {
	XPV_NET_HASH_NONE,
	XPV_NET_HASH_L3, /* addresses */
	XPV_NET_HASH_L4, /* addresses and ports */
};

struct xpv_rx_piece {
	struct xpv_rx_page *page;
	uint16_t offset;
	uint16_t length; /* never 0 */
};

struct xpv_rx_packet {
	const struct xpv_rx_piece *pieces;
	unsigned int piece_count; /* at least 1 */
	unsigned int length; /* of all pieces, at most 65535 */
	/*
	 * The pages are Linux's now. False: there is one piece, in a page that the
	 * backend can still write to; the data is to be copied at once, and once.
	 */
	bool owned;
	bool checksum_blank; /* CHECKSUM_PARTIAL */
	bool checksum_known_good;
	enum xpv_net_gso gso;
	uint16_t gso_size; /* from 8 to 65534, unless XPV_NET_GSO_NONE */
	enum xpv_net_hash hash_kind; /* as the backend says */
	uint32_t hash; /* unless XPV_NET_HASH_NONE */
};

/* Valid until the next call for the queue. */
struct xpv_rx_batch {
	const struct xpv_rx_packet *packets;
	unsigned int count;
	unsigned int errors; /* packets that were malformed */
};

/* ---- Receive side scaling ---- */

/* Packets that are hashed; netif.h's XEN_NETIF_CTRL_HASH_TYPE_*. TCP's are hashed with their ports, all others without. */
enum xpv_net_rss_types {
	XPV_NET_RSS_IPV4 = 1 << 0,
	XPV_NET_RSS_IPV4_TCP = 1 << 1,
	XPV_NET_RSS_IPV6 = 1 << 2,
	XPV_NET_RSS_IPV6_TCP = 1 << 3,
	XPV_NET_RSS_TYPES = (1 << 4) - 1,
};

/* How the backend is to choose the queue of a packet to us: mapping[Toeplitz hash % entries]. */
struct xpv_net_rss {
	bool supported; /* by the backend; only read */
	bool spread_evenly; /* over all queues, however many a connection has; the mapping is that then */
	uint8_t key[XPV_NET_RSS_KEY_BYTES];
	uint32_t mapping[XPV_NET_RSS_ENTRIES]; /* modulo the queues of a connection that has fewer */
	uint32_t types; /* enum xpv_net_rss_types; 0: the backend chooses as it likes */
};

/* ---- C calls C++: a queue ---- */

/*
 * Put a packet into the transmit ring; the backend sees it after xpv_tx_push().
 * The owner must not be released before xpv_tx_collect() or xpv_tx_drop() returns
 * it, exactly once. Return the number of free slots; a packet takes one for each
 * segment, and one for GSO. -EAGAIN: not enough slots. -ENOMEM: no page to stage
 * in, or a page cannot be granted. -ENODEV: there is no connection, or the backend
 * broke the protocol. Transmit lock.
 */
XPV_MUST_CHECK int xpv_tx_submit(struct xpv_net_queue *queue, const struct xpv_tx_packet *packet);
/* Publish the submitted packets to the backend, and send an event if it asked for one. Transmit lock. */
void xpv_tx_push(struct xpv_net_queue *queue);
/*
 * Take the responses that have arrived, if there are at least `least`, and ask for
 * an event once half of the slots in flight have theirs. `*done` is valid until
 * the next call for the queue. Transmit lock.
 */
void xpv_tx_collect(struct xpv_net_queue *queue, unsigned int least, struct xpv_tx_done *done);
/* Return the number of slots whose responses were not taken yet, a snapshot. Any context. */
unsigned int xpv_tx_in_flight(const struct xpv_net_queue *queue);

/*
 * Take up to `budget` received packets. Those of the last call must not be used any
 * more. NAPI poll.
 */
void xpv_rx_collect(struct xpv_net_queue *queue, unsigned int budget, struct xpv_rx_batch *batch);
/*
 * Post pages to receive in. The packets of the last xpv_rx_collect() must not be
 * used any more. When there are too few pages, the queue is polled again soon.
 * NAPI poll, or while that does not run.
 */
void xpv_rx_refill(struct xpv_net_queue *queue);
/* Ask for an event at the next packet. True: there is a packet already, poll again. NAPI poll, before napi_complete_done(). */
XPV_MUST_CHECK bool xpv_rx_arm(struct xpv_net_queue *queue);
/* End the poll: further events may come. Call right after napi_complete_done(). */
void xpv_net_queue_end_of_interrupt(struct xpv_net_queue *queue);
/* Use `count` queues, if the backend has as many; connects again for that. From 1 to the number that the interface has. Any context. */
void xpv_vif_set_queue_count(struct xpv_vif *vif, unsigned int count);

/*
 * Get the settings; without a connection, what the next one will have, and whether
 * the last backend supported it. Sleeping context, also under RTNL.
 */
void xpv_vif_get_rss(struct xpv_vif *vif, struct xpv_net_rss *settings);
/*
 * Set them for this connection and all others. They take effect soon: this does
 * not wait for the backend. If it refuses, that is logged, and it chooses queues
 * as it likes. -EOPNOTSUPP: not supported, or the backend's table is smaller than
 * this mapping needs. -EINVAL: unknown types. Context as above.
 */
XPV_MUST_CHECK int xpv_vif_set_rss(struct xpv_vif *vif, const struct xpv_net_rss *settings);

/*
 * Receive packets for programs (XDP), which are copied, and are complete: with a
 * checksum, and not to be segmented; or again the usual ones. Connects again if that
 * is a change. Any context.
 */
void xpv_vif_set_xdp(struct xpv_vif *vif, bool xdp);

/* Report that Linux's list of multicast addresses has changed. Any context but NMI. */
void xpv_vif_multicast_changed(struct xpv_vif *vif);

/* Initialise the list of vifs. Call before the driver is registered. Sleeping context. */
void xpv_vifs_start(void);
/* Print the table of all vifs. Sleeping context. */
void xpv_vifs_show(struct xpv_debug_sink *sink);

extern const struct xpv_frontend_driver xpv_vif_driver;

/* ---- C++ calls C ---- */

/* Module parameters. Any context. */
unsigned int xpv_net_max_queues(void); /* from 1 to XPV_NET_QUEUES_MAX */
bool xpv_net_trusted(void); /* false: backends get data only in pages of the rings' own */
bool xpv_net_receive_hash(void); /* false: the backends' control rings are not used */

/* Fill a key for hashes with the kernel's own random one, of at most 52 bytes. Sleeping context. */
void xpv_net_rss_key(uint8_t *key, size_t size);

/* What the backend supports. */
struct xpv_netdev_features {
	bool scatter_gather; /* more than one slot for a packet */
	bool checksum_ipv4, checksum_ipv6;
	bool gso_tcpv4, gso_tcpv6; /* only with scatter_gather */
	bool receive_hash; /* may tell a hash with a packet */
	bool stage_all; /* the backend is not trusted */
};

struct xpv_netdev_parameters {
	uint8_t mac[6];
	unsigned int mtu; /* 0: the default */
	struct xpv_net_queue *const *queues; /* copied */
	unsigned int queue_count;
	struct xpv_vif *vif;
};

/* Create a network interface that is not visible to user space yet. -ENOMEM. Sleeping context. */
XPV_MUST_CHECK int xpv_netdev_create(struct device *parent, const struct xpv_netdev_parameters *parameters,
				     struct xpv_netdev **netdev);
/* Make it visible, once connected. Sleeping context, takes RTNL, as all functions below unless noted. */
XPV_MUST_CHECK int xpv_netdev_register(struct xpv_netdev *netdev);
/* Remove it from Linux, after xpv_netdev_disconnect(). No function of its queues is called after this returns. */
void xpv_netdev_unregister(struct xpv_netdev *netdev);
/* Free it, when it is not registered. */
void xpv_netdev_destroy(struct xpv_netdev *netdev);

/*
 * Let Linux use the first `queue_count` queues, which have rings, whenever the
 * interface is up. -ENOMEM.
 */
XPV_MUST_CHECK int xpv_netdev_connect(struct xpv_netdev *netdev, unsigned int queue_count,
				      const struct xpv_netdev_features *features);
/*
 * Stop the queues and, unless `keep_carrier`, set the carrier off: from the return of
 * this to the next connect no function of a queue is called by Linux, and its NAPI
 * poll does not run.
 */
void xpv_netdev_disconnect(struct xpv_netdev *netdev, bool keep_carrier);
/*
 * Return whether to post pages to receive in before the next connect: the interface
 * is up. `stage_all` is what the connect will have. Does not take RTNL.
 */
XPV_MUST_CHECK bool xpv_netdev_prepare(struct xpv_netdev *netdev, bool stage_all);
/* Set the carrier, and the speed in Mbit/s or 0. On only while connected. Does not take RTNL. */
void xpv_netdev_set_link(struct xpv_netdev *netdev, bool carrier, unsigned int speed);
/* Announce the interface's addresses to its neighbours (gratuitous ARP and the like), if it is up. */
void xpv_netdev_announce(struct xpv_netdev *netdev);

/*
 * Copy the multicast addresses that Linux wants to receive, at most `most`. Return
 * their number. -E2BIG: there are more, or it wants all. Any context but hard irq.
 */
XPV_MUST_CHECK int xpv_netdev_multicast(struct xpv_netdev *netdev, struct xpv_net_address *addresses, unsigned int most);
/* Take the transmit lock of a queue, for what C++ itself transmits. Sleeping context; atomic until the unlock. */
void xpv_netdev_lock_transmit(struct xpv_netdev *netdev, unsigned int index);
void xpv_netdev_unlock_transmit(struct xpv_netdev *netdev, unsigned int index);

/*
 * For a suspend. After begin_hold() nothing is transmitted; after wait_held() no
 * poll runs. release() undoes both; after a restore xpv_netdev_disconnect() does
 * that instead. None of them takes RTNL, and begin_hold() does not sleep.
 */
void xpv_netdev_begin_hold(struct xpv_netdev *netdev);
void xpv_netdev_wait_held(struct xpv_netdev *netdev);
void xpv_netdev_release(struct xpv_netdev *netdev);

/* Copy the interface's name, e.g. "eth0", which may change. Any context. */
void xpv_netdev_name(const struct xpv_netdev *netdev, char *name, size_t size);
/* Return the C half of a queue. Any context. */
struct xpv_netdev_queue *xpv_netdev_get_queue(struct xpv_netdev *netdev, unsigned int index);
/* Schedule the queue's NAPI poll. Any context but NMI. */
void xpv_netdev_poll(struct xpv_netdev_queue *queue);

/*
 * Allocate at most `count` pages to post, with their frames. Return their number.
 * Their content may be shown to the backend. NAPI poll, or while that does not run.
 */
XPV_MUST_CHECK unsigned int xpv_rx_pages_get(struct xpv_netdev_queue *queue, struct xpv_rx_page **pages,
					     struct xpv_pfn *frames, unsigned int count);
/* Free a page that is not granted any more, or parked. Softirq or sleeping context. */
void xpv_rx_page_put(struct xpv_netdev_queue *queue, struct xpv_rx_page *page);

/* Copy `length` bytes of a packet, from `offset` on. Any context. */
void xpv_tx_copy(const struct xpv_tx_owner *owner, unsigned int offset, void *to, unsigned int length);
/* Free the owner of a packet that was in flight when its connection ended. Sleeping context. */
void xpv_tx_drop(struct xpv_tx_owner *owner);

#ifdef __cplusplus
}
#endif

#endif
