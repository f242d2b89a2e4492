// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDP: programs for received packets. A program sees every packet, in a copy: the
 * backend never had access to its page, and there is headroom. Without a program most
 * packets are not copied; but a copy costs no more than to revoke the page that the
 * backend has and to grant another. A packet that does not fit into one page, with
 * headroom and a skb_shared_info, is an error: no program would see it.
 */

#include <linux/bpf.h>
#include <linux/bpf_trace.h>
#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>

#include "netfront/netdev.h"

/* Linux may put a skb_shared_info behind a packet. */
#define TAILROOM SKB_DATA_ALIGN(sizeof(struct skb_shared_info))
#define LENGTH_MAX (PAGE_SIZE - XDP_PACKET_HEADROOM - TAILROOM)
#define MTU_MAX (LENGTH_MAX - VLAN_ETH_HLEN)

static void count_packet(struct xpv_netdev_queue *queue, enum net_xdp_counter counter)
{
	u64_stats_update_begin(&queue->rx.syncp);
	u64_stats_inc(&queue->xdp[counter]);
	u64_stats_update_end(&queue->rx.syncp);
}

/* Copy a packet, once, for a program. -EINVAL: it is too large, or too small. -ENOMEM. NAPI poll. */
static int copy_packet(struct xpv_netdev_queue *queue, const struct xpv_rx_packet *packet, struct xdp_buff *xdp)
{
	struct page *page;
	unsigned int i;
	u8 *to;

	if (unlikely(packet->length > LENGTH_MAX || packet->length < ETH_HLEN))
		return -EINVAL;
	page = net_rx_page_alloc(queue);
	if (unlikely(!page))
		return -ENOMEM;
	to = page_address(page) + XDP_PACKET_HEADROOM;
	for (i = 0; i < packet->piece_count; i++) {
		const struct xpv_rx_piece *piece = &packet->pieces[i];

		memcpy(to, page_address(net_page_of(piece->page)) + piece->offset, piece->length);
		to += piece->length;
	}
	xdp_init_buff(xdp, PAGE_SIZE, &queue->xdp_rxq);
	xdp_prepare_buff(xdp, page_address(page), XDP_PACKET_HEADROOM, packet->length, true);
	return 0;
}

/* ---- Verdicts. NAPI poll ---- */

static void pass(const struct xdp_buff *xdp, const struct xpv_rx_packet *packet, struct net_xdp_passed *passed)
{
	unsigned int length = xdp->data_end - xdp->data;

	passed->piece = (struct xpv_rx_piece){
		.page = (struct xpv_rx_page *)virt_to_page(xdp->data_hard_start),
		.offset = xdp->data - xdp->data_hard_start,
		.length = length,
	};
	/* What was said of its offloads and its hash. */
	passed->packet = *packet;
	passed->packet.pieces = &passed->piece;
	passed->packet.piece_count = 1;
	passed->packet.length = length;
	passed->packet.owned = true;
	passed->metadata = xdp->data - xdp->data_meta;
}

/* Send the frames of XDP_TX. */
static void flush_bulk(struct xpv_netdev_queue *queue)
{
	int result = net_xdp_transmit(queue, queue->bulk, queue->bulk_count, true, NET_XDP_BULK);
	unsigned int sent = max(result, 0);
	unsigned int i;

	for (i = 0; i < sent; i++)
		count_packet(queue, NET_XDP_TX);
	for (i = sent; i < queue->bulk_count; i++) {
		xdp_return_frame_rx_napi(queue->bulk[i]);
		count_packet(queue, NET_XDP_ERROR);
	}
	trace_xdp_bulk_tx(queue->netdev->dev, sent, queue->bulk_count - sent, min(result, 0));
	queue->bulk_count = 0;
}

/* False: the packet is still the caller's. */
static bool send_back(struct xpv_netdev_queue *queue, struct xdp_buff *xdp)
{
	struct xdp_frame *frame = xdp_convert_buff_to_frame(xdp);

	if (unlikely(!frame))
		return false;
	queue->bulk[queue->bulk_count++] = frame;
	if (queue->bulk_count == NET_XDP_BULK)
		flush_bulk(queue);
	return true;
}

/* False: the packet is still the caller's. */
static bool redirect(struct xpv_netdev_queue *queue, struct bpf_prog *program, struct xdp_buff *xdp)
{
	if (unlikely(xdp_do_redirect(queue->netdev->dev, xdp, program)))
		return false;
	queue->redirected = true;
	count_packet(queue, NET_XDP_REDIRECT);
	return true;
}

int net_xdp_run(struct xpv_netdev_queue *queue, struct bpf_prog *program, const struct xpv_rx_packet *packet,
		struct net_xdp_passed *passed)
{
	struct net_device *dev = queue->netdev->dev;
	/*
	 * The backend was asked to complete checksums, and not to send what is to be
	 * segmented; but it may be told of that only now, or not do it. As it is, such a
	 * packet can go to nobody but Linux.
	 */
	bool complete = !packet->checksum_blank && packet->gso == XPV_NET_GSO_NONE;
	struct xdp_buff xdp;
	int error = copy_packet(queue, packet, &xdp);
	unsigned int i;
	u32 verdict;

	/* As these are the pool's own, and this is its poll, they are used for the next copies. */
	for (i = 0; packet->owned && i < packet->piece_count; i++)
		page_pool_recycle_direct(queue->pages, net_page_of(packet->pieces[i].page));
	if (unlikely(error))
		return error;
	verdict = bpf_prog_run_xdp(program, &xdp);
	switch (verdict) {
	case XDP_PASS:
		count_packet(queue, NET_XDP_PASS);
		pass(&xdp, packet, passed);
		return 1;
	case XDP_TX:
		if (likely(complete) && send_back(queue, &xdp))
			return 0;
		break;
	case XDP_REDIRECT:
		if (likely(complete) && redirect(queue, program, &xdp))
			return 0;
		break;
	case XDP_DROP:
		count_packet(queue, NET_XDP_DROP);
		goto recycle;
	case XDP_ABORTED:
		break;
	default:
		bpf_warn_invalid_xdp_action(dev, program, verdict);
		break;
	}
	trace_xdp_exception(dev, program, verdict);
	count_packet(queue, NET_XDP_ERROR);
recycle:
	page_pool_recycle_direct(queue->pages, virt_to_page(xdp.data_hard_start));
	return 0;
}

void net_xdp_flush(struct xpv_netdev_queue *queue)
{
	if (queue->bulk_count)
		flush_bulk(queue);
	if (queue->redirected) {
		queue->redirected = false;
		xdp_do_flush();
	}
}

/* ---- Programs and queues ---- */

int net_xdp_register(struct xpv_netdev_queue *queue)
{
	int error = xdp_rxq_info_reg(&queue->xdp_rxq, queue->netdev->dev, queue->index, queue->napi.napi_id);

	if (error)
		return error;
	error = xdp_rxq_info_reg_mem_model(&queue->xdp_rxq, MEM_TYPE_PAGE_POOL, queue->pages);
	if (error)
		xdp_rxq_info_unreg(&queue->xdp_rxq);
	return error;
}

void net_xdp_unregister(struct xpv_netdev_queue *queue)
{
	if (xdp_rxq_info_is_reg(&queue->xdp_rxq))
		xdp_rxq_info_unreg(&queue->xdp_rxq);
}

/*
 * Takes effect at once. Only the first program and the end of the last one make
 * another connection, later: until then large packets are errors.
 */
static int set_program(struct net_device *dev, struct bpf_prog *program, struct netlink_ext_ack *extack)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	struct bpf_prog *old = rtnl_dereference(netdev->program);

	if (program && dev->mtu > MTU_MAX) {
		NL_SET_ERR_MSG_MOD(extack, "MTU too large for XDP, where a packet has one page with headroom");
		return -EINVAL;
	}
	rcu_assign_pointer(netdev->program, program);
	dev->max_mtu = program ? MTU_MAX : NET_MTU_MAX;
	xpv_vif_set_xdp(netdev->vif, !!program);
	/* It is freed once the polls that may still use it are over. */
	if (old)
		bpf_prog_put(old);
	return 0;
}

int net_xdp_setup(struct net_device *dev, struct netdev_bpf *command)
{
	switch (command->command) {
	case XDP_SETUP_PROG:
		return set_program(dev, command->prog, command->extack);
	default:
		return -EINVAL;
	}
}
