// SPDX-License-Identifier: GPL-2.0-only
/* Transmit: split a sk_buff into segments, pass it to the ring, release it when it is done. */

#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/mm.h>
#include <linux/tcp.h>

#include "netfront/netdev.h"

/*
 * A packet, or the linear part of a packet, of at most this size is staged: copied
 * into a page that is already granted to the backend. That costs less than a grant,
 * and does not expose the rest of the page.
 */
#define STAGE_LIMIT 256u
/* netbacks copy this much of the first slot, and some expect all headers in it (XSA-423). */
#define HEADERS_MIN 128u

static struct xpv_tx_owner *owner_of(struct sk_buff *skb)
{
	return (struct xpv_tx_owner *)skb;
}

static struct sk_buff *skb_of(const struct xpv_tx_owner *owner)
{
	return (struct sk_buff *)owner;
}

/* ---- Segments ---- */

/*
 * Return whether this is slab memory: its page contains other objects too, and it
 * cannot be parked if the backend keeps it mapped (gnttab.h: xpv_grant_park()).
 */
static bool is_of_slab(const void *data)
{
	struct page *page = virt_to_page(data);

	return PageSlab(page) || page_count(page) == 0;
}

static void add_staged(struct xpv_tx_packet *packet, unsigned int length)
{
	packet->segments[packet->segment_count++] = (struct xpv_tx_segment){ .length = length, .staged = true };
}

/* Stage the whole packet. False: it does not fit into one page, and there is no scatter-gather. */
static bool describe_staged(struct xpv_tx_packet *packet, bool scatter_gather)
{
	unsigned int left = packet->length;

	packet->segment_count = 0;
	if (left > PAGE_SIZE && !scatter_gather)
		return false;
	while (left) {
		unsigned int length = min_t(unsigned int, left, PAGE_SIZE);

		add_staged(packet, length);
		left -= length;
	}
	return true;
}

/* Add memory that is granted in place, a segment for each page. False: too many segments. */
static bool add_in_place(struct xpv_tx_packet *packet, unsigned long pfn, unsigned int offset, unsigned int length)
{
	pfn += offset >> PAGE_SHIFT;
	offset = offset_in_page(offset);
	while (length) {
		unsigned int piece = min_t(unsigned int, length, PAGE_SIZE - offset);

		if (packet->segment_count == XPV_NET_SLOTS_MAX)
			return false;
		packet->segments[packet->segment_count++] = (struct xpv_tx_segment){
			.frame = { pfn },
			.offset = offset,
			.length = piece,
		};
		pfn++;
		offset = 0;
		length -= piece;
	}
	return true;
}

/* Return how much of the packet the first segment must contain. 0: the packet cannot be sent. */
static unsigned int headers_of(struct sk_buff *skb)
{
	unsigned int length = min(skb->len, HEADERS_MIN);
	unsigned int headers;

	if (!skb_is_gso(skb))
		return length;
	if (!pskb_may_pull(skb, skb_transport_offset(skb) + sizeof(struct tcphdr)))
		return 0;
	headers = skb_transport_offset(skb) + tcp_hdrlen(skb);
	return headers > PAGE_SIZE || headers > skb->len ? 0 : max(length, headers);
}

/* Describe the beginning of the packet. Return how many bytes that are, which may include some of the fragments. */
static unsigned int describe_head(struct xpv_tx_packet *packet, struct sk_buff *skb, unsigned int headers)
{
	unsigned int head = skb_headlen(skb);
	unsigned int staged = 0;

	if (skb->len <= STAGE_LIMIT)
		staged = skb->len;
	else if (head <= STAGE_LIMIT)
		staged = max(head, headers);
	else if (is_of_slab(skb->data) || offset_in_page(skb->data) + headers > PAGE_SIZE)
		staged = min_t(unsigned int, max(head, headers), PAGE_SIZE);
	else if (head < headers)
		staged = headers;
	if (staged)
		add_staged(packet, staged);
	/* Slab memory of more than a page. */
	if (unlikely(staged && staged < head && is_of_slab(skb->data))) {
		while (staged < head) {
			unsigned int length = min_t(unsigned int, head - staged, PAGE_SIZE);

			if (packet->segment_count == XPV_NET_SLOTS_MAX)
				break;
			add_staged(packet, length);
			staged += length;
		}
	}
	return staged;
}

static bool describe_rest(struct xpv_tx_packet *packet, const struct sk_buff *skb, unsigned int described)
{
	unsigned int head = skb_headlen(skb);
	unsigned int i;

	if (described < head) {
		const void *data = skb->data + described;

		if (!add_in_place(packet, page_to_pfn(virt_to_page(data)), offset_in_page(data), head - described))
			return false;
		described = head;
	}
	described -= head;
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];
		unsigned int size = skb_frag_size(frag);

		if (described >= size) {
			described -= size;
			continue;
		}
		if (!add_in_place(packet, page_to_pfn(skb_frag_page(frag)), skb_frag_off(frag) + described,
				  size - described))
			return false;
		described = 0;
	}
	return true;
}

/* Describe a packet. False: it cannot be sent to this backend. */
static bool describe(const struct xpv_netdev *netdev, struct sk_buff *skb, struct xpv_tx_packet *packet)
{
	const struct xpv_netdev_features *features = &netdev->features;
	unsigned int headers;

	if (unlikely(skb->len < ETH_HLEN || skb->len > U16_MAX))
		return false;
	packet->gso = XPV_NET_GSO_NONE;
	packet->gso_size = 0;
	if (skb_is_gso(skb)) {
		unsigned int type = skb_shinfo(skb)->gso_type;

		/* Linux may have built it for an earlier backend. */
		if (type & SKB_GSO_TCPV4 && features->gso_tcpv4)
			packet->gso = XPV_NET_GSO_TCPV4;
		else if (type & SKB_GSO_TCPV6 && features->gso_tcpv6)
			packet->gso = XPV_NET_GSO_TCPV6;
		else
			return false;
		packet->gso_size = skb_shinfo(skb)->gso_size;
	}
	/* The same applies to a checksum that is not computed yet. */
	if (skb->ip_summed == CHECKSUM_PARTIAL && unlikely(!features->checksum_ipv4 || !features->checksum_ipv6)) {
		bool is_v6 = vlan_get_protocol(skb) == htons(ETH_P_IPV6);

		if (!(is_v6 ? features->checksum_ipv6 : features->checksum_ipv4) &&
		    (skb_is_gso(skb) || skb_checksum_help(skb)))
			return false;
	}
	headers = headers_of(skb);
	if (unlikely(!headers))
		return false;
	packet->owner = owner_of(skb);
	packet->length = skb->len;
	packet->checksum_blank = skb->ip_summed == CHECKSUM_PARTIAL;
	packet->checksum_known_good = skb->ip_summed == CHECKSUM_UNNECESSARY;
	packet->segment_count = 0;
	if (unlikely(features->stage_all || skb_has_frag_list(skb)))
		return describe_staged(packet, features->scatter_gather);
	if (unlikely(!describe_rest(packet, skb, describe_head(packet, skb, headers))))
		return describe_staged(packet, features->scatter_gather);
	if (unlikely(packet->segment_count > 1 && !features->scatter_gather))
		return describe_staged(packet, false);
	return true;
}

bool net_tx_describe_memory(const struct xpv_netdev *netdev, const void *data, unsigned int length,
			    struct xpv_tx_packet *packet)
{
	bool scatter_gather = netdev->features.scatter_gather;

	packet->length = length;
	packet->segment_count = 0;
	if (length <= STAGE_LIMIT || netdev->features.stage_all || is_of_slab(data) ||
	    offset_in_page(data) + HEADERS_MIN > PAGE_SIZE)
		return describe_staged(packet, scatter_gather);
	if (!add_in_place(packet, page_to_pfn(virt_to_page(data)), offset_in_page(data), length) ||
	    (packet->segment_count > 1 && !scatter_gather))
		return describe_staged(packet, scatter_gather);
	return true;
}

/*
 * As memcpy(), which from 6.4 on moves a word at a time on processors without
 * FSRM. From some hundred bytes on they all do this faster.
 */
static void copy_linear(void *to, const void *from, unsigned int length)
{
	unsigned long words = length / sizeof(long);

	if (length > STAGE_LIMIT) {
		asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
		length %= sizeof(long);
	}
	memcpy(to, from, length);
}

void xpv_tx_copy(const struct xpv_tx_owner *owner, unsigned int offset, void *to, unsigned int length)
{
	const struct xdp_frame *frame = net_frame_of(owner);
	const struct sk_buff *skb = skb_of(owner);

	if (frame)
		copy_linear(to, frame->data + offset, length);
	else if (likely(offset + length <= skb_headlen(skb)))
		copy_linear(to, skb->data + offset, length);
	else if (skb_copy_bits(skb, offset, to, length))
		/* The packet is shorter than it claims: send zeroes. */
		memset(to, 0, length);
}

/* ---- Packets ---- */

static void count_dropped(struct xpv_netdev_queue *queue, unsigned int dropped, unsigned int errors)
{
	u64_stats_update_begin(&queue->tx.syncp);
	u64_stats_add(&queue->tx.dropped, dropped);
	u64_stats_add(&queue->tx.errors, errors);
	u64_stats_update_end(&queue->tx.syncp);
}

void net_tx_reap(struct xpv_netdev_queue *queue, struct netdev_queue *txq, unsigned int least, int budget)
{
	struct xpv_tx_done done;
	unsigned int packets = 0, bytes = 0;
	unsigned int i;

	/* netpoll: frames cannot be released with interrupts off. The NAPI poll does it soon. */
	if (unlikely(queue->frames_in_flight && irqs_disabled()))
		return;
	xpv_tx_collect(queue->queue, least, &done);
	for (i = 0; i < done.count; i++) {
		struct xdp_frame *frame = net_frame_of(done.owners[i]);
		struct sk_buff *skb = skb_of(done.owners[i]);

		if (frame) {
			net_xdp_release(queue, frame, budget);
			continue;
		}
		packets++;
		bytes += skb->len;
		napi_consume_skb(skb, budget);
	}
	/* Frames are not limited. */
	if (packets)
		netdev_tx_completed_queue(txq, packets, bytes);
	if (unlikely(done.dropped || done.errors))
		count_dropped(queue, done.dropped, done.errors);
	if (netif_tx_queue_stopped(txq) && done.room >= 2 * NET_TX_ROOM_FOR_ONE &&
	    !READ_ONCE(queue->netdev->transmit_held))
		netif_tx_wake_queue(txq);
}

/*
 * Called with the queue's transmit lock held. Sends the backend an event at the end
 * of a burst only (netdev_xmit_more()).
 */
netdev_tx_t net_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	struct xpv_netdev_queue *queue = &netdev->queues[skb_get_queue_mapping(skb)];
	struct netdev_queue *txq = netdev_get_tx_queue(dev, queue->index);
	unsigned int length = skb->len;
	/* Only describe() writes to it: to clear it first costs time. */
	struct xpv_tx_packet packet __attribute__((uninitialized));
	int room;

	if (unlikely(!describe(netdev, skb, &packet)))
		goto drop;
	skb_tx_timestamp(skb);
	room = xpv_tx_submit(queue->queue, &packet);
	if (unlikely(room < 0)) {
		if (room != -EAGAIN)
			goto drop;
		/* Only where programs send too: otherwise the queue is stopped before. */
		netif_tx_stop_queue(txq);
		xpv_tx_push(queue->queue);
		net_tx_reap(queue, txq, 0, 0);
		return NETDEV_TX_BUSY;
	}

	u64_stats_update_begin(&queue->tx.syncp);
	u64_stats_inc(&queue->tx.packets);
	u64_stats_add(&queue->tx.bytes, length);
	u64_stats_update_end(&queue->tx.syncp);
	if (unlikely(room < NET_TX_ROOM_FOR_ONE))
		netif_tx_stop_queue(txq);
	if (__netdev_tx_sent_queue(txq, length, netdev_xmit_more())) {
		xpv_tx_push(queue->queue);
		if (room < NET_TX_REAP_BELOW)
			net_tx_reap(queue, txq, NET_TX_REAP_AT_LEAST, 0);
	}
	return NETDEV_TX_OK;

drop:
	dev_kfree_skb_any(skb);
	count_dropped(queue, 1, 0);
	/* It may be the last of a burst. */
	if (!netdev_xmit_more())
		xpv_tx_push(queue->queue);
	return NETDEV_TX_OK;
}

void xpv_tx_drop(struct xpv_tx_owner *owner)
{
	struct xdp_frame *frame = net_frame_of(owner);

	if (frame)
		xdp_return_frame(frame);
	else
		dev_kfree_skb_any(skb_of(owner));
}
