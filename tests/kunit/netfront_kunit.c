// SPDX-License-Identifier: GPL-2.0-only
/*
 * The network interface as Linux sees it, over rings that are only memory: they answer at once, or late, or not at
 * all, as a test likes, and check each packet and the context of each call. The protocol below has its tests on the
 * host. The kernel has no IPv6, which would send packets of its own.
 */

#include "netfront_kunit.h"

#include <linux/device.h>
#include <linux/ethtool.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/vmalloc.h>
#include <net/sch_generic.h>

static struct device *parent;

/* ---- An interface for each test ---- */

const struct xpv_netdev_features all_features = {
	.scatter_gather = true,
	.checksum_ipv4 = true,
	.checksum_ipv6 = true,
	.gso_tcpv4 = true,
	.gso_tcpv6 = true,
	.receive_hash = true,
};

struct xpv_vif *vif_create(struct kunit *test, unsigned int queue_count)
{
	struct xpv_vif *vif = kunit_kzalloc(test, sizeof(*vif), GFP_KERNEL);
	struct xpv_netdev_parameters parameters = { .mac = { 0x02, 0, 0, 0, 0, 0x01 }, .queue_count = queue_count };
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, vif);
	parameters.queues = vif->queues;
	parameters.vif = vif;
	vif->test = test;
	vif->queue_count = queue_count;
	skb_queue_head_init(&vif->received);
	packets_reset();
	/* From here on vif_finish() frees what there is. */
	test->priv = vif;
	for (i = 0; i < queue_count; i++) {
		vif->queues[i] = vzalloc(sizeof(*vif->queues[i]));
		KUNIT_ASSERT_NOT_NULL(test, vif->queues[i]);
		ring_init(vif->queues[i], vif, i);
	}
	KUNIT_ASSERT_EQ(test, 0, xpv_netdev_create(parent, &parameters, &vif->netdev));
	vif->dev = vif->netdev->dev;
	for (i = 0; i < queue_count; i++)
		vif->queues[i]->linux_queue = xpv_netdev_get_queue(vif->netdev, i);
	return vif;
}

void vif_connect(struct xpv_vif *vif, unsigned int queue_count, const struct xpv_netdev_features *features)
{
	unsigned int i;

	vif->features = *features;
	vif->queues_used = queue_count;
	for (i = 0; i < queue_count; i++)
		ring_open(vif->queues[i]);
	WRITE_ONCE(vif->connected, true);
	KUNIT_ASSERT_EQ(vif->test, 0, xpv_netdev_connect(vif->netdev, queue_count, features));
	if (vif->registered)
		xpv_netdev_set_link(vif->netdev, true, 1000);
}

void vif_disconnect(struct xpv_vif *vif)
{
	unsigned int i;

	xpv_netdev_disconnect(vif->netdev, vif->keeps_carrier);
	/* From here on the rings' functions may not be called. */
	WRITE_ONCE(vif->connected, false);
	WRITE_ONCE(vif->transmit_held, false);
	WRITE_ONCE(vif->polls_held, false);
	for (i = 0; i < vif->queues_used; i++)
		ring_close(vif->queues[i]);
	vif->queues_used = 0;
}

static rx_handler_result_t on_receive(struct sk_buff **received)
{
	struct xpv_vif *vif = rcu_dereference((*received)->dev->rx_handler_data);
	struct sk_buff *skb = skb_share_check(*received, GFP_ATOMIC);

	if (!skb)
		return RX_HANDLER_CONSUMED;
	if (READ_ONCE(vif->discard))
		kfree_skb(skb);
	else
		skb_queue_tail(&vif->received, skb);
	return RX_HANDLER_CONSUMED;
}

struct xpv_vif *vif_make(struct kunit *test, unsigned int queue_count, const struct xpv_netdev_features *features)
{
	struct xpv_vif *vif = vif_create(test, queue_count);
	int error;

	vif_connect(vif, queue_count, features);
	KUNIT_ASSERT_EQ(test, 0, xpv_netdev_register(vif->netdev));
	vif->registered = true;
	rtnl_lock();
	error = netdev_rx_handler_register(vif->dev, on_receive, vif);
	rtnl_unlock();
	KUNIT_ASSERT_EQ(test, 0, error);
	xpv_netdev_set_link(vif->netdev, true, 1000);
	return vif;
}

struct xpv_vif *vif_make_up(struct kunit *test, unsigned int queue_count, const struct xpv_netdev_features *features)
{
	struct xpv_vif *vif = vif_make(test, queue_count, features);

	vif_up(vif);
	vif_wait_ready(vif);
	return vif;
}

void vif_up(struct xpv_vif *vif)
{
	int error;

	rtnl_lock();
	error = dev_open(vif->dev, NULL);
	rtnl_unlock();
	KUNIT_ASSERT_EQ(vif->test, 0, error);
}

void vif_down(struct xpv_vif *vif)
{
	rtnl_lock();
	dev_close(vif->dev);
	rtnl_unlock();
}

static bool is_active(const struct xpv_vif *vif)
{
	return rcu_access_pointer(vif_txq(vif, 0)->qdisc) != &noop_qdisc;
}

/* Linux activates the qdiscs in a work that takes RTNL, once it sees the carrier. A poll posts pages to receive in. */
void vif_wait_ready(struct xpv_vif *vif)
{
	unsigned int i;

	/* What saw no carrier has ended. */
	rtnl_lock();
	rtnl_unlock();
	KUNIT_EXPECT_TRUE(vif->test, EVENTUALLY(is_active(vif)));
	for (i = 0; i < vif->queues_used; i++)
		KUNIT_EXPECT_TRUE(vif->test, EVENTUALLY(READ_ONCE(vif->queues[i]->posted_count) == RING_SLOTS));
}

void vif_hold(struct xpv_vif *vif)
{
	xpv_netdev_begin_hold(vif->netdev);
	WRITE_ONCE(vif->transmit_held, true);
	xpv_netdev_wait_held(vif->netdev);
	WRITE_ONCE(vif->polls_held, true);
}

void vif_release(struct xpv_vif *vif)
{
	WRITE_ONCE(vif->transmit_held, false);
	WRITE_ONCE(vif->polls_held, false);
	xpv_netdev_release(vif->netdev);
}

void vif_remove(struct xpv_vif *vif)
{
	if (!vif->netdev)
		return;
	if (vif->registered) {
		rtnl_lock();
		netdev_rx_handler_unregister(vif->dev);
		rtnl_unlock();
	}
	if (vif->connected)
		vif_disconnect(vif);
	if (vif->registered)
		xpv_netdev_unregister(vif->netdev);
	xpv_netdev_destroy(vif->netdev);
	vif->registered = false;
	vif->netdev = NULL;
}

static bool all_released(void)
{
	return atomic_read(&packets_released) == atomic_read(&packets_built);
}

void vif_finish(struct kunit *test)
{
	struct xpv_vif *vif = test->priv;
	unsigned int wrong = 0;
	int i;

	test->priv = NULL;
	vif_purge(vif);
	vif_remove(vif);
	vif_purge(vif);
	KUNIT_EXPECT_STREQ(test, "", vif->violation ?: "");
	/* Each packet once, and none is left. */
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(all_released()));
	for (i = 0; i < atomic_read(&packets_built); i++)
		wrong += packet_releases(i) != 1;
	KUNIT_EXPECT_EQ(test, 0u, wrong);
	for (i = 0; i < vif->queue_count; i++)
		vfree(vif->queues[i]);
}

const struct rtnl_link_stats64 *vif_stats(struct xpv_vif *vif)
{
	return dev_get_stats(vif->dev, &vif->stats);
}

u64 vif_statistic(const struct xpv_vif *vif, const char *name)
{
	struct kunit *test = vif->test;
	const struct ethtool_ops *ops = vif->dev->ethtool_ops;
	unsigned int count = ops->get_sset_count(vif->dev, ETH_SS_STATS);
	/* KASAN sees a name or a value too many. */
	char *names = kunit_kzalloc(test, count * ETH_GSTRING_LEN, GFP_KERNEL);
	u64 *values = kunit_kcalloc(test, count, sizeof(*values), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, names);
	KUNIT_ASSERT_NOT_NULL(test, values);
	ops->get_strings(vif->dev, ETH_SS_STATS, (u8 *)names);
	ops->get_ethtool_stats(vif->dev, NULL, values);
	for (i = 0; i < count; i++)
		if (!strcmp(names + i * ETH_GSTRING_LEN, name))
			return values[i];
	return ~0ull;
}

void vif_open_byte_limit(struct xpv_vif *vif)
{
	const unsigned int limit = 1 << 24;
	unsigned int i;

	for (i = 0; i < vif->queue_count; i++) {
		struct dql *dql = &vif_txq(vif, i)->dql;

		dql->min_limit = dql->limit = limit;
		dql->adj_limit = dql->num_completed + limit;
	}
}

/* ---- Packets, in both directions ---- */

void vif_send(struct xpv_vif *vif, struct sk_buff *skb)
{
	KUNIT_ASSERT_NOT_NULL(vif->test, skb);
	skb->dev = vif->dev;
	dev_queue_xmit(skb);
}

void vif_send_by(struct xpv_vif *vif, unsigned int index, struct sk_buff *skb)
{
	KUNIT_ASSERT_NOT_NULL(vif->test, skb);
	skb_record_rx_queue(skb, index);
	vif_send(vif, skb);
}

bool vif_send_and_wait(struct xpv_vif *vif, struct sk_buff *skb)
{
	unsigned int before = READ_ONCE(vif->queues[0]->submitted);

	vif_send(vif, skb);
	return EVENTUALLY(READ_ONCE(vif->queues[0]->submitted) != before);
}

netdev_tx_t vif_transmit(struct xpv_vif *vif, struct sk_buff *skb, bool more)
{
	struct netdev_queue *txq = vif_txq(vif, 0);
	netdev_tx_t result;

	KUNIT_ASSERT_NOT_NULL(vif->test, skb);
	skb->dev = vif->dev;
	skb_set_queue_mapping(skb, 0);
	__netif_tx_lock_bh(txq);
	result = netdev_start_xmit(skb, vif->dev, txq, more);
	__netif_tx_unlock_bh(txq);
	return result;
}

struct sk_buff *vif_receive(struct xpv_vif *vif, const struct frame *frame)
{
	KUNIT_ASSERT_TRUE(vif->test, EVENTUALLY(vif_deliver(vif->queues[0], frame)));
	KUNIT_ASSERT_TRUE(vif->test, EVENTUALLY(!skb_queue_empty_lockless(&vif->received)));
	return skb_dequeue(&vif->received);
}

unsigned int vif_purge(struct xpv_vif *vif)
{
	unsigned int count = skb_queue_len(&vif->received);

	skb_queue_purge(&vif->received);
	return count;
}

/* ---- The suite ---- */

static struct kunit_case netfront_cases[] = {
	KUNIT_CASE(small_packet_is_staged),
	KUNIT_CASE(slab_memory_is_staged),
	KUNIT_CASE(linear_pages_are_granted_in_place),
	KUNIT_CASE(headers_across_pages_are_staged),
	KUNIT_CASE(frags_are_granted_in_place),
	KUNIT_CASE(frag_beyond_the_first_page),
	KUNIT_CASE(packet_of_many_slots_is_staged),
	KUNIT_CASE(frag_list_is_staged),
	KUNIT_CASE(untrusted_backend_gets_copies),
	KUNIT_CASE(one_segment_without_scatter_gather),
	KUNIT_CASE(impossible_packets_are_dropped),
	KUNIT_CASE(gso_reaches_the_ring),
	KUNIT_CASE(gso_headers_are_in_the_first_segment),
	KUNIT_CASE(checksum_flags_reach_the_ring),
	KUNIT_CASE(linux_segments_without_scatter_gather),
	KUNIT_CASE(linux_segments_without_tso),
	KUNIT_CASE(packets_for_an_earlier_backend),
	KUNIT_CASE(packets_are_released_once),
	KUNIT_CASE(refused_packets_are_dropped),
	KUNIT_CASE(busy_ring_is_tried_again),
	KUNIT_CASE(queue_stops_and_wakes),
	KUNIT_CASE(large_packets_never_find_the_ring_full),
	KUNIT_CASE(transmitter_takes_responses),
	KUNIT_CASE(burst_is_pushed_once),
	KUNIT_CASE(burst_that_fills_the_ring_is_pushed),
	KUNIT_CASE(byte_limit_begins_again_with_a_connection),
	KUNIT_CASE(small_packet_is_copied),
	KUNIT_CASE(large_packet_keeps_its_pages),
	KUNIT_CASE(too_many_pages_are_dropped),
	KUNIT_CASE(gso_is_received),
	KUNIT_CASE(gso_without_the_checksum_flag),
	KUNIT_CASE(hash_is_received),
	KUNIT_CASE(checksum_flags_are_received),
	KUNIT_CASE(wrong_offloads_are_errors),
	KUNIT_CASE(malformed_packets_are_errors),
	KUNIT_CASE(untrusted_backend_gets_zeroed_pages),
	KUNIT_CASE(poll_respects_its_budget),
	KUNIT_CASE(netpoll_only_releases),
	KUNIT_CASE(netpoll_with_the_transmit_lock_held),
	KUNIT_CASE(packet_before_the_event_is_asked_for),
	KUNIT_CASE(packet_after_the_event_is_asked_for),
	KUNIT_CASE(packet_after_a_poll_without_event),
	KUNIT_CASE(packet_before_the_end_of_interrupt),
	KUNIT_CASE(poll_by_a_task),
	KUNIT_CASE(packet_for_an_interface_that_is_down),
	KUNIT_CASE(interface_is_registered),
	KUNIT_CASE(goes_up_and_down),
	KUNIT_CASE(keeps_its_carrier),
	KUNIT_CASE(removed_while_up),
	KUNIT_CASE(removed_before_it_is_registered),
	KUNIT_CASE(received_pages_outlive_the_interface),
	KUNIT_CASE(comes_up_before_it_is_connected_again),
	KUNIT_CASE(connects_with_fewer_queues),
	KUNIT_CASE(suspend_holds_what_is_up),
	KUNIT_CASE(suspend_holds_what_is_down),
	KUNIT_CASE(comes_up_during_a_suspend),
	KUNIT_CASE(restore_connects_again),
	KUNIT_CASE(features_follow_the_backend),
	KUNIT_CASE(mtu_needs_scatter_gather),
	KUNIT_CASE(multicast_list_is_copied),
	KUNIT_CASE(link_is_reported),
	KUNIT_CASE(neighbours_are_notified),
	KUNIT_CASE(statistics_have_names),
	KUNIT_CASE(statistics_count_each_queue),
	KUNIT_CASE(channels_are_checked),
	KUNIT_CASE(rss_is_not_supported),
	KUNIT_CASE(rss_table_and_key),
	KUNIT_CASE(rss_kinds_of_flows),
	KUNIT_CASE(program_sees_every_packet),
	KUNIT_CASE(program_moves_the_packet),
	KUNIT_CASE(verdicts_are_carried_out),
	KUNIT_CASE(incomplete_packets_are_not_sent_on),
	KUNIT_CASE(packets_are_sent_back),
	KUNIT_CASE(sent_back_into_a_full_ring),
	KUNIT_CASE(frames_of_others_are_sent),
	KUNIT_CASE(frames_are_dropped_with_the_connection),
	KUNIT_CASE(frames_are_refused_without_a_connection),
	KUNIT_CASE(programs_need_a_small_mtu),
	KUNIT_CASE(programs_are_exchanged_in_a_storm),
	KUNIT_CASE(frames_in_a_storm),
	KUNIT_CASE(poll_does_not_wake_a_stopped_queue),
	KUNIT_CASE(disconnect_in_a_storm),
	KUNIT_CASE(down_and_up_in_a_storm),
	KUNIT_CASE(suspend_in_a_storm),
	KUNIT_CASE(removal_in_a_storm),
	{}
};

static int create_parent(struct kunit_suite *suite)
{
	parent = root_device_register("xpv_netfront_kunit");
	return PTR_ERR_OR_ZERO(parent);
}

static void destroy_parent(struct kunit_suite *suite)
{
	root_device_unregister(parent);
}

/* Also of a test that was aborted. */
static void finish_interface(struct kunit *test)
{
	if (test->priv)
		vif_finish(test);
}

static struct kunit_suite netfront_suite = {
	.name = "xpv_netfront",
	.suite_init = create_parent,
	.suite_exit = destroy_parent,
	.exit = finish_interface,
	.test_cases = netfront_cases,
};
kunit_test_suite(netfront_suite);

MODULE_DESCRIPTION("xpv: tests of the network frontend's interface");
MODULE_LICENSE("GPL");
