// SPDX-License-Identifier: GPL-2.0-only
/* The NAPI poll: its budget, netpoll, and packets that arrive at its end. */

#include "netfront_kunit.h"

static const struct frame small = { .data = packet_bytes, .length = 100 };

/* ---- Polls by the test itself ---- */

/*
 * Own the NAPI poll, as net_rx_action() or netpoll does, with softirqs off until end_own_poll(). False: it is
 * scheduled already.
 */
static bool begin_own_poll(struct napi_struct *napi)
{
	local_bh_disable();
	if (napi_schedule_prep(napi))
		return true;
	local_bh_enable();
	return false;
}

/* Let Linux continue the poll. */
static void end_own_poll(struct napi_struct *napi)
{
	__napi_schedule(napi);
	local_bh_enable();
}

void poll_respects_its_budget(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	struct napi_struct *napi = &queue->linux_queue->napi;
	struct frame malformed = small;
	unsigned int taken[3];
	int work[3];
	unsigned int i;

	malformed.malformed = true;
	write_plain(packet_bytes, small.length);
	KUNIT_ASSERT_TRUE(test, EVENTUALLY(begin_own_poll(napi)));
	for (i = 0; i < 100; i++)
		vif_deliver(queue, i % 10 ? &small : &malformed);
	work[0] = net_poll(napi, 10);
	taken[0] = queue->taken;
	work[1] = net_poll(napi, 1);
	taken[1] = queue->taken;
	work[2] = net_poll(napi, 64);
	taken[2] = queue->taken;
	end_own_poll(napi);

	KUNIT_EXPECT_EQ(test, 10, work[0]);
	KUNIT_EXPECT_EQ(test, 10u, taken[0]);
	KUNIT_EXPECT_EQ(test, 1, work[1]);
	KUNIT_EXPECT_EQ(test, 11u, taken[1]);
	KUNIT_EXPECT_EQ(test, 64, work[2]);
	KUNIT_EXPECT_EQ(test, 75u, taken[2]);
	/* The rest comes by itself. */
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(skb_queue_len(&vif->received) == 90));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->rx_errors == 10));
}

/* With a budget of 0, as netpoll calls it, perhaps in a context in which nothing can be received. */
void netpoll_only_releases(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	struct napi_struct *napi = &queue->linux_queue->napi;
	unsigned int taken, collected, refills;
	int work;

	write_plain(packet_bytes, small.length);
	vif->hold = true;
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(1000)));
	KUNIT_ASSERT_TRUE(test, EVENTUALLY(begin_own_poll(napi)));
	vif_deliver(queue, &small);
	refills = queue->posted_count;
	vif_answer(queue, 1, ANSWER_SENT);
	work = net_poll(napi, 0);
	taken = queue->taken;
	collected = queue->collected;
	refills -= queue->posted_count;
	end_own_poll(napi);

	KUNIT_EXPECT_EQ(test, 0, work);
	KUNIT_EXPECT_EQ(test, 1u, collected);
	KUNIT_EXPECT_EQ(test, 0u, taken);
	KUNIT_EXPECT_EQ(test, 0u, refills);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(skb_queue_len(&vif->received) == 1));
}

/* A message of the driver itself may go to netconsole. */
void netpoll_with_the_transmit_lock_held(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	struct napi_struct *napi = &queue->linux_queue->napi;
	unsigned int collected;
	int work;

	vif->hold = true;
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(1000)));
	KUNIT_ASSERT_TRUE(test, EVENTUALLY(begin_own_poll(napi)));
	vif_answer(queue, 1, ANSWER_SENT);
	xpv_netdev_lock_transmit(vif->netdev, 0);
	work = net_poll(napi, 0);
	collected = queue->collected;
	xpv_netdev_unlock_transmit(vif->netdev, 0);
	end_own_poll(napi);

	KUNIT_EXPECT_EQ(test, 0, work);
	KUNIT_EXPECT_EQ(test, 0u, collected);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(packet_releases(0) == 1));
}

/* ---- Packets that arrive at the end of a poll. They may not have to wait for the next event. ---- */

/* Deliver a packet whose event is lost, and poll in a task, as the work does that looks for lost events. */
static void deliver_and_poll(struct kunit *test, struct xpv_net_queue *queue)
{
	unsigned long flags;

	KUNIT_ASSERT_TRUE(test, EVENTUALLY(READ_ONCE(queue->armed)));
	spin_lock_irqsave(&queue->lock, flags);
	queue->armed = false;
	spin_unlock_irqrestore(&queue->lock, flags);
	KUNIT_ASSERT_TRUE(test, vif_deliver(queue, &small));
	xpv_netdev_poll(queue->linux_queue);
}

/* `each`: packets received for each that is delivered. */
static void receive_late(struct kunit *test, enum late when, bool by_event, unsigned int each)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	unsigned int i;

	write_plain(packet_bytes, small.length);
	for (i = 1; i <= 20; i++) {
		vif_deliver_late(queue, when, &small);
		if (by_event)
			KUNIT_ASSERT_TRUE(test, vif_deliver(queue, &small));
		else
			deliver_and_poll(test, queue);
		KUNIT_ASSERT_TRUE(test, EVENTUALLY(skb_queue_len(&vif->received) == each * i));
	}
}

void packet_before_the_event_is_asked_for(struct kunit *test)
{
	receive_late(test, LATE_BEFORE_ARM, true, 2);
}

/* Its event is masked until the end of the interrupt. */
void packet_after_the_event_is_asked_for(struct kunit *test)
{
	receive_late(test, LATE_AFTER_ARM, true, 2);
}

/* Its event comes at once, while the poll is still scheduled. */
void packet_after_a_poll_without_event(struct kunit *test)
{
	receive_late(test, LATE_AFTER_ARM, false, 2);
}

void packet_before_the_end_of_interrupt(struct kunit *test)
{
	receive_late(test, LATE_BEFORE_EOI, true, 2);
}

/* The poll does not wait for the next interrupt of the CPU. */
void poll_by_a_task(struct kunit *test)
{
	receive_late(test, LATE_NEVER, false, 1);
}

void packet_for_an_interface_that_is_down(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];

	write_plain(packet_bytes, small.length);
	vif_down(vif);
	KUNIT_EXPECT_TRUE(test, vif_deliver(queue, &small));
	msleep(20);
	KUNIT_EXPECT_EQ(test, 0u, queue->taken);
	vif_up(vif);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(skb_queue_len(&vif->received) == 1));
	/* Events come again. */
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_deliver(queue, &small)));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(skb_queue_len(&vif->received) == 2));
}
