// SPDX-License-Identifier: GPL-2.0-only
/* Segmentation and checksums: in the backend where it supports them, else by Linux or by the driver. */

#include "netfront_kunit.h"

void gso_reaches_the_ring(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	const struct xpv_tx_packet *packet = &vif->queues[0]->last;
	unsigned int length = write_tcp4(packet_bytes, 20, 20, 10000);

	vif->hold = true;
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_tcp(length, TCP4_HEADERS, 34, MSS)));
	KUNIT_EXPECT_EQ(test, length, (unsigned int)packet->length);
	KUNIT_EXPECT_EQ(test, (int)XPV_NET_GSO_TCPV4, (int)packet->gso);
	KUNIT_EXPECT_EQ(test, MSS, (unsigned int)packet->gso_size);
	KUNIT_EXPECT_TRUE(test, packet->checksum_blank);
	/* The size takes a slot. */
	KUNIT_EXPECT_EQ(test, RING_SLOTS - packet->segment_count - 1, vif->queues[0]->room);
	vif_answer(vif->queues[0], 1, ANSWER_SENT);

	length = write_tcp6(packet_bytes, 10000);
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_tcp(length, TCP6_HEADERS, 54, 1200)));
	KUNIT_EXPECT_EQ(test, (int)XPV_NET_GSO_TCPV6, (int)packet->gso);
	KUNIT_EXPECT_EQ(test, 1200u, (unsigned int)packet->gso_size);
	KUNIT_EXPECT_TRUE(test, packet->checksum_blank);
	/* The largest. */
	length = write_tcp4(packet_bytes, 20, 20, 65000);
	vif_answer(vif->queues[0], 1, ANSWER_SENT);
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_tcp(length, TCP4_HEADERS, 34, MSS)));
	KUNIT_EXPECT_EQ(test, length, (unsigned int)packet->length);
}

/* The ring checks that. With options they are longer than what the first segment always has. */
void gso_headers_are_in_the_first_segment(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	const struct xpv_tx_packet *packet = &vif->queues[0]->last;
	unsigned int length = write_tcp4(packet_bytes, 60, 60, 8000);

	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_tcp(length, 134, 74, MSS)));
	KUNIT_EXPECT_GE(test, (unsigned int)packet->segments[0].length, 134u);
	/* The TCP options are in a fragment. Linux itself would pull them. */
	length = write_tcp4(packet_bytes, 60, 60, 8000);
	KUNIT_EXPECT_EQ(test, (int)NETDEV_TX_OK, (int)vif_transmit(vif, packet_tcp(length, 94, 74, MSS), false));
	KUNIT_EXPECT_EQ(test, length, (unsigned int)packet->length);
	KUNIT_EXPECT_GE(test, (unsigned int)packet->segments[0].length, 134u);
	/* So is the TCP header itself. */
	KUNIT_EXPECT_EQ(test, (int)NETDEV_TX_OK, (int)vif_transmit(vif, packet_tcp(length, 74, 74, MSS), false));
	KUNIT_EXPECT_GE(test, (unsigned int)packet->segments[0].length, 134u);
	KUNIT_EXPECT_EQ(test, 3u, vif->queues[0]->submitted);
}

void checksum_flags_reach_the_ring(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	const struct xpv_tx_packet *packet = &vif->queues[0]->last;
	unsigned int length = write_tcp4(packet_bytes, 20, 20, 1000);
	struct sk_buff *skb;

	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_tcp(length, length, 34, 0)));
	KUNIT_EXPECT_TRUE(test, packet->checksum_blank);
	KUNIT_EXPECT_EQ(test, (int)XPV_NET_GSO_NONE, (int)packet->gso);

	skb = packet_linear(100);
	KUNIT_ASSERT_NOT_NULL(test, skb);
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, skb));
	KUNIT_EXPECT_FALSE(test, packet->checksum_blank);
	KUNIT_EXPECT_TRUE(test, packet->checksum_known_good);

	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(100)));
	KUNIT_EXPECT_FALSE(test, packet->checksum_blank);
	KUNIT_EXPECT_FALSE(test, packet->checksum_known_good);
}

/* Each packet that Linux made of one is sent by itself; the ring has the last of them. */
static void expect_segmented(struct kunit *test, struct xpv_vif *vif, unsigned int payload)
{
	struct xpv_net_queue *queue = vif->queues[0];
	unsigned int last = TCP4_HEADERS + payload % MSS;
	unsigned int length = write_tcp4(packet_bytes, 20, 20, payload);

	vif_open_byte_limit(vif);
	vif_send(vif, packet_tcp(length, TCP4_HEADERS, 34, MSS));
	KUNIT_ASSERT_TRUE(test, EVENTUALLY(READ_ONCE(queue->submitted) == DIV_ROUND_UP(payload, MSS)));
	KUNIT_EXPECT_EQ(test, (int)XPV_NET_GSO_NONE, (int)queue->last.gso);
	KUNIT_ASSERT_EQ(test, last, (unsigned int)queue->last.length);
	KUNIT_EXPECT_EQ(test, 0,
			memcmp(queue->gathered + TCP4_HEADERS, packet_bytes + length - payload % MSS, payload % MSS));
	/* Linux had no more use for the large packet; those that it made have no destructor. */
	KUNIT_EXPECT_EQ(test, 1u, packet_releases(0));
}

void linux_segments_without_scatter_gather(struct kunit *test)
{
	static const struct xpv_netdev_features none = {};
	struct xpv_vif *vif = vif_make_up(test, 1, &none);
	struct xpv_net_queue *queue = vif->queues[0];

	expect_segmented(test, vif, 5000);
	KUNIT_EXPECT_EQ(test, 1u, queue->last.segment_count);
	KUNIT_EXPECT_FALSE(test, queue->last.checksum_blank);
	KUNIT_EXPECT_TRUE(test, tcp4_checksum_right(queue->gathered, queue->last.length));
}

void linux_segments_without_tso(struct kunit *test)
{
	struct xpv_netdev_features features = all_features;
	struct xpv_vif *vif;

	features.gso_tcpv4 = false;
	vif = vif_make_up(test, 1, &features);
	expect_segmented(test, vif, 5000);
	KUNIT_EXPECT_TRUE(test, vif->queues[0]->last.checksum_blank);
}

/* Linux made them before the connection changed. */
void packets_for_an_earlier_backend(struct kunit *test)
{
	static const struct xpv_netdev_features none = {};
	struct xpv_vif *vif = vif_make_up(test, 1, &none);
	struct xpv_net_queue *queue = vif->queues[0];
	unsigned int length = write_tcp4(packet_bytes, 20, 20, 1000);

	/* The driver completes a checksum, but does not segment. */
	KUNIT_EXPECT_EQ(test, (int)NETDEV_TX_OK, (int)vif_transmit(vif, packet_tcp(length, length, 34, 0), false));
	KUNIT_ASSERT_EQ(test, 1u, queue->submitted);
	KUNIT_EXPECT_FALSE(test, queue->last.checksum_blank);
	KUNIT_EXPECT_TRUE(test, tcp4_checksum_right(queue->gathered, length));
	length = write_tcp4(packet_bytes, 20, 20, 5000);
	KUNIT_EXPECT_EQ(test, (int)NETDEV_TX_OK, (int)vif_transmit(vif, packet_tcp(length, TCP4_HEADERS, 34, MSS), false));
	KUNIT_EXPECT_EQ(test, 1u, queue->submitted);
	KUNIT_EXPECT_EQ(test, 1, (int)vif_stats(vif)->tx_dropped);
}
