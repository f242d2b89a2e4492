// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs for received packets, and the frames that they send. The programs are made here, instruction by
 * instruction, without the verifier: they read and write the xdp_buff itself.
 */

#include "netfront_kunit.h"

#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/kthread.h>
#include <linux/rtnetlink.h>

/* Where choose() finds its verdict in a packet. */
#define VERDICT_AT ETH_HLEN
/* The largest packet that a program can see. */
#define LENGTH_MAX (PAGE_SIZE - XDP_PACKET_HEADROOM - SKB_DATA_ALIGN(sizeof(struct skb_shared_info)))
#define MTU_MAX (LENGTH_MAX - VLAN_ETH_HLEN)

/* ---- Programs ---- */

static struct bpf_prog *program_of(struct kunit *test, const struct bpf_insn *code, unsigned int count)
{
	struct bpf_prog *program = bpf_prog_alloc(bpf_prog_size(count), 0);
	int error = 0;

	KUNIT_ASSERT_NOT_NULL(test, program);
	program->len = count;
	program->type = BPF_PROG_TYPE_XDP;
	memcpy(program->insnsi, code, count * sizeof(*code));
	program->aux->stack_depth = MAX_BPF_STACK;
	atomic64_set(&program->aux->refcnt, 1);
	program = bpf_prog_select_runtime(program, &error);
	KUNIT_ASSERT_EQ(test, 0, error);
	return program;
}

/* One that says always the same. */
static struct bpf_prog *always(struct kunit *test, u32 verdict)
{
	const struct bpf_insn code[] = { BPF_MOV64_IMM(BPF_REG_0, verdict), BPF_EXIT_INSN() };

	return program_of(test, code, ARRAY_SIZE(code));
}

/* One that says what is in the packet. */
static struct bpf_prog *choose(struct kunit *test)
{
	const struct bpf_insn code[] = {
		BPF_LDX_MEM(BPF_DW, BPF_REG_2, BPF_REG_1, offsetof(struct xdp_buff, data)),
		BPF_LDX_MEM(BPF_B, BPF_REG_0, BPF_REG_2, VERDICT_AT),
		BPF_EXIT_INSN(),
	};

	return program_of(test, code, ARRAY_SIZE(code));
}

/* One that puts 4 bytes before the packet, 8 of metadata before that, removes 6 at the end, and lets it pass. */
static struct bpf_prog *move(struct kunit *test)
{
	const struct bpf_insn code[] = {
		BPF_LDX_MEM(BPF_DW, BPF_REG_2, BPF_REG_1, offsetof(struct xdp_buff, data)),
		BPF_ALU64_IMM(BPF_ADD, BPF_REG_2, -4),
		BPF_STX_MEM(BPF_DW, BPF_REG_1, BPF_REG_2, offsetof(struct xdp_buff, data)),
		BPF_LDX_MEM(BPF_DW, BPF_REG_3, BPF_REG_2, 4),
		BPF_STX_MEM(BPF_DW, BPF_REG_2, BPF_REG_3, 0),
		BPF_LDX_MEM(BPF_W, BPF_REG_3, BPF_REG_2, 12),
		BPF_STX_MEM(BPF_W, BPF_REG_2, BPF_REG_3, 8),
		BPF_ALU64_IMM(BPF_ADD, BPF_REG_2, -8),
		BPF_STX_MEM(BPF_DW, BPF_REG_1, BPF_REG_2, offsetof(struct xdp_buff, data_meta)),
		BPF_ST_MEM(BPF_DW, BPF_REG_2, 0, 0x12345678),
		BPF_LDX_MEM(BPF_DW, BPF_REG_2, BPF_REG_1, offsetof(struct xdp_buff, data_end)),
		BPF_ALU64_IMM(BPF_ADD, BPF_REG_2, -6),
		BPF_STX_MEM(BPF_DW, BPF_REG_1, BPF_REG_2, offsetof(struct xdp_buff, data_end)),
		BPF_MOV64_IMM(BPF_REG_0, XDP_PASS),
		BPF_EXIT_INSN(),
	};

	return program_of(test, code, ARRAY_SIZE(code));
}

/* As Linux, which gives a reference with the program. NULL: detach. */
static int attach(struct xpv_vif *vif, struct bpf_prog *program, struct netlink_ext_ack *extack)
{
	struct netdev_bpf command = { .command = XDP_SETUP_PROG, .prog = program, .extack = extack };
	int error;

	if (program)
		bpf_prog_inc(program);
	rtnl_lock();
	error = vif->dev->netdev_ops->ndo_bpf(vif->dev, &command);
	rtnl_unlock();
	if (error && program)
		bpf_prog_put(program);
	return error;
}

/* Of a program that was detached. */
static void finish_program(struct kunit *test, struct bpf_prog *program)
{
	KUNIT_EXPECT_EQ(test, 1, (int)atomic64_read(&program->aux->refcnt));
	/* The last poll that uses it. */
	synchronize_net();
	bpf_prog_free(program);
}

static int counted(const struct xpv_vif *vif, const char *counter)
{
	char name[ETH_GSTRING_LEN];

	snprintf(name, sizeof(name), "rx_queue_0_xdp_%s", counter);
	return (int)vif_statistic(vif, name);
}

/* ---- What a program sees ---- */

static const struct frame too_small = { .data = packet_bytes, .length = ETH_HLEN - 1 };
static const struct frame too_large = { .data = packet_bytes, .length = LENGTH_MAX + 1 };

void program_sees_every_packet(struct kunit *test)
{
	static const struct frame frames[] = {
		{ .data = packet_bytes, .length = ETH_HLEN },
		{ .data = packet_bytes, .length = XPV_RX_COPY_LIMIT },
		{ .data = packet_bytes, .length = XPV_RX_COPY_LIMIT + 1 },
		{ .data = packet_bytes, .length = 1514 },
		{ .data = packet_bytes, .length = LENGTH_MAX },
		/* Elsewhere in its page, and of several pages. */
		{ .data = packet_bytes, .length = 1514, .offset = 1000 },
		{ .data = packet_bytes, .length = 3000, .piece_size = 700, .offset = 256 },
		{ .data = packet_bytes, .length = 60, .piece_size = 30 },
		{ .data = packet_bytes, .length = 60, .piece_size = 4 },
	};
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct bpf_prog *program = always(test, XDP_PASS);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, attach(vif, program, NULL));
	write_plain(packet_bytes, PACKET_BYTES - 1);
	for (i = 0; i < ARRAY_SIZE(frames); i++) {
		struct sk_buff *skb = vif_receive(vif, &frames[i]);

		if (frames[i].length > ETH_HLEN)
			expect_received(test, skb, packet_bytes, frames[i].length);
		kfree_skb(skb);
		KUNIT_EXPECT_EQ(test, (int)i + 1, counted(vif, "pass"));
	}
	/* What no program can see does not pass. */
	KUNIT_ASSERT_TRUE(test, vif_deliver(vif->queues[0], &too_small));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->rx_errors == 1));
	KUNIT_ASSERT_TRUE(test, EVENTUALLY(vif_deliver(vif->queues[0], &too_large)));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->rx_errors == 2));
	KUNIT_EXPECT_EQ(test, 0u, vif_purge(vif));
	KUNIT_EXPECT_EQ(test, (int)ARRAY_SIZE(frames), (int)vif_stats(vif)->rx_packets);

	KUNIT_ASSERT_EQ(test, 0, attach(vif, NULL, NULL));
	kfree_skb(vif_receive(vif, &too_large));
	KUNIT_EXPECT_EQ(test, (int)ARRAY_SIZE(frames), counted(vif, "pass"));
	vif_wait_ready(vif);
	finish_program(test, program);
}

void program_moves_the_packet(struct kunit *test)
{
	static const unsigned int lengths[] = { 100, 1514 };
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct bpf_prog *program = move(test);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, attach(vif, program, NULL));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		const struct frame frame = { .data = packet_bytes + 4, .length = lengths[i] };
		struct sk_buff *skb;

		/* The Ethernet header without its type is moved to the front, and 4 bytes of it stay where they were. */
		write_plain(packet_bytes + 4, lengths[i]);
		skb = vif_receive(vif, &frame);
		memmove(packet_bytes, packet_bytes + 4, 12);
		KUNIT_EXPECT_EQ(test, lengths[i] + 4 - 6 - ETH_HLEN, skb->len);
		KUNIT_EXPECT_EQ(test, 0, memcmp(skb_mac_header(skb), packet_bytes, ETH_HLEN));
		KUNIT_EXPECT_EQ(test, 8, (int)skb_metadata_len(skb));
		KUNIT_EXPECT_EQ(test, 0x12345678ull, *(u64 *)(skb_metadata_end(skb) - 8));
		kfree_skb(skb);
	}
	KUNIT_ASSERT_EQ(test, 0, attach(vif, NULL, NULL));
	finish_program(test, program);
}

/* ---- What becomes of it ---- */

/* Deliver a packet that has its verdict in it, and wait until it is counted. */
static void deliver_verdict(struct kunit *test, struct xpv_vif *vif, u8 verdict, const char *counter)
{
	const struct frame frame = { .data = packet_bytes, .length = 1000 };
	int before = counted(vif, counter);

	packet_bytes[VERDICT_AT] = verdict;
	KUNIT_ASSERT_TRUE(test, EVENTUALLY(vif_deliver(vif->queues[0], &frame)));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(counted(vif, counter) == before + 1));
}

void verdicts_are_carried_out(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct bpf_prog *program = choose(test);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, attach(vif, program, NULL));
	write_plain(packet_bytes, 1000);
	/* More often than there are pages. */
	for (i = 0; i < 2 * RING_SLOTS; i++)
		deliver_verdict(test, vif, XDP_DROP, "drop");
	deliver_verdict(test, vif, XDP_ABORTED, "error");
	deliver_verdict(test, vif, 77, "error");
	/* Without a target. */
	deliver_verdict(test, vif, XDP_REDIRECT, "error");
	KUNIT_EXPECT_EQ(test, 0u, vif_purge(vif));
	deliver_verdict(test, vif, XDP_PASS, "pass");
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(skb_queue_len(&vif->received) == 1));
	vif_purge(vif);
	/* All were received. */
	KUNIT_EXPECT_EQ(test, 2 * RING_SLOTS + 4, (int)vif_stats(vif)->rx_packets);
	KUNIT_EXPECT_EQ(test, 0, (int)vif_stats(vif)->rx_errors);
	vif_wait_ready(vif);
	KUNIT_ASSERT_EQ(test, 0, attach(vif, NULL, NULL));
	finish_program(test, program);
}

/* Nothing would complete them. Linux can. */
void incomplete_packets_are_not_sent_on(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct bpf_prog *send = always(test, XDP_TX), *pass = always(test, XDP_PASS);
	struct frame frame = { .data = packet_bytes, .checksum_blank = true };
	struct sk_buff *skb;

	frame.length = write_tcp4(packet_bytes, 20, 20, 3000);
	KUNIT_ASSERT_EQ(test, 0, attach(vif, send, NULL));
	KUNIT_ASSERT_TRUE(test, vif_deliver(vif->queues[0], &frame));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(counted(vif, "error") == 1));
	frame.gso = XPV_NET_GSO_TCPV4;
	frame.gso_size = MSS;
	KUNIT_ASSERT_TRUE(test, EVENTUALLY(vif_deliver(vif->queues[0], &frame)));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(counted(vif, "error") == 2));
	KUNIT_EXPECT_EQ(test, 0u, vif->queues[0]->submitted);

	/* Without a new connection. */
	KUNIT_ASSERT_EQ(test, 0, attach(vif, pass, NULL));
	KUNIT_EXPECT_EQ(test, 1u, vif->xdp_changes);
	skb = vif_receive(vif, &frame);
	KUNIT_EXPECT_EQ(test, (unsigned int)CHECKSUM_PARTIAL, (unsigned int)skb->ip_summed);
	KUNIT_EXPECT_EQ(test, MSS, (unsigned int)skb_shinfo(skb)->gso_size);
	expect_received(test, skb, packet_bytes, frame.length);
	kfree_skb(skb);
	KUNIT_ASSERT_EQ(test, 0, attach(vif, NULL, NULL));
	finish_program(test, send);
	finish_program(test, pass);
}

/* ---- XDP_TX: the ring compares what it gets with the frame. ---- */

void packets_are_sent_back(struct kunit *test)
{
	static const unsigned int lengths[] = { 14, 60, 256, 257, 1514, LENGTH_MAX };
	struct xpv_netdev_features untrusted = all_features;
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct bpf_prog *program = always(test, XDP_TX);
	struct xpv_net_queue *queue = vif->queues[0];
	unsigned int round, i, sent = 0;

	untrusted.stage_all = true;
	write_plain(packet_bytes, PACKET_BYTES - 1);
	KUNIT_ASSERT_EQ(test, 0, attach(vif, program, NULL));
	for (round = 0; round < 100; round++) {
		for (i = 0; i < ARRAY_SIZE(lengths); i++) {
			const struct frame frame = { .data = packet_bytes, .length = lengths[i] };

			KUNIT_ASSERT_TRUE(test, EVENTUALLY(vif_deliver(queue, &frame)));
			sent++;
		}
		KUNIT_ASSERT_TRUE(test, EVENTUALLY(counted(vif, "tx") == sent));
		if (round == 50) {
			vif_disconnect(vif);
			vif_connect(vif, 1, &untrusted);
			vif_wait_ready(vif);
		}
	}
	KUNIT_EXPECT_EQ(test, sent, (unsigned int)vif_statistic(vif, "tx_queue_0_xdp_frames"));
	KUNIT_EXPECT_EQ(test, (int)sent, (int)vif_stats(vif)->tx_packets);
	KUNIT_EXPECT_EQ(test, (int)sent, (int)vif_stats(vif)->rx_packets);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(READ_ONCE(queue->linux_queue->frames_in_flight) == 0));
	KUNIT_EXPECT_FALSE(test, netif_tx_queue_stopped(vif_txq(vif, 0)));
	KUNIT_ASSERT_EQ(test, 0, attach(vif, NULL, NULL));
	finish_program(test, program);
}

/* What finds no room is lost, and Linux stops transmitting until there is some. */
void sent_back_into_a_full_ring(struct kunit *test)
{
	const struct frame frame = { .data = packet_bytes, .length = 1000 };
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct bpf_prog *program = always(test, XDP_TX);
	struct xpv_net_queue *queue = vif->queues[0];
	unsigned int i;

	write_plain(packet_bytes, 1000);
	KUNIT_ASSERT_EQ(test, 0, attach(vif, program, NULL));
	vif->hold = true;
	for (i = 0; i < RING_SLOTS + 20; i++) {
		KUNIT_ASSERT_TRUE(test, EVENTUALLY(vif_deliver(queue, &frame)));
		KUNIT_ASSERT_TRUE(test, EVENTUALLY(counted(vif, "tx") + counted(vif, "error") == i + 1));
	}
	KUNIT_EXPECT_EQ(test, RING_SLOTS, counted(vif, "tx"));
	KUNIT_EXPECT_EQ(test, 20, counted(vif, "error"));
	KUNIT_EXPECT_TRUE(test, netif_tx_queue_stopped(vif_txq(vif, 0)));
	vif->hold = false;
	vif_answer(queue, RING_SLOTS, ANSWER_SENT);
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(!netif_tx_queue_stopped(vif_txq(vif, 0))));
	KUNIT_EXPECT_TRUE(test, vif_send_and_wait(vif, packet_linear(1000)));
	KUNIT_ASSERT_EQ(test, 0, attach(vif, NULL, NULL));
	finish_program(test, program);
}

/* ---- Frames of other interfaces ---- */

/* Make one in pages of its own, with a reference more, which tells whether it was released. */
static struct xdp_frame *frame_in_pages(struct kunit *test, unsigned int order, unsigned int offset, unsigned int length)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, order);
	struct xdp_frame *frame;

	KUNIT_ASSERT_NOT_NULL(test, page);
	get_page(page);
	frame = page_address(page);
	*frame = (struct xdp_frame){
		.data = page_address(page) + offset,
		.len = length,
		.headroom = offset - sizeof(*frame),
		.frame_sz = PAGE_SIZE << order,
		.mem.type = MEM_TYPE_PAGE_ORDER0,
	};
	write_plain(frame->data, length);
	return frame;
}

static bool is_released(const struct xdp_frame *frame)
{
	return page_count(virt_to_head_page(frame)) == 1;
}

static void free_frame(struct xdp_frame *frame)
{
	put_page(virt_to_head_page(frame));
}

static int transmit(struct xpv_vif *vif, struct xdp_frame **frames, int count, u32 flags)
{
	int sent;

	local_bh_disable();
	sent = vif->dev->netdev_ops->ndo_xdp_xmit(vif->dev, count, frames, flags);
	local_bh_enable();
	return sent;
}

void frames_of_others_are_sent(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xpv_net_queue *queue = vif->queues[0];
	struct xdp_frame *frames[5];
	unsigned int i;

	frames[0] = frame_in_pages(test, 0, 256, 60);
	frames[1] = frame_in_pages(test, 0, 256, 1514);
	/* Across pages, and with headers across pages. */
	frames[2] = frame_in_pages(test, 2, PAGE_SIZE - 200, 6000);
	frames[3] = frame_in_pages(test, 1, PAGE_SIZE - 100, 1000);
	frames[4] = frame_in_pages(test, 0, 256, 1000);
	KUNIT_EXPECT_EQ(test, 5, transmit(vif, frames, 5, XDP_XMIT_FLUSH));
	KUNIT_EXPECT_EQ(test, 1u, queue->pushes);
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(is_released(frames[i])));
	KUNIT_EXPECT_EQ(test, 5, (int)vif_statistic(vif, "tx_queue_0_xdp_frames"));

	/* Those that are not taken stay the caller's: more than one piece. */
	for (i = 0; i < 3; i++)
		get_page(virt_to_head_page(frames[i]));
	frames[1]->flags = XDP_FLAGS_HAS_FRAGS;
	KUNIT_EXPECT_EQ(test, 1, transmit(vif, frames, 3, XDP_XMIT_FLUSH));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(is_released(frames[0])));
	KUNIT_EXPECT_EQ(test, 2, (int)vif_stats(vif)->tx_dropped);
	put_page(virt_to_head_page(frames[1]));
	put_page(virt_to_head_page(frames[2]));
	KUNIT_EXPECT_EQ(test, -EINVAL, transmit(vif, frames, 1, ~XDP_XMIT_FLUSH));

	/* Without scatter-gather. */
	vif_disconnect(vif);
	vif_connect(vif, 1, &(struct xpv_netdev_features){ .checksum_ipv4 = true });
	vif_wait_ready(vif);
	get_page(virt_to_head_page(frames[3]));
	KUNIT_EXPECT_EQ(test, 1, transmit(vif, &frames[3], 1, XDP_XMIT_FLUSH));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(is_released(frames[3])));
	KUNIT_EXPECT_EQ(test, 0, transmit(vif, &frames[2], 1, XDP_XMIT_FLUSH));
	for (i = 0; i < 5; i++)
		free_frame(frames[i]);
}

void frames_are_dropped_with_the_connection(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct xdp_frame *frame = frame_in_pages(test, 0, 256, 1000);

	vif->hold = true;
	vif_open_byte_limit(vif);
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(1000)));
	KUNIT_EXPECT_EQ(test, 1, transmit(vif, &frame, 1, XDP_XMIT_FLUSH));
	KUNIT_ASSERT_TRUE(test, vif_send_and_wait(vif, packet_linear(1000)));
	KUNIT_EXPECT_FALSE(test, is_released(frame));
	vif_disconnect(vif);
	KUNIT_EXPECT_TRUE(test, is_released(frame));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&packets_released));
	free_frame(frame);
}

void frames_are_refused_without_a_connection(struct kunit *test)
{
	struct xpv_vif *vif = vif_make(test, 1, &all_features);
	struct xdp_frame *frame = frame_in_pages(test, 0, 256, 1000);

	KUNIT_EXPECT_EQ(test, -ENETDOWN, transmit(vif, &frame, 1, XDP_XMIT_FLUSH));
	vif_up(vif);
	vif_wait_ready(vif);
	vif_hold(vif);
	KUNIT_EXPECT_EQ(test, -ENETDOWN, transmit(vif, &frame, 1, XDP_XMIT_FLUSH));
	vif_release(vif);
	vif_disconnect(vif);
	KUNIT_EXPECT_EQ(test, -ENETDOWN, transmit(vif, &frame, 1, XDP_XMIT_FLUSH));
	vif_connect(vif, 1, &all_features);
	vif_wait_ready(vif);
	vif_down(vif);
	KUNIT_EXPECT_EQ(test, -ENETDOWN, transmit(vif, &frame, 1, XDP_XMIT_FLUSH));
	KUNIT_EXPECT_EQ(test, 0u, vif->queues[0]->submitted);
	vif_up(vif);
	vif_wait_ready(vif);
	KUNIT_EXPECT_EQ(test, 1, transmit(vif, &frame, 1, XDP_XMIT_FLUSH));
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(is_released(frame)));
	free_frame(frame);
}

/* ---- Settings ---- */

static int set_mtu(struct xpv_vif *vif, int mtu)
{
	int error;

	rtnl_lock();
	error = dev_set_mtu(vif->dev, mtu);
	rtnl_unlock();
	return error;
}

void programs_need_a_small_mtu(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 1, &all_features);
	struct bpf_prog *one = always(test, XDP_PASS), *other = always(test, XDP_DROP);
	struct netlink_ext_ack extack = {};

	KUNIT_ASSERT_EQ(test, 0, set_mtu(vif, MTU_MAX + 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, attach(vif, one, &extack));
	KUNIT_EXPECT_NOT_NULL(test, extack._msg);
	KUNIT_EXPECT_EQ(test, 0u, vif->xdp_changes);
	KUNIT_ASSERT_EQ(test, 0, set_mtu(vif, MTU_MAX));
	KUNIT_EXPECT_EQ(test, 0, attach(vif, one, NULL));
	KUNIT_EXPECT_EQ(test, 1u, vif->xdp_changes);
	KUNIT_EXPECT_EQ(test, -EINVAL, set_mtu(vif, MTU_MAX + 1));
	/* An exchange changes nothing else. */
	KUNIT_EXPECT_EQ(test, 0, attach(vif, other, NULL));
	KUNIT_EXPECT_EQ(test, 1u, vif->xdp_changes);
	/* Without a connection too. */
	vif_disconnect(vif);
	KUNIT_EXPECT_EQ(test, 0, attach(vif, one, NULL));
	KUNIT_EXPECT_EQ(test, 0, attach(vif, NULL, NULL));
	KUNIT_EXPECT_EQ(test, 2u, vif->xdp_changes);
	KUNIT_EXPECT_EQ(test, 0, attach(vif, NULL, NULL));
	KUNIT_EXPECT_EQ(test, 2u, vif->xdp_changes);
	KUNIT_EXPECT_EQ(test, 0, set_mtu(vif, 65517));
	finish_program(test, one);
	finish_program(test, other);
}

/* ---- Races ---- */

struct storm {
	struct xpv_vif *vif;
	struct task_struct *backend, *sender;
};

/* Packets of all verdicts but those without one, on the CPU of this thread. */
static int deliver_verdicts(void *argument)
{
	static const u8 verdicts[] = { XDP_PASS, XDP_DROP, XDP_TX, XDP_TX, XDP_ABORTED };
	struct storm *storm = argument;
	unsigned int i = 0;

	while (!kthread_should_stop()) {
		const struct frame frame = { .data = packet_bytes, .length = i % 3 ? 1000 : 100 };

		packet_bytes[VERDICT_AT] = verdicts[i % ARRAY_SIZE(verdicts)];
		vif_deliver(storm->vif->queues[i % storm->vif->queue_count], &frame);
		if (++i % 8 == 0)
			usleep_range(50, 200);
	}
	return 0;
}

/* As another interface that redirects to this one: what is not taken is released. */
static int send_frames(void *argument)
{
	struct storm *storm = argument;

	while (!kthread_should_stop()) {
		struct page *page = alloc_page(GFP_KERNEL);
		struct xdp_frame *frame;

		if (!page)
			continue;
		frame = page_address(page);
		*frame = (struct xdp_frame){
			.data = page_address(page) + 256,
			.len = 500,
			.frame_sz = PAGE_SIZE,
			.mem.type = MEM_TYPE_PAGE_ORDER0,
		};
		if (transmit(storm->vif, &frame, 1, XDP_XMIT_FLUSH) != 1)
			xdp_return_frame(frame);
		cond_resched();
	}
	return 0;
}

static void begin_storm(struct kunit *test, struct storm *storm, struct xpv_vif *vif)
{
	write_plain(packet_bytes, PACKET_BYTES - 1);
	vif->discard = true;
	*storm = (struct storm){ .vif = vif };
	storm->backend = kthread_run(deliver_verdicts, storm, "xdp backend");
	storm->sender = kthread_run(send_frames, storm, "xdp sender");
	KUNIT_ASSERT_FALSE(test, IS_ERR(storm->backend) || IS_ERR(storm->sender));
	msleep(50);
}

static void end_storm(struct storm *storm)
{
	kthread_stop(storm->sender);
	kthread_stop(storm->backend);
}

/* Each program gets packets, and without one they are received as ever. */
void programs_are_exchanged_in_a_storm(struct kunit *test)
{
	static const char *const counters[4] = { "drop", "tx", "pass", NULL };
	struct xpv_vif *vif = vif_make_up(test, 2, &all_features);
	struct bpf_prog *programs[4] = { choose(test), always(test, XDP_TX), always(test, XDP_PASS), NULL };
	struct storm storm;
	unsigned int i;

	begin_storm(test, &storm, vif);
	for (i = 0; i < 40; i++) {
		const char *counter = counters[i % 4] ?: "pass";
		u64 packets;
		int before;

		KUNIT_EXPECT_EQ(test, 0, attach(vif, programs[i % 4], NULL));
		/* The last poll with the other one. */
		synchronize_net();
		before = counted(vif, counter);
		packets = vif_stats(vif)->rx_packets;
		if (programs[i % 4])
			KUNIT_EXPECT_TRUE(test, EVENTUALLY(counted(vif, counter) > before));
		KUNIT_EXPECT_TRUE(test, EVENTUALLY(vif_stats(vif)->rx_packets > packets));
		if (!programs[i % 4])
			KUNIT_EXPECT_EQ(test, before, counted(vif, counter));
	}
	end_storm(&storm);
	for (i = 0; i < 3; i++)
		finish_program(test, programs[i]);
	vif_wait_ready(vif);
}

/* The rings report what is transmitted at a wrong time. */
void frames_in_a_storm(struct kunit *test)
{
	struct xpv_vif *vif = vif_make_up(test, 2, &all_features);
	struct bpf_prog *program = choose(test);
	struct storm storm;
	unsigned int i;
	int before;

	KUNIT_ASSERT_EQ(test, 0, attach(vif, program, NULL));
	begin_storm(test, &storm, vif);
	for (i = 0; i < 30; i++) {
		msleep(10);
		switch (i % 3) {
		case 0:
			vif_hold(vif);
			msleep(2);
			vif_release(vif);
			break;
		case 1:
			vif_disconnect(vif);
			vif_connect(vif, 1 + i % 2, &all_features);
			break;
		case 2:
			vif_down(vif);
			vif_up(vif);
			break;
		}
	}
	vif_disconnect(vif);
	vif_connect(vif, 2, &all_features);
	before = counted(vif, "tx");
	KUNIT_EXPECT_TRUE(test, EVENTUALLY(counted(vif, "tx") > before + 10));
	end_storm(&storm);
	KUNIT_EXPECT_GT(test, (int)vif_statistic(vif, "tx_queue_0_xdp_frames"), 10);
	vif_wait_ready(vif);
	KUNIT_ASSERT_EQ(test, 0, attach(vif, NULL, NULL));
	finish_program(test, program);
}
