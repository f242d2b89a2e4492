// SPDX-License-Identifier: GPL-2.0-only
/* What becomes of packets in the ring: they are released once, the queue stops in time, and bursts are pushed once. */

#include "netfront_kunit.h"

/* Slots of the largest packet, with its GSO extra info. */
#define ROOM_FOR_ONE (XPV_NET_SLOTS_MAX + 1u)

void packets_are_released_once(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	unsigned int i;

	vif->hold = true;
	vif_open_byte_limit(vif);
	for (i = 0; i < 5; i++)
		KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(1000)));
	msleep(20);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&packets_released));

	vif_answer(queue, 1, ANSWER_SENT);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(packet_releases(0) == 1));
	vif_answer(queue, 1, ANSWER_DROPPED);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(packet_releases(1) == 1));
	vif_answer(queue, 1, ANSWER_ERROR);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(packet_releases(2) == 1));
	KUNIT_EXPECT_EQ(test, 3, atomic_read(&packets_released));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->tx_errors == 1));
	KUNIT_EXPECT_EQ(test, 1, (int)vif_stats(vif)->tx_dropped);
	KUNIT_EXPECT_EQ(test, 5, (int)vif_stats(vif)->tx_packets);
	KUNIT_EXPECT_EQ(test, 5000, (int)vif_stats(vif)->tx_bytes);

	/* Those that are left are dropped with the connection. */
	vif_disconnect(vif);
	KUNIT_EXPECT_EQ(test, 5, atomic_read(&packets_released));
}

void refused_packets_are_dropped(struct kunit *test)
{
	static const int errors[] = { -ENOMEM, -ENODEV };
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		vif->queues[0]->refuse = errors[i];
		vif_send(vif, packet_linear(1000));
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(packet_releases(i) == 1));
	}
	KUNIT_EXPECT_EQ(test, 0u, vif->queues[0]->submitted);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->tx_dropped == 2));
	/* The queue goes on. */
	KUNIT_EXPECT_TRUE(test, vif_send_and_wait(vif, packet_linear(1000)));
}

void busy_ring_is_tried_again(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];

	queue->refuse = -EAGAIN;
	KUNIT_EXPECT_TRUE(test, vif_send_and_wait(vif, packet_linear(1000)));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(packet_releases(0) == 1));
	KUNIT_EXPECT_EQ(test, 1u, queue->submitted);
	KUNIT_EXPECT_EQ(test, 1, (int)vif_stats(vif)->tx_packets);
	KUNIT_EXPECT_EQ(test, 0, (int)vif_stats(vif)->tx_dropped);
}

void queue_stops_and_wakes(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	struct netdev_queue *txq = vif_txq(vif, 0);
	unsigned int sent = 0;

	vif->hold = true;
	vif_open_byte_limit(vif);
	while (!netif_tx_queue_stopped(txq) && sent < RING_SLOTS) {
		KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(100)));
		sent++;
	}
	KUNIT_EXPECT_TRUE(test, netif_tx_queue_stopped(txq));
	KUNIT_EXPECT_LT(test, queue->room, ROOM_FOR_ONE);
	KUNIT_EXPECT_EQ(test, queue->submitted, queue->pushed);
	/* Another one waits. */
	vif_send(vif, packet_linear(100));
	msleep(20);
	KUNIT_EXPECT_EQ(test, sent, queue->submitted);
	/* Not for one response: the queue would stop again at once. */
	vif_answer(queue, 1, ANSWER_SENT);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(READ_ONCE(queue->collected) == 1));
	msleep(20);
	KUNIT_EXPECT_TRUE(test, netif_tx_queue_stopped(txq));
	vif_answer(queue, RING_SLOTS, ANSWER_SENT);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(READ_ONCE(queue->submitted) == sent + 1));
	KUNIT_EXPECT_FALSE(test, netif_tx_queue_stopped(txq));
	KUNIT_EXPECT_EQ(test, 0u, queue->full);
}

/* With as much data as a packet can have. */
void large_packets_never_find_the_ring_full(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	unsigned int length = write_tcp4(packet_bytes, 20, 20, 65000);
	unsigned int i;

	vif->hold = true;
	vif_open_byte_limit(vif);
	for (i = 0; i < 40; i++)
		vif_send(vif, packet_tcp(length, TCP4_HEADERS, 34, MSS));
	KUNIT_EXPECT_GE(test, READ_ONCE(queue->submitted), RING_SLOTS / ROOM_FOR_ONE);
	KUNIT_EXPECT_TRUE(test, netif_tx_queue_stopped(vif_txq(vif, 0)));
	for (i = 0; i < 100 && atomic_read(&packets_released) < 40; i++) {
		vif_answer(queue, 3, ANSWER_SENT);
		msleep(20);
	}
	KUNIT_EXPECT_EQ(test, 40, atomic_read(&packets_released));
	KUNIT_EXPECT_EQ(test, 0u, queue->full);
	KUNIT_EXPECT_EQ(test, (unsigned int)RING_SLOTS, queue->room);
}

/* No event says that there are responses. */
void transmitter_takes_responses(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	unsigned int i;

	queue->quiet = true;
	vif_open_byte_limit(vif);
	for (i = 0; i < 2 * RING_SLOTS; i++)
		vif_send(vif, packet_linear(100));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(READ_ONCE(queue->submitted) == 2u * RING_SLOTS));
	KUNIT_EXPECT_GE(test, queue->collected, (unsigned int)RING_SLOTS);
	queue->quiet = false;
}

void burst_is_pushed_once(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	unsigned int i;

	for (i = 0; i < 3; i++)
		vif_transmit(vif, packet_linear(1000), true);
	KUNIT_EXPECT_EQ(test, 3u, queue->submitted);
	KUNIT_EXPECT_EQ(test, 0u, queue->pushes);
	vif_transmit(vif, packet_linear(1000), false);
	KUNIT_EXPECT_EQ(test, 1u, queue->pushes);
	KUNIT_EXPECT_EQ(test, 4u, queue->pushed);
	/* The last one is dropped: those before it are pushed all the same. */
	vif_transmit(vif, packet_linear(1000), true);
	vif_transmit(vif, packet_linear(10), false);
	KUNIT_EXPECT_EQ(test, 2u, queue->pushes);
	KUNIT_EXPECT_EQ(test, 5u, queue->pushed);
	/* Or it is refused. */
	vif_transmit(vif, packet_linear(1000), true);
	queue->refuse = -ENOMEM;
	vif_transmit(vif, packet_linear(1000), false);
	KUNIT_EXPECT_EQ(test, 3u, queue->pushes);
	KUNIT_EXPECT_EQ(test, 6u, queue->pushed);
	/* One that is not the last pushes nothing, also if it is dropped. */
	vif_transmit(vif, packet_linear(1000), true);
	vif_transmit(vif, packet_linear(10), true);
	KUNIT_EXPECT_EQ(test, 3u, queue->pushes);
	vif_transmit(vif, packet_linear(1000), false);
	KUNIT_EXPECT_EQ(test, 8u, queue->pushed);
}

/* Linux ends it when the queue stops, and does not say so. */
void burst_that_fills_the_ring_is_pushed(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];

	vif->hold = true;
	while (!netif_tx_queue_stopped(vif_txq(vif, 0)) && queue->submitted < RING_SLOTS)
		vif_transmit(vif, packet_linear(100), true);
	KUNIT_EXPECT_TRUE(test, netif_tx_queue_stopped(vif_txq(vif, 0)));
	KUNIT_EXPECT_EQ(test, queue->submitted, queue->pushed);
	vif_answer(queue, RING_SLOTS, ANSWER_SENT);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(!netif_tx_queue_stopped(vif_txq(vif, 0))));
}

/* What was in flight is never completed. */
void byte_limit_begins_again_with_a_connection(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct netdev_queue *txq = vif_txq(vif, 0);
	unsigned int i;

	vif->hold = true;
	/* The limit begins at 0: a second packet waits for the first one's response. */
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(1000)));
	KUNIT_EXPECT_TRUE(test, netif_xmit_stopped(txq));
	KUNIT_EXPECT_FALSE(test, netif_tx_queue_stopped(txq));
	vif_send(vif, packet_linear(1000));
	msleep(20);
	KUNIT_EXPECT_EQ(test, 1u, vif->queues[0]->submitted);

	vif_disconnect(vif);
	KUNIT_EXPECT_EQ(test, 1u, packet_releases(0));
	vif->hold = false;
	vif_connect(vif, 1, &all_features);
	vif_wait_ready(vif);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(!netif_xmit_stopped(txq)));
	for (i = 0; i < 50; i++)
		KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(1000)));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(!netif_xmit_stopped(txq)));
}
