// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to an interface while its queues are busy on all CPUs. The rings report a call at a wrong time or by
 * two at once; KASAN, lockdep and the counts of packets report the rest.
 */

#include "netfront_kunit.h"

#include <linux/kthread.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>

#define SENDERS 2

/* The packets that arrive: small, large, and one that is malformed. */
static const struct frame arrivals[] = {
	{ .data = packet_bytes, .length = 100 },
	{ .data = packet_bytes, .length = 5000 },
	{ .data = packet_bytes, .length = 100, .malformed = true },
	{ .data = packet_bytes, .length = 1500 },
};

struct storm {
	struct xpv_vif *vif;
	struct net_device *dev;
	struct task_struct *senders[SENDERS];
	struct task_struct *backend;
};

/* ---- Traffic ---- */

static struct sk_buff *make_packet(unsigned int number)
{
	struct sk_buff *skb;

	switch (number % 4) {
	case 0:
		return packet_linear(1400);
	case 1:
		skb = packet_linear(66);
		if (skb)
			packet_add_frag(skb, 1, PAGE_SIZE - 500, 3000);
		return skb;
	default:
		return packet_linear(100);
	}
}

/* Transmit until the storm is over, or Linux removes the interface and waits for this reference to it. */
static int send_packets(void *argument)
{
	struct storm *storm = argument;
	struct net_device *dev = storm->dev;
	unsigned int i = 0;

	while (!kthread_should_stop() && dev->reg_state == NETREG_REGISTERED) {
		struct sk_buff *skb = make_packet(i++);

		if (skb) {
			skb->dev = dev;
			skb_record_rx_queue(skb, i % storm->vif->queue_count);
			dev_queue_xmit(skb);
		}
		if (i % 16 == 0)
			usleep_range(50, 200);
	}
	dev_put(dev);
	while (!kthread_should_stop())
		schedule_timeout_idle(1);
	return 0;
}

/* Receive on the CPU of this thread. */
static int deliver_packets(void *argument)
{
	struct storm *storm = argument;
	unsigned int i = 0;

	while (!kthread_should_stop()) {
		struct xpv_net_queue *queue = storm->vif->queues[i % storm->vif->queue_count];

		vif_deliver(queue, &arrivals[i / 2 % ARRAY_SIZE(arrivals)]);
		if (++i % 8 == 0)
			usleep_range(50, 200);
	}
	return 0;
}

static void begin_storm(struct kunit *test, struct storm *storm, struct xpv_vif *vif)
{
	unsigned int i;

	write_plain(packet_bytes, PACKET_BYTES - 1);
	vif->discard = true;
	vif->echo = true;
	*storm = (struct storm){ .vif = vif, .dev = vif->dev };
	for (i = 0; i < SENDERS; i++) {
		dev_hold(vif->dev);
		storm->senders[i] = kthread_run(send_packets, storm, "storm sender");
		KUNIT_ASSERT_FALSE(test, IS_ERR(storm->senders[i]));
	}
	storm->backend = kthread_run(deliver_packets, storm, "storm backend");
	KUNIT_ASSERT_FALSE(test, IS_ERR(storm->backend));
	msleep(50);
}

static void end_storm(struct storm *storm)
{
	unsigned int i;

	for (i = 0; i < SENDERS; i++)
		kthread_stop(storm->senders[i]);
	kthread_stop(storm->backend);
}

/* Expect that there was traffic in both directions. */
static void expect_storm(struct kunit *test, struct xpv_vif *vif)
{
	KUNIT_EXPECT_GT(test, atomic_read(&packets_built), 100);
	KUNIT_EXPECT_GT(test, (int)vif_stats(vif)->tx_packets, 100);
	KUNIT_EXPECT_GT(test, (int)vif_stats(vif)->rx_packets, 100);
}

/* Expect that packets still pass in both directions by queue 0. */
static void expect_calm(struct kunit *test, struct xpv_vif *vif)
{
	vif->echo = false;
	vif_wait_ready(vif);
	vif->discard = false;
	vif_purge(vif);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(!netif_xmit_stopped(vif_txq(vif, 0))));
	KUNIT_EXPECT_TRUE(test, vif_deliver(vif->queues[0], &arrivals[1]));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(!skb_queue_empty_lockless(&vif->received)));
	vif_purge(vif);
}

static void expect_stopped(struct kunit *test, const struct xpv_vif *vif)
{
	unsigned int stopped = 0;
	unsigned int i;

	for (i = 0; i < vif->queue_count; i++)
		stopped += netif_tx_queue_stopped(vif_txq(vif, i));
	KUNIT_EXPECT_EQ(test, vif->queue_count, stopped);
}

/* ---- Cases ---- */

/*
 * Polls go on until NAPI is disabled, one queue after the other. They find room in the rings, but the queues are not
 * to be woken: then Linux would transmit without a connection.
 */
void poll_does_not_wake_a_stopped_queue(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 4, &all_features);
	unsigned int round, i;

	for (round = 0; round < 10; round++) {
		WRITE_ONCE(vif->busy, true);
		for (i = 0; i < vif->queue_count; i++)
			xpv_netdev_poll(vif->queues[i]->linux_queue);
		msleep(5);
		vif_disconnect(vif);
		expect_stopped(test, vif);
		WRITE_ONCE(vif->busy, false);
		vif_connect(vif, 4, &all_features);
		vif_wait_ready(vif);
	}
}

/* Each connection has another number of queues and other features. */
void disconnect_in_a_storm(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 4, &all_features);
	struct xpv_netdev_features features[3] = { all_features, all_features, {} };
	struct storm storm;
	unsigned int i;

	features[1].stage_all = true;
	begin_storm(test, &storm, vif);
	for (i = 0; i < 30; i++) {
		msleep(20);
		vif_disconnect(vif);
		expect_stopped(test, vif);
		if (i % 4 == 0)
			msleep(20);
		vif_connect(vif, 1 + i % 4, &features[i % ARRAY_SIZE(features)]);
	}
	vif_wait_ready(vif);
	msleep(100);
	end_storm(&storm);
	expect_storm(test, vif);
	expect_calm(test, vif);
}

void down_and_up_in_a_storm(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 2, &all_features);
	struct storm storm;
	unsigned int i;

	begin_storm(test, &storm, vif);
	for (i = 0; i < 20; i++) {
		msleep(20);
		vif_down(vif);
		if (i % 3 == 1)
			vif_disconnect(vif);
		vif_up(vif);
		if (i % 3 == 1)
			vif_connect(vif, 2, &all_features);
	}
	msleep(100);
	end_storm(&storm);
	expect_storm(test, vif);
	expect_calm(test, vif);
}

/* Most suspends are cancelled; every fifth is a restore. */
void suspend_in_a_storm(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 2, &all_features);
	struct storm storm;
	unsigned int i;

	begin_storm(test, &storm, vif);
	for (i = 0; i < 30; i++) {
		msleep(20);
		vif_hold(vif);
		expect_stopped(test, vif);
		msleep(5);
		expect_stopped(test, vif);
		if (i % 5 == 4) {
			vif_disconnect(vif);
			vif_connect(vif, 2, &all_features);
		} else {
			vif_release(vif);
		}
	}
	msleep(100);
	end_storm(&storm);
	expect_storm(test, vif);
	expect_calm(test, vif);
}

void removal_in_a_storm(struct kunit *test)
{
	unsigned int round;

	for (round = 0; round < 4; round++) {
		struct xpv_vif *vif = vif_make_up(test, 2, &all_features);
		struct storm storm;

		begin_storm(test, &storm, vif);
		vif_remove(vif);
		end_storm(&storm);
		vif_finish(test);
	}
}
