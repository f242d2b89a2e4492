// SPDX-License-Identifier: GPL-2.0-only
/* An interface is registered, goes up and down, loses its connection, is suspended and removed, in any order. */

#include "netfront_kunit.h"

#include <linux/if_ether.h>
#include <linux/mm.h>
#include <linux/poison.h>
#include <linux/rtnetlink.h>

static const struct frame small = { .data = packet_bytes, .length = 100 };
static const struct frame large = { .data = packet_bytes, .length = 9000 };

/* Expect that packets of each queue pass in both directions, and that each is released. */
static void expect_traffic(struct kunit *test, struct xpv_vif *vif)
{
	unsigned int i;

	write_plain(packet_bytes, large.length);
	for (i = 0; i < vif->queues_used; i++) {
		struct xpv_net_queue *queue = vif->queues[i];
		unsigned int submitted = READ_ONCE(queue->submitted);
		unsigned int built = atomic_read(&packets_built);

		vif_send_by(vif, i, packet_linear(1000));
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(READ_ONCE(queue->submitted) != submitted));
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(packet_releases(built) == 1));
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_deliver(queue, &small)));
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_deliver(queue, &large)));
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(skb_queue_len(&vif->received) == 2));
		vif_purge(vif);
	}
}

void interface_is_registered(struct kunit *test)
{
	struct xpv_vif *vif = vif_make(test, 2, &all_features);
	struct net_device *dev = vif->dev;
	char name[IFNAMSIZ];

	xpv_netdev_name(vif->netdev, name, sizeof(name));
	KUNIT_EXPECT_STREQ(test, dev->name, name);
	KUNIT_EXPECT_EQ(test, (int)NETREG_REGISTERED, (int)dev->reg_state);
	KUNIT_EXPECT_EQ(test, (unsigned int)ETH_DATA_LEN, dev->mtu);
	KUNIT_EXPECT_EQ(test, 0x02, (int)dev->dev_addr[0]);
	KUNIT_EXPECT_EQ(test, 0x01, (int)dev->dev_addr[5]);
	KUNIT_EXPECT_EQ(test, 2u, dev->real_num_tx_queues);
	KUNIT_EXPECT_EQ(test, 2u, dev->real_num_rx_queues);
	KUNIT_EXPECT_TRUE(test, netif_carrier_ok(dev));
	KUNIT_EXPECT_EQ(test, -ENODEV, xpv_netdev_register(vif->netdev));
	/* Nothing is posted before it goes up. */
	msleep(20);
	KUNIT_EXPECT_EQ(test, 0u, vif->queues[0]->posted_count);
}

void goes_up_and_down(struct kunit *test)
{
	struct xpv_vif *vif = vif_make(test, 2, &all_features);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		vif_up(vif);
		vif_wait_ready(vif);
		expect_traffic(test, vif);
		vif_down(vif);
	}
}

/* Over a restore. What Linux sends meanwhile waits for the next connection. */
void keeps_its_carrier(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);

	vif_wait_ready(vif);
	vif->keeps_carrier = true;
	vif_disconnect(vif);
	KUNIT_EXPECT_TRUE(test, netif_carrier_ok(vif->dev));
	KUNIT_EXPECT_TRUE(test, xpv_netdev_prepare(vif->netdev, false));
	vif_send(vif, packet_linear(100));
	msleep(20);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&packets_released));
	vif_connect(vif, 1, &all_features);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(READ_ONCE(vif->queues[0]->submitted) == 1));
	vif_wait_ready(vif);
	expect_traffic(test, vif);

	vif_disconnect(vif);
	xpv_netdev_set_link(vif->netdev, false, 0);
	KUNIT_EXPECT_FALSE(test, netif_carrier_ok(vif->dev));
	vif_down(vif);
	KUNIT_EXPECT_FALSE(test, xpv_netdev_prepare(vif->netdev, false));
}

/* With packets in the ring and above it, and others received. */
void removed_while_up(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 2, &all_features);
	unsigned int i;

	write_plain(packet_bytes, large.length);
	vif->hold = true;
	vif_open_byte_limit(vif);
	for (i = 0; i < 2 * RING_SLOTS; i++)
		vif_send_by(vif, i % 2, packet_linear(100));
	for (i = 0; i < 20; i++)
		vif_send_by(vif, 0, packet_linear(100));
	KUNIT_EXPECT_TRUE(test, vif_deliver(vif->queues[1], &large));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(skb_queue_len(&vif->received) == 1));
	vif_remove(vif);
	KUNIT_EXPECT_EQ(test, 2 * RING_SLOTS + 20, atomic_read(&packets_released));
}

void removed_before_it_is_registered(struct kunit *test)
{
	struct xpv_vif *vif = vif_create(test, 2);

	vif_connect(vif, 2, &all_features);
	vif_disconnect(vif);
	vif_connect(vif, 1, &all_features);
	vif_remove(vif);
	vif_finish(test);
	vif_create(test, 1);
}

/* Packets in a socket's queue stay there. The page pool waits for their pages, and then for itself. */
void received_pages_outlive_the_interface(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct sk_buff *skbs[3];
	struct page *page;
	unsigned int i;

	write_plain(packet_bytes, large.length);
	for (i = 0; i < ARRAY_SIZE(skbs); i++)
		skbs[i] = vif_receive(vif, &large);
	page = skb_frag_page(&skb_shinfo(skbs[0])->frags[0]);
	get_page(page);
	vif_remove(vif);

	for (i = 0; i < ARRAY_SIZE(skbs); i++) {
		expect_received(test, skbs[i], packet_bytes, large.length);
		kfree_skb(skbs[i]);
	}
	/* The pool has no claim to it any more. */
	KUNIT_EXPECT_NE(test, (unsigned long)PP_SIGNATURE, page->pp_magic & ~0x3ul);
	KUNIT_EXPECT_EQ(test, 1, page_count(page));
	put_page(page);
	/* It frees itself within a second. */
	msleep(1500);
}

/* Without a connection an interface can go up, down and up again. */
void comes_up_before_it_is_connected_again(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 2, &all_features);

	vif_disconnect(vif);
	KUNIT_EXPECT_FALSE(test, netif_carrier_ok(vif->dev));
	vif_down(vif);
	vif_up(vif);
	vif_down(vif);
	vif_up(vif);
	/* Dropped, or kept until there is a connection. */
	vif_send(vif, packet_linear(100));
	vif_connect(vif, 2, &all_features);
	vif_wait_ready(vif);
	expect_traffic(test, vif);
	/* And down meanwhile. */
	vif_disconnect(vif);
	vif_down(vif);
	vif_connect(vif, 2, &all_features);
	vif_up(vif);
	vif_wait_ready(vif);
	expect_traffic(test, vif);
}

void connects_with_fewer_queues(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 4, &all_features);
	unsigned int before, i;

	expect_traffic(test, vif);
	/* In flight, and above the ring: all that is lost. */
	vif->hold = true;
	for (i = 0; i < 8; i++)
		vif_send_by(vif, i % 4, packet_linear(1000));
	vif_disconnect(vif);
	vif->hold = false;
	vif_connect(vif, 1, &all_features);
	KUNIT_EXPECT_EQ(test, 1u, vif->dev->real_num_tx_queues);
	KUNIT_EXPECT_EQ(test, 1u, vif->dev->real_num_rx_queues);
	vif_wait_ready(vif);
	expect_traffic(test, vif);
	/* A packet for a queue that is not used any more goes by one that is. */
	before = vif->queues[0]->submitted;
	vif_send_by(vif, 3, packet_linear(1000));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(READ_ONCE(vif->queues[0]->submitted) == before + 1));
	vif_down(vif);
	vif_up(vif);
	vif_wait_ready(vif);
	expect_traffic(test, vif);

	vif_disconnect(vif);
	vif_connect(vif, 4, &all_features);
	KUNIT_EXPECT_EQ(test, 4u, vif->dev->real_num_tx_queues);
	vif_wait_ready(vif);
	expect_traffic(test, vif);
}

/* ---- Suspend. The rings check that nothing is transmitted or received. ---- */

void suspend_holds_what_is_up(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	unsigned int i;

	write_plain(packet_bytes, large.length);
	for (i = 0; i < 3; i++) {
		unsigned int before = queue->submitted;

		vif_hold(vif);
		vif_send(vif, packet_linear(100));
		KUNIT_EXPECT_TRUE(test, vif_deliver(queue, &small));
		xpv_netdev_poll(queue->linux_queue);
		msleep(20);
		KUNIT_EXPECT_EQ(test, before, queue->submitted);
		KUNIT_EXPECT_EQ(test, 0u, skb_queue_len(&vif->received));
		vif_release(vif);
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(READ_ONCE(queue->submitted) == before + 1));
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(skb_queue_len(&vif->received) == 1));
		vif_purge(vif);
		expect_traffic(test, vif);
	}
}

void suspend_holds_what_is_down(struct kunit *test)
{
	struct xpv_vif *vif = vif_make(test, 2, &all_features);

	vif_hold(vif);
	vif_release(vif);
	vif_up(vif);
	vif_wait_ready(vif);
	expect_traffic(test, vif);
	vif_down(vif);
	vif_hold(vif);
	vif_release(vif);
	vif_up(vif);
	vif_wait_ready(vif);
	expect_traffic(test, vif);
	/* And without a connection. */
	vif_disconnect(vif);
	vif_hold(vif);
	vif_release(vif);
	vif_connect(vif, 2, &all_features);
	vif_wait_ready(vif);
	expect_traffic(test, vif);
}

void comes_up_during_a_suspend(struct kunit *test)
{
	struct xpv_vif *vif = vif_make(test, 2, &all_features);

	vif_hold(vif);
	vif_up(vif);
	vif_send(vif, packet_linear(100));
	msleep(20);
	KUNIT_EXPECT_EQ(test, 0u, vif->queues[0]->submitted + vif->queues[1]->submitted);
	KUNIT_EXPECT_EQ(test, 0u, vif->queues[0]->posted_count);
	vif_release(vif);
	vif_wait_ready(vif);
	expect_traffic(test, vif);
	/* The other way round. */
	vif_hold(vif);
	vif_down(vif);
	vif_release(vif);
	vif_up(vif);
	vif_wait_ready(vif);
	expect_traffic(test, vif);
	vif_hold(vif);
	vif_remove(vif);
}

/* What was in flight is lost, and what waited above the ring is not transmitted before there is a connection. */
void restore_connects_again(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 2, &all_features);

	vif->hold = true;
	vif_send_by(vif, 0, packet_linear(100));
	vif_hold(vif);
	vif_send_by(vif, 1, packet_linear(100));
	vif_disconnect(vif);
	KUNIT_EXPECT_EQ(test, 1u, packet_releases(0));
	msleep(20);
	vif->hold = false;
	vif_connect(vif, 1, &all_features);
	vif_wait_ready(vif);
	expect_traffic(test, vif);
}
