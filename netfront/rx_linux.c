// SPDX-License-Identifier: GPL-2.0-only
/* Receive: the NAPI poll, and how pages become a sk_buff. */

#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/mm.h>
#include <linux/tcp.h>

#include "netfront/netdev.h"

/* Room for headers in the linear part of a packet whose data stays in its pages. */
#define HEAD_SIZE 256u
/* Bytes of such a packet that are copied there if the length of the headers is not known. */
#define HEAD_GUESS 128u

/* ---- Pages ---- */

unsigned int xpv_rx_pages_get(struct xpv_netdev_queue *queue, struct xpv_rx_page **pages, struct xpv_pfn *frames,
			      unsigned int count)
{
	/*
	 * The backend can read the whole page: zeroes, or what was received in it
	 * before. Linux may have changed that, for example decrypted it, so clear the
	 * page for a backend that is not trusted.
	 */
	bool clear = queue->netdev->features.stage_all;
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct page *page = net_rx_page_alloc(queue);

		if (unlikely(!page))
			break;
		if (unlikely(clear))
			clear_page(page_address(page));
		pages[i] = (struct xpv_rx_page *)page;
		frames[i].value = page_to_pfn(page);
	}
	return i;
}

void xpv_rx_page_put(struct xpv_netdev_queue *queue, struct xpv_rx_page *page)
{
	page_pool_put_full_page(queue->pages, net_page_of(page), false);
}

static void put_pages(struct xpv_netdev_queue *queue, const struct xpv_rx_packet *packet, unsigned int from)
{
	unsigned int i;

	for (i = from; packet->owned && i < packet->piece_count; i++)
		xpv_rx_page_put(queue, packet->pieces[i].page);
}

/* ---- Packets ---- */

/*
 * Return how much of the packet to copy to the linear part: only the headers, so
 * that GRO can merge the payloads of several packets in pages.
 */
static unsigned int head_length(const u8 *data, unsigned int length)
{
	const struct ethhdr *eth = (const struct ethhdr *)data;
	const struct tcphdr *tcp;
	unsigned int offset = ETH_HLEN;

	if (length < HEAD_GUESS)
		return length;
	if (eth->h_proto == htons(ETH_P_IP)) {
		const struct iphdr *ip = (const struct iphdr *)(data + offset);

		if (ip->protocol != IPPROTO_TCP || ip->ihl < 5)
			return HEAD_GUESS;
		offset += ip->ihl * 4;
	} else if (eth->h_proto == htons(ETH_P_IPV6)) {
		const struct ipv6hdr *ip = (const struct ipv6hdr *)(data + offset);

		if (ip->nexthdr != IPPROTO_TCP)
			return HEAD_GUESS;
		offset += sizeof(*ip);
	} else {
		return HEAD_GUESS;
	}
	/* At most 14 + 60 + 20. */
	tcp = (const struct tcphdr *)(data + offset);
	if (tcp->doff < 5)
		return HEAD_GUESS;
	return min(offset + tcp->doff * 4, length);
}

/*
 * Build a sk_buff, with the bytes before the packet that are metadata of a program.
 * NULL: no memory, or too many pages; the packet's pages are freed then.
 */
static struct sk_buff *build_skb_of(struct xpv_netdev_queue *queue, const struct xpv_rx_packet *packet,
				    unsigned int metadata)
{
	const struct xpv_rx_piece *first = &packet->pieces[0];
	const u8 *data = page_address(net_page_of(first->page)) + first->offset;
	struct sk_buff *skb = napi_alloc_skb(&queue->napi, (packet->owned ? HEAD_SIZE : packet->length) + metadata);
	unsigned int head;
	unsigned int i;

	if (unlikely(!skb)) {
		put_pages(queue, packet, 0);
		return NULL;
	}
	if (metadata) {
		skb_put_data(skb, data - metadata, metadata);
		__skb_pull(skb, metadata);
		skb_metadata_set(skb, metadata);
	}
	if (!packet->owned) {
		skb_put_data(skb, data, packet->length);
		return skb;
	}
	/* A small packet has its own page only for a program: then that is free again at once. */
	if (packet->length <= XPV_RX_COPY_LIMIT && packet->piece_count == 1)
		head = packet->length;
	else
		head = head_length(data, first->length);
	skb_put_data(skb, data, head);
	skb_mark_for_recycle(skb);
	if (head < first->length)
		skb_add_rx_frag(skb, 0, net_page_of(first->page), first->offset + head, first->length - head, PAGE_SIZE);
	else
		xpv_rx_page_put(queue, first->page);
	for (i = 1; i < packet->piece_count; i++) {
		const struct xpv_rx_piece *piece = &packet->pieces[i];

		if (unlikely(skb_shinfo(skb)->nr_frags == MAX_SKB_FRAGS)) {
			put_pages(queue, packet, i);
			kfree_skb(skb);
			return NULL;
		}
		skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, net_page_of(piece->page), piece->offset, piece->length,
				PAGE_SIZE);
	}
	return skb;
}

/* Apply what the backend says about checksum and segments. False: it does not fit the packet. */
static bool set_offloads(struct xpv_netdev_queue *queue, struct sk_buff *skb, const struct xpv_rx_packet *packet)
{
	bool recalculate = false;

	if (packet->checksum_blank)
		skb->ip_summed = CHECKSUM_PARTIAL;
	else if (packet->checksum_known_good)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (packet->gso != XPV_NET_GSO_NONE) {
		bool is_v4 = packet->gso == XPV_NET_GSO_TCPV4;

		if (skb->protocol != (is_v4 ? htons(ETH_P_IP) : htons(ETH_P_IPV6)))
			return false;
		skb_shinfo(skb)->gso_size = packet->gso_size;
		/* SKB_GSO_DODGY: Linux checks the headers before it uses them, and counts the segments. */
		skb_shinfo(skb)->gso_type = (is_v4 ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6) | SKB_GSO_DODGY;
		skb_shinfo(skb)->gso_segs = 0;
		/* Linux expects a partial checksum in such packets, and some backends do not set the flag. */
		if (skb->ip_summed != CHECKSUM_PARTIAL) {
			skb->ip_summed = CHECKSUM_PARTIAL;
			recalculate = true;
			u64_stats_update_begin(&queue->rx.syncp);
			u64_stats_inc(&queue->rx.fixups);
			u64_stats_update_end(&queue->rx.syncp);
		}
	}
	if (skb->ip_summed != CHECKSUM_PARTIAL)
		return true;
	if (skb_checksum_setup(skb, recalculate))
		return false;
	return packet->gso == XPV_NET_GSO_NONE || skb->csum_offset == offsetof(struct tcphdr, check);
}

static void receive(struct xpv_netdev_queue *queue, const struct xpv_rx_batch *batch)
{
	struct net_device *dev = queue->netdev->dev;
	unsigned int packets = 0, bytes = 0, dropped = 0, errors = batch->errors;
	/* Softirqs are off: it is not freed before the poll is over. */
	struct bpf_prog *program = rcu_dereference_bh(queue->netdev->program);
	struct net_xdp_passed passed = {};
	unsigned int i;

	for (i = 0; i < batch->count; i++) {
		const struct xpv_rx_packet *packet = &batch->packets[i];
		struct sk_buff *skb;

		if (program) {
			unsigned int length = packet->length;
			int verdict = net_xdp_run(queue, program, packet, &passed);

			if (verdict <= 0) {
				packets += !verdict;
				bytes += verdict ? 0 : length;
				dropped += verdict == -ENOMEM;
				errors += verdict == -EINVAL;
				continue;
			}
			packet = &passed.packet;
		}
		skb = build_skb_of(queue, packet, passed.metadata);
		if (unlikely(!skb)) {
			dropped++;
			continue;
		}
		if (unlikely(!pskb_may_pull(skb, ETH_HLEN))) {
			errors++;
			kfree_skb(skb);
			continue;
		}
		skb->protocol = eth_type_trans(skb, dev);
		skb_reset_network_header(skb);
		if (unlikely(!set_offloads(queue, skb, packet))) {
			errors++;
			kfree_skb(skb);
			continue;
		}
		net_set_hash(skb, packet);
		packets++;
		bytes += packet->length;
		skb_record_rx_queue(skb, queue->index);
		napi_gro_receive(&queue->napi, skb);
	}
	u64_stats_update_begin(&queue->rx.syncp);
	u64_stats_add(&queue->rx.packets, packets);
	u64_stats_add(&queue->rx.bytes, bytes);
	u64_stats_add(&queue->rx.dropped, dropped);
	u64_stats_add(&queue->rx.errors, errors);
	u64_stats_update_end(&queue->rx.syncp);
}

/* ---- The poll ---- */

static void reap(struct xpv_netdev_queue *queue, int budget)
{
	struct netdev_queue *txq = netdev_get_tx_queue(queue->netdev->dev, queue->index);

	/* netpoll may be called with the lock held. */
	if (budget)
		__netif_tx_lock(txq, smp_processor_id());
	else if (!__netif_tx_trylock(txq))
		return;
	net_tx_reap(queue, txq, 0, budget);
	__netif_tx_unlock(txq);
}

/* In netpoll the budget is 0: only release transmitted packets. */
int net_poll(struct napi_struct *napi, int budget)
{
	struct xpv_netdev_queue *queue = container_of(napi, struct xpv_netdev_queue, napi);
	int done = 0;

	if (unlikely(READ_ONCE(queue->netdev->polls_held))) {
		if (budget)
			napi_complete_done(napi, 0);
		return 0;
	}
	reap(queue, budget);
	if (!budget)
		return 0;
	do {
		struct xpv_rx_batch batch;
		int found;

		xpv_rx_collect(queue->queue, budget - done, &batch);
		found = batch.count + batch.errors;
		if (found)
			receive(queue, &batch);
		xpv_rx_refill(queue->queue);
		done += found;
		if (!found)
			break;
	} while (done < budget);
	net_xdp_flush(queue);
	if (done >= budget)
		return budget;
	if (xpv_rx_arm(queue->queue))
		return budget;
	if (napi_complete_done(napi, done))
		xpv_net_queue_end_of_interrupt(queue->queue);
	return done;
}

void xpv_netdev_poll(struct xpv_netdev_queue *queue)
{
	unsigned long flags;

	/* Without this, a softirq raised in a task would wait for the next interrupt. */
	if (in_task() && !irqs_disabled()) {
		local_bh_disable();
		napi_schedule(&queue->napi);
		local_bh_enable();
		return;
	}
	local_irq_save(flags);
	napi_schedule(&queue->napi);
	local_irq_restore(flags);
}
