// SPDX-License-Identifier: GPL-2.0-only
/*
 * The segments that a packet becomes. The ring compares the data of each packet with its segments'; these cases
 * look at what is staged and what is granted.
 */

#include "netfront_kunit.h"

#include <linux/mm.h>

struct expected_segment {
	const void *in_place; /* NULL: staged */
	unsigned int length;
};

static void expect_segments(struct kunit *test, const struct xpv_vif *vif, const struct expected_segment *expected,
			    unsigned int count)
{
	const struct xpv_tx_packet *packet = &vif->queues[0]->last;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, count, packet->segment_count);
	for (i = 0; i < count; i++) {
		const struct xpv_tx_segment *segment = &packet->segments[i];
		const void *data = expected[i].in_place;

		KUNIT_EXPECT_EQ(test, expected[i].length, (unsigned int)segment->length);
		KUNIT_ASSERT_EQ(test, !data, segment->staged);
		if (!data)
			continue;
		KUNIT_EXPECT_EQ(test, page_to_pfn(virt_to_page(data)), (unsigned long)segment->frame.value);
		KUNIT_EXPECT_EQ(test, (unsigned int)offset_in_page(data), (unsigned int)segment->offset);
	}
}

/* A packet of `length` bytes that is staged as a whole, in pages. */
static void expect_all_staged(struct kunit *test, const struct xpv_vif *vif, unsigned int length)
{
	const struct xpv_tx_packet *packet = &vif->queues[0]->last;
	unsigned int staged = 0;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, length, (unsigned int)packet->length);
	KUNIT_EXPECT_EQ(test, (unsigned int)DIV_ROUND_UP(length, PAGE_SIZE), packet->segment_count);
	for (i = 0; i < packet->segment_count; i++)
		staged += packet->segments[i].staged;
	KUNIT_EXPECT_EQ(test, packet->segment_count, staged);
}

void small_packet_is_staged(struct kunit *test)
{
	static const struct expected_segment expected[] = { { NULL, 100 } };
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct sk_buff *skb;

	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(100)));
	expect_segments(test, vif, expected, 1);
	/* Also if it is in pages, and has a fragment. */
	skb = packet_in_pages(0, 64, 60);
	KUNIT_ASSERT_NOT_NULL(test, skb);
	KUNIT_ASSERT_NOT_NULL(test, packet_add_frag(skb, 0, 100, 40));
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, skb));
	expect_segments(test, vif, expected, 1);
}

/* Its page has other objects in it, and cannot be parked. */
void slab_memory_is_staged(struct kunit *test)
{
	static const struct expected_segment one[] = { { NULL, 1400 } };
	static const struct expected_segment two[] = { { NULL, 4096 }, { NULL, 1904 } };
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);

	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(1400)));
	expect_segments(test, vif, one, 1);
	/* An object of two pages; the second one is not recognised as slab by its own struct page. */
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(6000)));
	expect_segments(test, vif, two, 2);
}

void linear_pages_are_granted_in_place(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct sk_buff *skb = packet_in_pages(2, 64, 9000);
	struct expected_segment expected[3];
	u8 *data;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	data = skb->data;
	expected[0] = (struct expected_segment){ data, 4032 };
	expected[1] = (struct expected_segment){ data + 4032, 4096 };
	expected[2] = (struct expected_segment){ data + 8128, 872 };
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, skb));
	expect_segments(test, vif, expected, 3);

	/* What kmalloc() takes from the page allocator is no slab memory. */
	skb = packet_linear(12000);
	KUNIT_ASSERT_NOT_NULL(test, skb);
	KUNIT_ASSERT_FALSE(test, PageSlab(virt_to_page(skb->data)));
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, skb));
	KUNIT_EXPECT_FALSE(test, vif->queues[0]->last.segments[0].staged);
}

/* Headers are in one segment, even if they are in two pages. */
void headers_across_pages_are_staged(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	const struct xpv_tx_packet *packet = &vif->queues[0]->last;
	struct sk_buff *skb = packet_in_pages(2, 4096 - 100, 9000);
	unsigned long last;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	last = page_to_pfn(virt_to_page(skb->data + 8999));
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, skb));
	KUNIT_EXPECT_TRUE(test, packet->segments[0].staged);
	KUNIT_EXPECT_GE(test, (unsigned int)packet->segments[0].length, 128u);
	KUNIT_EXPECT_FALSE(test, packet->segments[packet->segment_count - 1].staged);
	KUNIT_EXPECT_EQ(test, last, (unsigned long)packet->segments[packet->segment_count - 1].frame.value);
}

/* The first segment has 128 bytes, some of them of the first fragment. */
void frags_are_granted_in_place(struct kunit *test)
{
	static const unsigned int offsets[] = { 0, 100, 3096 };
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct sk_buff *skb = packet_linear(66);
	struct expected_segment expected[4] = { { NULL, 128 } };
	struct page *pages[3];
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = packet_add_frag(skb, 0, offsets[i], 1000);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
		get_page(pages[i]);
		expected[i + 1] = (struct expected_segment){ page_address(pages[i]) + offsets[i], 1000 };
	}
	expected[1].in_place += 62;
	expected[1].length -= 62;
	vif->hold = true;
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, skb));
	expect_segments(test, vif, expected, 4);
	/* The packet keeps its pages until the backend has answered, and no longer. */
	KUNIT_EXPECT_EQ(test, 2, page_count(pages[0]));
	vif_answer(vif->queues[0], 1, ANSWER_SENT);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(packet_releases(0) == 1));
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(page_count(pages[i]) == 1));
		put_page(pages[i]);
	}
}

void frag_beyond_the_first_page(struct kunit *test)
{
	const unsigned int offset = 2 * PAGE_SIZE + 100;
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct sk_buff *skb = packet_linear(200);
	struct expected_segment expected[3] = { { NULL, 200 } };
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	page = packet_add_frag(skb, 3, offset, 6000);
	KUNIT_ASSERT_NOT_NULL(test, page);
	expected[1] = (struct expected_segment){ page_address(page) + offset, 3996 };
	expected[2] = (struct expected_segment){ page_address(page) + 3 * PAGE_SIZE, 2004 };
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, skb));
	expect_segments(test, vif, expected, 3);
}

/* Two slots for each fragment would be more than a backend accepts. */
void packet_of_many_slots_is_staged(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct sk_buff *skb = packet_linear(66);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	for (i = 0; i < MAX_SKB_FRAGS; i++)
		KUNIT_ASSERT_NOT_NULL(test, packet_add_frag(skb, 1, PAGE_SIZE - 500, 1000));
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, skb));
	expect_all_staged(test, vif, 66 + MAX_SKB_FRAGS * 1000);
}

void frag_list_is_staged(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct sk_buff *skb = packet_linear(1000);
	struct sk_buff *second = alloc_skb(500, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, skb);
	KUNIT_ASSERT_NOT_NULL(test, second);
	skb_put_zero(second, 500);
	skb_shinfo(skb)->frag_list = second;
	skb->data_len += 500;
	skb->len += 500;
	skb->truesize += second->truesize;
	KUNIT_EXPECT_EQ(test, (int)NETDEV_TX_OK, (int)vif_transmit(vif, skb, false));
	expect_all_staged(test, vif, 1500);
}

/* With trusted=0 nothing of Linux's memory is granted. */
void untrusted_backend_gets_copies(struct kunit *test)
{
	struct xpv_netdev_features features = all_features;
	struct xpv_vif *vif;
	struct sk_buff *skb;

	features.stage_all = true;
	vif = vif_make_up(test, 1, &features);
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_in_pages(2, 64, 9000)));
	expect_all_staged(test, vif, 9000);
	skb = packet_linear(66);
	KUNIT_ASSERT_NOT_NULL(test, skb);
	KUNIT_ASSERT_NOT_NULL(test, packet_add_frag(skb, 0, 0, 4000));
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, skb));
	expect_all_staged(test, vif, 4066);
}

void one_segment_without_scatter_gather(struct kunit *test)
{
	static const struct xpv_netdev_features features = { .checksum_ipv4 = true, .checksum_ipv6 = true };
	struct xpv_vif *vif = vif_make_up(test, 1, &features);
	struct sk_buff *skb;

	/* In two pages. */
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_in_pages(1, 4096 - 700, 1400)));
	expect_all_staged(test, vif, 1400);
	/* Linux copies what is in fragments. */
	skb = packet_linear(66);
	KUNIT_ASSERT_NOT_NULL(test, skb);
	KUNIT_ASSERT_NOT_NULL(test, packet_add_frag(skb, 0, 0, 1000));
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, skb));
	KUNIT_EXPECT_EQ(test, 1u, vif->queues[0]->last.segment_count);
	/* More than a page cannot be sent. */
	KUNIT_EXPECT_EQ(test, (int)NETDEV_TX_OK, (int)vif_transmit(vif, packet_in_pages(2, 64, 5000), false));
	KUNIT_EXPECT_EQ(test, 2u, vif->queues[0]->submitted);
	KUNIT_EXPECT_EQ(test, 1, (int)vif_stats(vif)->tx_dropped);
}

void impossible_packets_are_dropped(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct sk_buff *skb;
	unsigned int i;

	/* No Ethernet header. */
	KUNIT_EXPECT_EQ(test, (int)NETDEV_TX_OK, (int)vif_transmit(vif, packet_linear(10), false));
	/* More than the ring's field for the length can say. */
	skb = packet_linear(66);
	KUNIT_ASSERT_NOT_NULL(test, skb);
	for (i = 0; i < MAX_SKB_FRAGS; i++)
		KUNIT_ASSERT_NOT_NULL(test, packet_add_frag(skb, 0, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, (int)NETDEV_TX_OK, (int)vif_transmit(vif, skb, false));

	KUNIT_EXPECT_EQ(test, 0u, vif->queues[0]->submitted);
	KUNIT_EXPECT_EQ(test, 2, (int)vif_stats(vif)->tx_dropped);
	KUNIT_EXPECT_EQ(test, 1u, packet_releases(0));
	KUNIT_EXPECT_EQ(test, 1u, packet_releases(1));
}
