/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the files of the suite: a network interface over rings that are only memory, packets, and the cases that
 * netfront_kunit.c lists.
 */
#ifndef XPV_NETFRONT_KUNIT_H
#define XPV_NETFRONT_KUNIT_H

/* The suite has a copy of its own of the files under test, with itself as the rings. */
#define net_ethtool_ops kunit_net_ethtool_ops
#define net_get_rxfh kunit_net_get_rxfh
#define net_get_rxfh_indir_size kunit_net_get_rxfh_indir_size
#define net_get_rxfh_key_size kunit_net_get_rxfh_key_size
#define net_get_rxnfc kunit_net_get_rxnfc
#define net_poll kunit_net_poll
#define net_set_rxfh kunit_net_set_rxfh
#define net_set_rxnfc kunit_net_set_rxnfc
#define net_start_xmit kunit_net_start_xmit
#define net_tx_describe_memory kunit_net_tx_describe_memory
#define net_tx_reap kunit_net_tx_reap
#define net_xdp_flush kunit_net_xdp_flush
#define net_xdp_register kunit_net_xdp_register
#define net_xdp_release kunit_net_xdp_release
#define net_xdp_run kunit_net_xdp_run
#define net_xdp_setup kunit_net_xdp_setup
#define net_xdp_transmit kunit_net_xdp_transmit
#define net_xdp_unregister kunit_net_xdp_unregister
#define net_xdp_xmit kunit_net_xdp_xmit
#define xpv_net_queue_end_of_interrupt kunit_net_queue_end_of_interrupt
#define xpv_netdev_announce kunit_netdev_announce
#define xpv_netdev_begin_hold kunit_netdev_begin_hold
#define xpv_netdev_connect kunit_netdev_connect
#define xpv_netdev_create kunit_netdev_create
#define xpv_netdev_destroy kunit_netdev_destroy
#define xpv_netdev_disconnect kunit_netdev_disconnect
#define xpv_netdev_get_queue kunit_netdev_get_queue
#define xpv_netdev_lock_transmit kunit_netdev_lock_transmit
#define xpv_netdev_multicast kunit_netdev_multicast
#define xpv_netdev_name kunit_netdev_name
#define xpv_netdev_poll kunit_netdev_poll
#define xpv_netdev_prepare kunit_netdev_prepare
#define xpv_netdev_register kunit_netdev_register
#define xpv_netdev_release kunit_netdev_release
#define xpv_netdev_set_link kunit_netdev_set_link
#define xpv_netdev_unlock_transmit kunit_netdev_unlock_transmit
#define xpv_netdev_unregister kunit_netdev_unregister
#define xpv_netdev_wait_held kunit_netdev_wait_held
#define xpv_rx_arm kunit_rx_arm
#define xpv_rx_collect kunit_rx_collect
#define xpv_rx_page_put kunit_rx_page_put
#define xpv_rx_pages_get kunit_rx_pages_get
#define xpv_rx_refill kunit_rx_refill
#define xpv_tx_collect kunit_tx_collect
#define xpv_tx_copy kunit_tx_copy
#define xpv_tx_drop kunit_tx_drop
#define xpv_tx_in_flight kunit_tx_in_flight
#define xpv_tx_push kunit_tx_push
#define xpv_tx_submit kunit_tx_submit
#define xpv_vif_get_rss kunit_vif_get_rss
#define xpv_vif_multicast_changed kunit_vif_multicast_changed
#define xpv_vif_set_queue_count kunit_vif_set_queue_count
#define xpv_vif_set_rss kunit_vif_set_rss
#define xpv_vif_set_xdp kunit_vif_set_xdp

#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>

#include "netfront/netdev.h"

#define RING_SLOTS XPV_NET_RING_SIZE
/* Most bytes of a packet, and a little more. */
#define PACKET_BYTES 65536
/* Headers of Ethernet, IPv4 or IPv6, and TCP without options. */
#define TCP4_HEADERS (14u + 20u + 20u)
#define TCP6_HEADERS (14u + 40u + 20u)
#define MSS 1448u

/* Wait up to 5 s until the condition holds. Return whether it does. */
#define EVENTUALLY(condition)                                                                                          \
	({                                                                                                             \
		unsigned int left_ = 1000;                                                                             \
		bool holds_;                                                                                           \
		while (!(holds_ = !!(condition)) && --left_)                                                           \
			msleep(5);                                                                                     \
		holds_;                                                                                                \
	})

/* ---- The rings ---- */

enum answer { ANSWER_SENT, ANSWER_DROPPED, ANSWER_ERROR };

/* When during a poll vif_deliver_late()'s packet arrives. */
enum late { LATE_NEVER, LATE_BEFORE_ARM, LATE_AFTER_ARM, LATE_BEFORE_EOI };

/* A packet that a backend sends. */
struct frame {
	const void *data;
	unsigned int length;
	unsigned int first_size; /* bytes in the first page; 0: `piece_size` */
	unsigned int piece_size; /* bytes in each page; 0: what fits into one */
	unsigned int offset; /* of the data in each page */
	bool checksum_blank;
	bool checksum_known_good;
	enum xpv_net_gso gso;
	uint16_t gso_size;
	enum xpv_net_hash hash_kind;
	uint32_t hash;
	bool malformed; /* counted by the ring, not delivered */
};

struct sent_packet {
	struct xpv_tx_owner *owner;
	unsigned int slots;
	enum answer answer;
};

struct received_packet {
	struct xpv_rx_packet packet;
	struct xpv_rx_piece pieces[XPV_NET_SLOTS_MAX];
	bool malformed;
};

struct xpv_net_queue {
	struct xpv_vif *vif;
	struct xpv_netdev_queue *linux_queue;
	unsigned int index;
	struct irq_work event;

	/* Packets of the connection, counted. Under the transmit lock, but `answered` */
	unsigned int submitted, pushed, answered, collected;
	unsigned int room;
	unsigned int pushes; /* that had something to push */
	unsigned int full; /* packets refused because the ring had no room */
	int refuse; /* the next packet, with this error */
	struct xpv_tx_packet last;
	struct sent_packet sent[RING_SLOTS];
	struct xpv_tx_owner *done[RING_SLOTS];
	u8 gathered[PACKET_BYTES]; /* the last packet, from its segments */
	u8 expected[PACKET_BYTES]; /* the same, from its sk_buff */

	/* `answered`, the event channel, and what is received. Under this lock */
	spinlock_t lock;
	bool open;
	bool quiet; /* responses to what was transmitted bring no event */
	bool armed, masked, pending;
	unsigned long polling; /* bit 0: a receive function is running */
	enum late late;
	struct frame late_frame;
	struct xpv_rx_page *posted[RING_SLOTS];
	unsigned int posted_count;
	unsigned int arrived_pages; /* of the packets below */
	/* Packets, counted: those of the last batch from `released` on, the next ones from `taken` to `arrived`. */
	unsigned int released, taken, arrived;
	struct received_packet arrivals[RING_SLOTS];
	struct xpv_rx_packet batch[RING_SLOTS];
};

struct xpv_vif {
	struct kunit *test;
	struct xpv_netdev *netdev; /* NULL: removed */
	struct net_device *dev;
	unsigned int queue_count;
	struct xpv_net_queue *queues[XPV_NET_QUEUES_MAX];
	bool registered;

	/* What the rings' functions check. */
	struct xpv_netdev_features features;
	unsigned int queues_used;
	bool connected, transmit_held, polls_held;
	bool keeps_carrier; /* when the connection ends */
	const char *violation; /* the first one */

	/* How the backend behaves. */
	bool hold; /* it answers only what vif_answer() says */
	bool echo; /* it sends back what it gets */
	bool busy; /* there is always another packet to poll for */

	bool discard; /* what Linux receives */
	struct sk_buff_head received;
	unsigned int multicast_changes, queues_asked;
	struct xpv_net_rss rss; /* `supported` says whether the backend has any */
	unsigned int xdp_changes; /* odd: packets for programs are asked for */
	struct rtnl_link_stats64 stats;
};

void ring_init(struct xpv_net_queue *queue, struct xpv_vif *vif, unsigned int index);
/* Begin a connection, before xpv_netdev_connect(). */
void ring_open(struct xpv_net_queue *queue);
/* End it, after xpv_netdev_disconnect(): release all packets and pages. */
void ring_close(struct xpv_net_queue *queue);

/* Answer `count` of the packets that were pushed, or all that there are, and send an event. */
void vif_answer(struct xpv_net_queue *queue, unsigned int count, enum answer answer);
/* Put a packet into the ring, and send an event if one was asked for. False: too few pages are posted. */
bool vif_deliver(struct xpv_net_queue *queue, const struct frame *frame);
/* Put a packet into the ring during the next poll. */
void vif_deliver_late(struct xpv_net_queue *queue, enum late when, const struct frame *frame);

/* ---- An interface for each test, removed at its end ---- */

extern const struct xpv_netdev_features all_features;

/* Create one that is neither connected nor registered. */
struct xpv_vif *vif_create(struct kunit *test, unsigned int queue_count);
void vif_connect(struct xpv_vif *vif, unsigned int queue_count, const struct xpv_netdev_features *features);
void vif_disconnect(struct xpv_vif *vif);
/* Create, connect and register one, with a carrier. */
struct xpv_vif *vif_make(struct kunit *test, unsigned int queue_count, const struct xpv_netdev_features *features);
struct xpv_vif *vif_make_up(struct kunit *test, unsigned int queue_count, const struct xpv_netdev_features *features);
void vif_up(struct xpv_vif *vif);
void vif_down(struct xpv_vif *vif);
/* Wait until Linux gives packets to the interface: after a new connection that takes it some time. */
void vif_wait_ready(struct xpv_vif *vif);
void vif_hold(struct xpv_vif *vif);
void vif_release(struct xpv_vif *vif);
/* End the connection and remove the interface from Linux, if that was not done yet. */
void vif_remove(struct xpv_vif *vif);
/* Do what the end of a test does: remove the interface, and check that nothing was violated, lost or released twice. */
void vif_finish(struct kunit *test);

static inline struct netdev_queue *vif_txq(const struct xpv_vif *vif, unsigned int index)
{
	return netdev_get_tx_queue(vif->dev, index);
}

/* Return the statistics, valid until the next call. */
const struct rtnl_link_stats64 *vif_stats(struct xpv_vif *vif);
/* Return the value of ethtool's statistics that has this name, or ~0. */
u64 vif_statistic(const struct xpv_vif *vif, const char *name);
/* Let the byte queue limit not limit anything. */
void vif_open_byte_limit(struct xpv_vif *vif);

/* Give a packet to Linux to send it. */
void vif_send(struct xpv_vif *vif, struct sk_buff *skb);
/* The same, by the queue that has this number. */
void vif_send_by(struct xpv_vif *vif, unsigned int index, struct sk_buff *skb);
/* The same, and wait until it is in the ring of queue 0. */
bool vif_send_and_wait(struct xpv_vif *vif, struct sk_buff *skb);
/* Give a packet to the driver, without a qdisc and whatever the features are. */
netdev_tx_t vif_transmit(struct xpv_vif *vif, struct sk_buff *skb, bool more);

/* Receive a packet and return what Linux got: by queue 0, within 5 s. */
struct sk_buff *vif_receive(struct xpv_vif *vif, const struct frame *frame);
/* Free all that was received. Return how many packets that were. */
unsigned int vif_purge(struct xpv_vif *vif);

/* ---- Packets. Those to send are counted, from 0 in each test. ---- */

extern atomic_t packets_built, packets_released;
/* For the bytes of one packet at a time. */
extern u8 packet_bytes[PACKET_BYTES];

void packets_reset(void);
/* How often the packet with that number was released. */
unsigned int packet_releases(unsigned int number);
void packet_track(struct sk_buff *skb);

/* Write an Ethernet header and random data, `length` bytes in all. */
void write_plain(u8 *to, unsigned int length);
/* Write headers and `payload` bytes of data, with a partial checksum. Return the length. */
unsigned int write_tcp4(u8 *to, unsigned int ip_header, unsigned int tcp_header, unsigned int payload);
unsigned int write_tcp6(u8 *to, unsigned int payload);
/* Whether the checksum of the TCP segment over IPv4 is right. */
bool tcp4_checksum_right(const u8 *data, unsigned int length);

/* In slab memory, if that is at most 7 KiB; in pages of its own from 8 KiB on. NULL: no memory, as below. */
struct sk_buff *packet_linear(unsigned int length);
/* In `1 << order` pages, from `offset` on. */
struct sk_buff *packet_in_pages(unsigned int order, unsigned int offset, unsigned int length);
/* Add a fragment of random data, in a compound page of its own. Return that. */
struct page *packet_add_frag(struct sk_buff *skb, unsigned int order, unsigned int offset, unsigned int length);
/* From packet_bytes: the first bytes in slab memory, the rest in fragments of a page. */
struct sk_buff *packet_from_bytes(unsigned int length, unsigned int linear);
/* The same, for TCP: with a partial checksum, and to be segmented unless `gso_size` is 0. */
struct sk_buff *packet_tcp(unsigned int length, unsigned int linear, unsigned int tcp_offset, unsigned int gso_size);

/* Expect a packet as it was received, from the Ethernet header on. */
void expect_received(struct kunit *test, struct sk_buff *skb, const u8 *data, unsigned int length);

/* ---- netfront_kunit_segments.c ---- */

void small_packet_is_staged(struct kunit *test);
void slab_memory_is_staged(struct kunit *test);
void linear_pages_are_granted_in_place(struct kunit *test);
void headers_across_pages_are_staged(struct kunit *test);
void frags_are_granted_in_place(struct kunit *test);
void frag_beyond_the_first_page(struct kunit *test);
void packet_of_many_slots_is_staged(struct kunit *test);
void frag_list_is_staged(struct kunit *test);
void untrusted_backend_gets_copies(struct kunit *test);
void one_segment_without_scatter_gather(struct kunit *test);
void impossible_packets_are_dropped(struct kunit *test);

/* ---- netfront_kunit_offloads.c ---- */

void gso_reaches_the_ring(struct kunit *test);
void gso_headers_are_in_the_first_segment(struct kunit *test);
void checksum_flags_reach_the_ring(struct kunit *test);
void linux_segments_without_scatter_gather(struct kunit *test);
void linux_segments_without_tso(struct kunit *test);
void packets_for_an_earlier_backend(struct kunit *test);

/* ---- netfront_kunit_transmit.c ---- */

void packets_are_released_once(struct kunit *test);
void refused_packets_are_dropped(struct kunit *test);
void busy_ring_is_tried_again(struct kunit *test);
void queue_stops_and_wakes(struct kunit *test);
void large_packets_never_find_the_ring_full(struct kunit *test);
void transmitter_takes_responses(struct kunit *test);
void burst_is_pushed_once(struct kunit *test);
void burst_that_fills_the_ring_is_pushed(struct kunit *test);
void byte_limit_begins_again_with_a_connection(struct kunit *test);

/* ---- netfront_kunit_receive.c ---- */

void small_packet_is_copied(struct kunit *test);
void large_packet_keeps_its_pages(struct kunit *test);
void too_many_pages_are_dropped(struct kunit *test);
void gso_is_received(struct kunit *test);
void gso_without_the_checksum_flag(struct kunit *test);
void hash_is_received(struct kunit *test);
void checksum_flags_are_received(struct kunit *test);
void wrong_offloads_are_errors(struct kunit *test);
void malformed_packets_are_errors(struct kunit *test);
void untrusted_backend_gets_zeroed_pages(struct kunit *test);

/* ---- netfront_kunit_poll.c ---- */

void poll_respects_its_budget(struct kunit *test);
void netpoll_only_releases(struct kunit *test);
void netpoll_with_the_transmit_lock_held(struct kunit *test);
void packet_before_the_event_is_asked_for(struct kunit *test);
void packet_after_the_event_is_asked_for(struct kunit *test);
void packet_after_a_poll_without_event(struct kunit *test);
void packet_before_the_end_of_interrupt(struct kunit *test);
void poll_by_a_task(struct kunit *test);
void packet_for_an_interface_that_is_down(struct kunit *test);

/* ---- netfront_kunit_lifetime.c ---- */

void interface_is_registered(struct kunit *test);
void goes_up_and_down(struct kunit *test);
void keeps_its_carrier(struct kunit *test);
void removed_while_up(struct kunit *test);
void removed_before_it_is_registered(struct kunit *test);
void received_pages_outlive_the_interface(struct kunit *test);
void comes_up_before_it_is_connected_again(struct kunit *test);
void connects_with_fewer_queues(struct kunit *test);
void suspend_holds_what_is_up(struct kunit *test);
void suspend_holds_what_is_down(struct kunit *test);
void comes_up_during_a_suspend(struct kunit *test);
void restore_connects_again(struct kunit *test);

/* ---- netfront_kunit_settings.c ---- */

void features_follow_the_backend(struct kunit *test);
void mtu_needs_scatter_gather(struct kunit *test);
void multicast_list_is_copied(struct kunit *test);
void link_is_reported(struct kunit *test);
void neighbours_are_notified(struct kunit *test);
void statistics_have_names(struct kunit *test);
void statistics_count_each_queue(struct kunit *test);
void channels_are_checked(struct kunit *test);

/* ---- netfront_kunit_rss.c ---- */

void rss_is_not_supported(struct kunit *test);
void rss_table_and_key(struct kunit *test);
void rss_kinds_of_flows(struct kunit *test);

/* ---- netfront_kunit_xdp.c ---- */

void program_sees_every_packet(struct kunit *test);
void program_moves_the_packet(struct kunit *test);
void verdicts_are_carried_out(struct kunit *test);
void incomplete_packets_are_not_sent_on(struct kunit *test);
void packets_are_sent_back(struct kunit *test);
void sent_back_into_a_full_ring(struct kunit *test);
void frames_of_others_are_sent(struct kunit *test);
void frames_are_dropped_with_the_connection(struct kunit *test);
void frames_are_refused_without_a_connection(struct kunit *test);
void programs_need_a_small_mtu(struct kunit *test);
void programs_are_exchanged_in_a_storm(struct kunit *test);
void frames_in_a_storm(struct kunit *test);

/* ---- netfront_kunit_races.c ---- */

void poll_does_not_wake_a_stopped_queue(struct kunit *test);
void disconnect_in_a_storm(struct kunit *test);
void down_and_up_in_a_storm(struct kunit *test);
void suspend_in_a_storm(struct kunit *test);
void removal_in_a_storm(struct kunit *test);

#endif
