// SPDX-License-Identifier: GPL-2.0-only
/* What Linux gets of a received packet: its data once, its pages, and what is right of its offloads. */

#include "netfront_kunit.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <net/ip.h>

/* The backend writes to the page again, which it still has. */
void small_packet_is_copied(struct kunit *test)
{
	static const unsigned int lengths[] = { 14, 15, 60, XPV_RX_COPY_LIMIT };
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		const struct frame frame = { .data = packet_bytes, .length = lengths[i] };
		struct sk_buff *skb;

		write_plain(packet_bytes, lengths[i]);
		skb = vif_receive(vif, &frame);
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(READ_ONCE(vif->queues[0]->posted_count) == RING_SLOTS));
		KUNIT_EXPECT_FALSE(test, skb_is_nonlinear(skb));
		KUNIT_EXPECT_EQ(test, htons(ETH_P_802_EX1), skb->protocol);
		if (lengths[i] > ETH_HLEN)
			expect_received(test, skb, packet_bytes, lengths[i]);
		kfree_skb(skb);
	}
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->rx_packets == ARRAY_SIZE(lengths)));
	KUNIT_EXPECT_EQ(test, 14 + 15 + 60 + XPV_RX_COPY_LIMIT, (int)vif_stats(vif)->rx_bytes);
}

static void receive_large(struct kunit *test, struct xpv_vif *vif, unsigned int length, unsigned int first_size,
			  unsigned int piece_size, unsigned int frags)
{
	const struct frame frame = {
		.data = packet_bytes,
		.length = length,
		.first_size = first_size,
		.piece_size = piece_size,
	};
	struct sk_buff *skb = vif_receive(vif, &frame);

	KUNIT_EXPECT_EQ(test, frags, (unsigned int)skb_shinfo(skb)->nr_frags);
	/* Its pages go back to the pool. */
	KUNIT_EXPECT_EQ(test, 1, (int)skb->pp_recycle);
	expect_received(test, skb, packet_bytes, length);
	kfree_skb(skb);
}

void large_packet_keeps_its_pages(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	unsigned int i;

	write_plain(packet_bytes, PACKET_BYTES - 1);
	receive_large(test, vif, XPV_RX_COPY_LIMIT + 1, 0, 0, 1);
	receive_large(test, vif, 1514, 0, 0, 1);
	receive_large(test, vif, 9000, 0, 0, 3);
	receive_large(test, vif, PACKET_BYTES - 1, 0, 0, 16);
	/* Less than the headers, or than an Ethernet header, in the first page: that is copied. */
	receive_large(test, vif, 300, 100, 100, 2);
	receive_large(test, vif, 60, 1, 30, 2);
	/* One page more than a sk_buff has places for, of which the first one is copied. */
	receive_large(test, vif, 100 + MAX_SKB_FRAGS * 2000, 100, 2000, MAX_SKB_FRAGS);
	/* Pages come back, and are used again. */
	for (i = 0; i < 2 * RING_SLOTS; i++)
		receive_large(test, vif, 5000, 0, 0, 2);
	KUNIT_EXPECT_EQ(test, 0, (int)vif_stats(vif)->rx_dropped);
	KUNIT_EXPECT_EQ(test, 0, (int)vif_stats(vif)->rx_errors);
}

void too_many_pages_are_dropped(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	const struct frame frame = {
		.data = packet_bytes,
		.length = (MAX_SKB_FRAGS + 1) * 2000,
		.piece_size = 2000,
	};

	write_plain(packet_bytes, PACKET_BYTES - 1);
	KUNIT_ASSERT_TRUE(test, vif_deliver(vif->queues[0], &frame));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->rx_dropped == 1));
	receive_large(test, vif, 5000, 0, 0, 2);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->rx_packets == 1));
	KUNIT_EXPECT_EQ(test, 1, (int)vif_stats(vif)->rx_dropped);
}

static void expect_gso(struct kunit *test, struct sk_buff *skb, unsigned int type, unsigned int size,
		       unsigned int ip_header)
{
	KUNIT_EXPECT_EQ(test, type, skb_shinfo(skb)->gso_type & type);
	KUNIT_EXPECT_EQ(test, size, (unsigned int)skb_shinfo(skb)->gso_size);
	/* Linux must not trust it. */
	KUNIT_EXPECT_NE(test, 0u, skb_shinfo(skb)->gso_type & (unsigned int)SKB_GSO_DODGY);
	KUNIT_EXPECT_EQ(test, (unsigned int)CHECKSUM_PARTIAL, (unsigned int)skb->ip_summed);
	KUNIT_EXPECT_EQ(test, ip_header, (unsigned int)skb_checksum_start_offset(skb));
	KUNIT_EXPECT_EQ(test, (unsigned int)offsetof(struct tcphdr, check), (unsigned int)skb->csum_offset);
}

static u64 fixups_of(const struct xpv_vif *vif)
{
	return u64_stats_read(&vif->queues[0]->linux_queue->rx.fixups);
}

void gso_is_received(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct frame frame = {
		.data = packet_bytes,
		.length = write_tcp4(packet_bytes, 20, 32, 10000),
		.checksum_blank = true,
		.gso = XPV_NET_GSO_TCPV4,
		.gso_size = MSS,
	};
	struct sk_buff *skb = vif_receive(vif, &frame);

	expect_gso(test, skb, SKB_GSO_TCPV4, MSS, 20);
	expect_received(test, skb, packet_bytes, frame.length);
	kfree_skb(skb);

	frame.length = write_tcp6(packet_bytes, 10000);
	frame.gso = XPV_NET_GSO_TCPV6;
	frame.gso_size = 8;
	skb = vif_receive(vif, &frame);
	expect_gso(test, skb, SKB_GSO_TCPV6, 8, 40);
	expect_received(test, skb, packet_bytes, frame.length);
	kfree_skb(skb);
	KUNIT_EXPECT_EQ(test, 0, (int)fixups_of(vif));
}

/* Some backends do not set it. The driver makes the checksum partial. */
void gso_without_the_checksum_flag(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	const struct frame frame = {
		.data = packet_bytes,
		.length = write_tcp4(packet_bytes, 20, 20, 10000),
		.gso = XPV_NET_GSO_TCPV4,
		.gso_size = MSS,
	};
	struct tcphdr *tcp = (struct tcphdr *)(packet_bytes + ETH_HLEN + sizeof(struct iphdr));
	__sum16 partial = tcp->check;
	struct sk_buff *skb;

	tcp->check = 0;
	skb = vif_receive(vif, &frame);
	expect_gso(test, skb, SKB_GSO_TCPV4, MSS, 20);
	KUNIT_EXPECT_EQ(test, 1, (int)fixups_of(vif));
	tcp->check = partial;
	expect_received(test, skb, packet_bytes, frame.length);
	kfree_skb(skb);
}

void hash_is_received(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct frame frame = { .data = packet_bytes, .length = 200 };
	struct sk_buff *skb;

	write_plain(packet_bytes, frame.length);
	skb = vif_receive(vif, &frame);
	KUNIT_EXPECT_EQ(test, 0u, skb_get_hash_raw(skb));
	kfree_skb(skb);

	frame.hash_kind = XPV_NET_HASH_L4;
	frame.hash = 0x12345678;
	skb = vif_receive(vif, &frame);
	KUNIT_EXPECT_EQ(test, 0x12345678u, skb_get_hash_raw(skb));
	KUNIT_EXPECT_TRUE(test, skb->l4_hash);
	KUNIT_EXPECT_FALSE(test, skb->sw_hash);
	kfree_skb(skb);

	frame.hash_kind = XPV_NET_HASH_L3;
	skb = vif_receive(vif, &frame);
	KUNIT_EXPECT_EQ(test, 0x12345678u, skb_get_hash_raw(skb));
	KUNIT_EXPECT_FALSE(test, skb->l4_hash);
	kfree_skb(skb);

	rtnl_lock();
	vif->dev->wanted_features &= ~NETIF_F_RXHASH;
	netdev_update_features(vif->dev);
	rtnl_unlock();
	skb = vif_receive(vif, &frame);
	KUNIT_EXPECT_EQ(test, 0u, skb_get_hash_raw(skb));
	kfree_skb(skb);
}

void checksum_flags_are_received(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct frame frame = { .data = packet_bytes, .length = write_tcp4(packet_bytes, 20, 20, 1000) };
	struct sk_buff *skb;

	frame.checksum_blank = frame.checksum_known_good = true;
	skb = vif_receive(vif, &frame);
	KUNIT_EXPECT_EQ(test, (unsigned int)CHECKSUM_PARTIAL, (unsigned int)skb->ip_summed);
	KUNIT_EXPECT_EQ(test, 20, skb_checksum_start_offset(skb));
	KUNIT_EXPECT_FALSE(test, skb_is_gso(skb));
	kfree_skb(skb);

	write_plain(packet_bytes, frame.length);
	frame.checksum_blank = false;
	skb = vif_receive(vif, &frame);
	KUNIT_EXPECT_EQ(test, (unsigned int)CHECKSUM_UNNECESSARY, (unsigned int)skb->ip_summed);
	kfree_skb(skb);

	frame.checksum_known_good = false;
	skb = vif_receive(vif, &frame);
	KUNIT_EXPECT_EQ(test, (unsigned int)CHECKSUM_NONE, (unsigned int)skb->ip_summed);
	kfree_skb(skb);
}

/* Deliver a packet, and expect that it is counted as the error that has this number. */
static void expect_error(struct kunit *test, struct xpv_vif *vif, const struct frame *frame, unsigned int number)
{
	KUNIT_ASSERT_TRUE(test, EVENTUALLY(vif_deliver(vif->queues[0], frame)));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->rx_errors == number));
	KUNIT_EXPECT_EQ(test, 0u, vif_purge(vif));
}

void wrong_offloads_are_errors(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct frame frame = { .data = packet_bytes, .checksum_blank = true, .gso_size = MSS };
	struct iphdr *ip = (struct iphdr *)(packet_bytes + ETH_HLEN);

	frame.length = write_tcp6(packet_bytes, 4000);
	frame.gso = XPV_NET_GSO_TCPV4;
	expect_error(test, vif, &frame, 1);
	frame.length = write_tcp4(packet_bytes, 20, 20, 4000);
	frame.gso = XPV_NET_GSO_TCPV6;
	expect_error(test, vif, &frame, 2);
	/* Not TCP. */
	frame.gso = XPV_NET_GSO_TCPV4;
	ip->protocol = IPPROTO_UDP;
	expect_error(test, vif, &frame, 3);
	ip->protocol = IPPROTO_ICMP;
	expect_error(test, vif, &frame, 4);
	/* A fragment has no TCP header. */
	ip->protocol = IPPROTO_TCP;
	ip->frag_off = htons(IP_MF);
	expect_error(test, vif, &frame, 5);

	/* A checksum that is somewhere else, or nowhere. */
	frame.gso = XPV_NET_GSO_NONE;
	expect_error(test, vif, &frame, 6);
	write_plain(packet_bytes, frame.length);
	expect_error(test, vif, &frame, 7);
	write_tcp4(packet_bytes, 20, 20, 4000);
	frame.length = ETH_HLEN + 10;
	expect_error(test, vif, &frame, 8);
	frame.length = ETH_HLEN + 20 + 10;
	expect_error(test, vif, &frame, 9);
	KUNIT_EXPECT_EQ(test, 0, (int)vif_stats(vif)->rx_packets);
}

void malformed_packets_are_errors(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct frame frame = { .data = packet_bytes, .length = 1000, .malformed = true };

	write_plain(packet_bytes, PACKET_BYTES - 1);
	expect_error(test, vif, &frame, 1);
	/* Shorter than an Ethernet header. */
	frame.malformed = false;
	frame.length = 13;
	expect_error(test, vif, &frame, 2);
	receive_large(test, vif, 5000, 0, 0, 2);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->rx_packets == 1));
	KUNIT_EXPECT_EQ(test, 2, (int)vif_stats(vif)->rx_errors);
}

/* The ring checks that, also of pages that come back from packets. */
void untrusted_backend_gets_zeroed_pages(struct kunit *test)
{
	struct xpv_netdev_features features = all_features;
	struct xpv_vif *vif;
	unsigned int i;

	features.stage_all = true;
	vif = vif_make_up(test, 1, &features);
	write_plain(packet_bytes, PACKET_BYTES - 1);
	for (i = 0; i < 2 * RING_SLOTS; i++)
		receive_large(test, vif, 5000, 0, 0, 2);
	vif_wait_ready(vif);
}
