// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rings: only memory. They check what the protocol relies on: contexts, locks, one call at a time, a connection,
 * and segments that have the packet's data. Events come in hard interrupts, as Xen's do.
 */

#include "netfront_kunit.h"

#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/tcp.h>

/* As in tx_linux.c: every netback can use packets that begin with that much. */
#define HEADERS_MIN 128u
/* Most packets that a poll of the ring returns at once. */
#define BATCH_PACKETS 64u

static void violated(struct xpv_vif *vif, const char *what)
{
	cmpxchg(&vif->violation, NULL, what);
}

static bool has_rings(const struct xpv_net_queue *queue)
{
	return queue->index < queue->vif->queues_used;
}

/* ---- Events. The queue's lock is held ---- */

static void on_event(struct irq_work *work)
{
	struct xpv_net_queue *queue = container_of(work, struct xpv_net_queue, event);

	xpv_netdev_poll(queue->linux_queue);
}

/* The port is masked from an event until the end of the interrupt. */
static void raise_locked(struct xpv_net_queue *queue)
{
	if (queue->masked) {
		queue->pending = true;
		return;
	}
	queue->masked = true;
	irq_work_queue(&queue->event);
}

static void raise_if_armed_locked(struct xpv_net_queue *queue)
{
	if (!queue->armed)
		return;
	queue->armed = false;
	raise_locked(queue);
}

/* ---- Transmit ---- */

static void enter_transmit(struct xpv_net_queue *queue)
{
	if (READ_ONCE(vif_txq(queue->vif, queue->index)->xmit_lock_owner) != raw_smp_processor_id())
		violated(queue->vif, "a transmit function was called without the transmit lock");
	if (!READ_ONCE(queue->vif->connected))
		violated(queue->vif, "a transmit function was called without a connection");
}

/* Return what is wrong with a segment, and copy its data. */
static const char *gather(struct xpv_net_queue *queue, const struct xpv_tx_packet *packet,
			  const struct xpv_tx_segment *segment, unsigned int from)
{
	struct page *page;

	if (!segment->length || segment->length > PAGE_SIZE || from + segment->length > packet->length)
		return "a segment has an impossible length";
	if (segment->staged) {
		xpv_tx_copy(packet->owner, from, queue->gathered + from, segment->length);
		return NULL;
	}
	page = pfn_to_page(segment->frame.value);
	if (queue->vif->features.stage_all)
		return "memory is granted to a backend that is not trusted";
	if (PageSlab(page) || !page_count(page))
		return "slab memory is granted";
	if (segment->offset + segment->length > PAGE_SIZE)
		return "a segment leaves its page";
	memcpy(queue->gathered + from, page_address(page) + segment->offset, segment->length);
	return NULL;
}

/* Return what is wrong with a packet's offloads and headers. */
static const char *check_offloads(const struct xpv_net_queue *queue, const struct xpv_tx_packet *packet,
				  const struct sk_buff *skb)
{
	const struct xpv_netdev_features *features = &queue->vif->features;
	unsigned int headers = min_t(unsigned int, packet->length, HEADERS_MIN);

	if (packet->gso != XPV_NET_GSO_NONE) {
		unsigned int offset = skb_transport_offset(skb);
		const struct tcphdr *tcp = (const struct tcphdr *)(queue->expected + offset);

		if (!(packet->gso == XPV_NET_GSO_TCPV4 ? features->gso_tcpv4 : features->gso_tcpv6))
			return "GSO that the backend does not support";
		if (!packet->gso_size || !packet->checksum_blank)
			return "GSO without a size or a blank checksum";
		headers = max_t(unsigned int, headers, offset + tcp->doff * 4);
	}
	if (packet->checksum_blank && !features->checksum_ipv4 && !features->checksum_ipv6)
		return "a blank checksum that the backend does not support";
	if (packet->segments[0].length < headers)
		return "the first segment does not have all headers";
	return NULL;
}

static const char *check_packet(struct xpv_net_queue *queue, const struct xpv_tx_packet *packet)
{
	const struct xdp_frame *frame = net_frame_of(packet->owner);
	const struct sk_buff *skb = (const struct sk_buff *)packet->owner;
	unsigned int from = 0;
	unsigned int i;

	if (!packet->segment_count || packet->segment_count > XPV_NET_SLOTS_MAX)
		return "a packet has an impossible number of segments";
	if (packet->segment_count > 1 && !queue->vif->features.scatter_gather)
		return "a packet has several segments without scatter-gather";
	for (i = 0; i < packet->segment_count; i++) {
		const char *wrong = gather(queue, packet, &packet->segments[i], from);

		if (wrong)
			return wrong;
		from += packet->segments[i].length;
	}
	if (from != packet->length || from != (frame ? frame->len : skb->len))
		return "a packet and its segments differ in length";
	if (frame && memcmp(queue->gathered, frame->data, from))
		return "a frame and its segments differ in data";
	if (!frame && (skb_copy_bits(skb, 0, queue->expected, from) || memcmp(queue->gathered, queue->expected, from)))
		return "a packet and its segments differ in data";
	return check_offloads(queue, packet, skb);
}

int xpv_tx_submit(struct xpv_net_queue *queue, const struct xpv_tx_packet *packet)
{
	unsigned int slots = packet->segment_count + (packet->gso != XPV_NET_GSO_NONE);
	struct xpv_vif *vif = queue->vif;
	int error = queue->refuse;
	const char *wrong;

	enter_transmit(queue);
	if (READ_ONCE(vif->transmit_held))
		violated(vif, "a packet was transmitted during a suspend");
	if (!has_rings(queue))
		return -ENODEV;
	queue->refuse = 0;
	if (!error && queue->room < slots) {
		queue->full++;
		error = -EAGAIN;
	}
	if (error)
		return error;

	wrong = check_packet(queue, packet);
	if (wrong)
		violated(vif, wrong);
	queue->last = *packet;
	queue->sent[queue->submitted % RING_SLOTS] = (struct sent_packet){ .owner = packet->owner, .slots = slots };
	queue->room -= slots;
	WRITE_ONCE(queue->submitted, queue->submitted + 1);
	if (!wrong && vif->echo)
		vif_deliver(queue, &(struct frame){ .data = queue->gathered, .length = packet->length });
	return queue->room;
}

void xpv_tx_push(struct xpv_net_queue *queue)
{
	enter_transmit(queue);
	if (queue->pushed == queue->submitted)
		return;
	queue->pushes++;
	WRITE_ONCE(queue->pushed, queue->submitted);
	if (!queue->vif->hold)
		vif_answer(queue, RING_SLOTS, ANSWER_SENT);
}

void xpv_tx_collect(struct xpv_net_queue *queue, unsigned int least, struct xpv_tx_done *done)
{
	unsigned int answered = smp_load_acquire(&queue->answered);
	unsigned int responses = 0;
	unsigned int i;

	*done = (struct xpv_tx_done){ .owners = queue->done };
	enter_transmit(queue);
	if (READ_ONCE(queue->vif->polls_held))
		violated(queue->vif, "responses were taken during a suspend");
	if (!has_rings(queue))
		return;
	for (i = queue->collected; i != answered; i++)
		responses += queue->sent[i % RING_SLOTS].slots;
	if (responses >= least) {
		for (i = queue->collected; i != answered; i++) {
			const struct sent_packet *sent = &queue->sent[i % RING_SLOTS];

			queue->done[done->count++] = sent->owner;
			done->dropped += sent->answer == ANSWER_DROPPED;
			done->errors += sent->answer == ANSWER_ERROR;
			queue->room += sent->slots;
		}
		WRITE_ONCE(queue->collected, answered);
	}
	done->room = queue->room;
}

unsigned int xpv_tx_in_flight(const struct xpv_net_queue *queue)
{
	return has_rings(queue) ? RING_SLOTS - READ_ONCE(queue->room) : 0;
}

void vif_answer(struct xpv_net_queue *queue, unsigned int count, enum answer answer)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	while (queue->open && count-- && queue->answered != READ_ONCE(queue->pushed)) {
		queue->sent[queue->answered % RING_SLOTS].answer = answer;
		smp_store_release(&queue->answered, queue->answered + 1);
	}
	if (queue->open && !queue->quiet)
		raise_locked(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/* ---- Receive ---- */

static void enter_receive(struct xpv_net_queue *queue)
{
	struct xpv_vif *vif = queue->vif;

	if (!in_softirq() || !test_bit(NAPI_STATE_SCHED, &queue->linux_queue->napi.state))
		violated(vif, "a receive function was called outside of a poll");
	if (!READ_ONCE(vif->connected) || !has_rings(queue))
		violated(vif, "a receive function was called without a connection");
	if (READ_ONCE(vif->polls_held))
		violated(vif, "a receive function was called during a suspend");
	if (test_and_set_bit(0, &queue->polling))
		violated(vif, "two polls of a queue run at the same time");
}

static void leave_receive(struct xpv_net_queue *queue)
{
	clear_bit(0, &queue->polling);
}

static void *address_of(struct xpv_rx_page *page)
{
	return page_address((struct page *)page);
}

/* The backend may use again the pages of the last batch that Linux did not get. */
static void release_batch_locked(struct xpv_net_queue *queue)
{
	for (; queue->released != queue->taken; queue->released++) {
		const struct received_packet *arrival = &queue->arrivals[queue->released % RING_SLOTS];
		unsigned int i;

		queue->arrived_pages -= arrival->packet.piece_count;
		if (arrival->packet.owned && !arrival->malformed)
			continue;
		for (i = 0; i < arrival->packet.piece_count; i++) {
			memset(address_of(arrival->pieces[i].page), 0xdd, PAGE_SIZE);
			queue->posted[queue->posted_count++] = arrival->pieces[i].page;
		}
	}
}

static bool deliver_locked(struct xpv_net_queue *queue, const struct frame *frame)
{
	struct received_packet *arrival = &queue->arrivals[queue->arrived % RING_SLOTS];
	unsigned int size = frame->first_size ?: frame->piece_size ?: PAGE_SIZE - frame->offset;
	unsigned int from = 0;

	if (!queue->open || queue->arrived - queue->released == RING_SLOTS || queue->posted_count < XPV_NET_SLOTS_MAX)
		return false;
	*arrival = (struct received_packet){ .malformed = frame->malformed };
	while (from < frame->length && arrival->packet.piece_count < XPV_NET_SLOTS_MAX) {
		unsigned int length = min(size, frame->length - from);
		struct xpv_rx_page *page = queue->posted[--queue->posted_count];

		memcpy(address_of(page) + frame->offset, frame->data + from, length);
		arrival->pieces[arrival->packet.piece_count++] = (struct xpv_rx_piece){ page, frame->offset, length };
		from += length;
		size = frame->piece_size ?: PAGE_SIZE - frame->offset;
	}
	arrival->packet.pieces = arrival->pieces;
	arrival->packet.length = from;
	arrival->packet.owned = arrival->packet.piece_count > 1 || from > XPV_RX_COPY_LIMIT;
	arrival->packet.checksum_blank = frame->checksum_blank;
	arrival->packet.checksum_known_good = frame->checksum_known_good;
	arrival->packet.gso = frame->gso;
	arrival->packet.gso_size = frame->gso_size;
	arrival->packet.hash_kind = frame->hash_kind;
	arrival->packet.hash = frame->hash;
	queue->arrived_pages += arrival->packet.piece_count;
	queue->arrived++;
	return true;
}

bool vif_deliver(struct xpv_net_queue *queue, const struct frame *frame)
{
	unsigned long flags;
	bool delivered;

	spin_lock_irqsave(&queue->lock, flags);
	delivered = deliver_locked(queue, frame);
	if (delivered)
		raise_if_armed_locked(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	return delivered;
}

void vif_deliver_late(struct xpv_net_queue *queue, enum late when, const struct frame *frame)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->late_frame = *frame;
	queue->late = when;
	spin_unlock_irqrestore(&queue->lock, flags);
}

static void deliver_late_locked(struct xpv_net_queue *queue, enum late now)
{
	if (queue->late != now)
		return;
	queue->late = LATE_NEVER;
	if (deliver_locked(queue, &queue->late_frame))
		raise_if_armed_locked(queue);
}

void xpv_rx_collect(struct xpv_net_queue *queue, unsigned int budget, struct xpv_rx_batch *batch)
{
	unsigned int most = min(budget, BATCH_PACKETS);
	unsigned long flags;

	*batch = (struct xpv_rx_batch){ .packets = queue->batch };
	enter_receive(queue);
	spin_lock_irqsave(&queue->lock, flags);
	release_batch_locked(queue);
	while (queue->taken != queue->arrived && batch->count + batch->errors < most) {
		const struct received_packet *arrival = &queue->arrivals[queue->taken++ % RING_SLOTS];

		if (arrival->malformed)
			batch->errors++;
		else
			queue->batch[batch->count++] = arrival->packet;
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	leave_receive(queue);
}

void xpv_rx_refill(struct xpv_net_queue *queue)
{
	struct xpv_vif *vif = queue->vif;
	struct xpv_rx_page *pages[32];
	struct xpv_pfn frames[32];
	unsigned long flags;
	unsigned int i, wanted, got;

	enter_receive(queue);
	do {
		spin_lock_irqsave(&queue->lock, flags);
		release_batch_locked(queue);
		wanted = RING_SLOTS - queue->posted_count - queue->arrived_pages;
		wanted = min_t(unsigned int, wanted, ARRAY_SIZE(pages));
		spin_unlock_irqrestore(&queue->lock, flags);
		got = wanted ? xpv_rx_pages_get(queue->linux_queue, pages, frames, wanted) : 0;
		for (i = 0; i < got; i++) {
			if (frames[i].value != page_to_pfn((struct page *)pages[i]))
				violated(vif, "a page to receive in has another frame");
			if (vif->features.stage_all && memchr_inv(address_of(pages[i]), 0, PAGE_SIZE))
				violated(vif, "a page with data is granted to a backend that is not trusted");
		}
		spin_lock_irqsave(&queue->lock, flags);
		memcpy(queue->posted + queue->posted_count, pages, got * sizeof(*pages));
		queue->posted_count += got;
		spin_unlock_irqrestore(&queue->lock, flags);
	} while (got);
	leave_receive(queue);
}

bool xpv_rx_arm(struct xpv_net_queue *queue)
{
	unsigned long flags;
	bool more;

	enter_receive(queue);
	spin_lock_irqsave(&queue->lock, flags);
	deliver_late_locked(queue, LATE_BEFORE_ARM);
	more = queue->taken != queue->arrived || READ_ONCE(queue->vif->busy);
	if (!more) {
		queue->armed = true;
		deliver_late_locked(queue, LATE_AFTER_ARM);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	leave_receive(queue);
	return more;
}

void xpv_net_queue_end_of_interrupt(struct xpv_net_queue *queue)
{
	unsigned long flags;

	if (!READ_ONCE(queue->vif->connected))
		violated(queue->vif, "an interrupt ended without a connection");
	spin_lock_irqsave(&queue->lock, flags);
	deliver_late_locked(queue, LATE_BEFORE_EOI);
	if (queue->pending) {
		queue->pending = false;
		irq_work_queue(&queue->event);
	} else {
		queue->masked = false;
	}
	spin_unlock_irqrestore(&queue->lock, flags);
}

/* ---- The vif ---- */

void xpv_vif_multicast_changed(struct xpv_vif *vif)
{
	vif->multicast_changes++;
}

void xpv_vif_set_queue_count(struct xpv_vif *vif, unsigned int count)
{
	vif->queues_asked = count;
}

void xpv_vif_get_rss(struct xpv_vif *vif, struct xpv_net_rss *settings)
{
	*settings = vif->rss;
}

int xpv_vif_set_rss(struct xpv_vif *vif, const struct xpv_net_rss *settings)
{
	vif->rss = *settings;
	return 0;
}

void xpv_vif_set_xdp(struct xpv_vif *vif, bool xdp)
{
	if ((vif->xdp_changes & 1) != xdp)
		vif->xdp_changes++;
}

/* ---- Connections ---- */

void ring_init(struct xpv_net_queue *queue, struct xpv_vif *vif, unsigned int index)
{
	queue->vif = vif;
	queue->index = index;
	spin_lock_init(&queue->lock);
	init_irq_work(&queue->event, on_event);
}

void ring_open(struct xpv_net_queue *queue)
{
	queue->submitted = queue->pushed = queue->answered = queue->collected = 0;
	queue->room = RING_SLOTS;
	queue->armed = queue->masked = queue->pending = false;
	queue->late = LATE_NEVER;
	queue->refuse = 0;
	queue->released = queue->taken = queue->arrived = queue->arrived_pages = 0;
	queue->open = true;
}

void ring_close(struct xpv_net_queue *queue)
{
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&queue->lock, flags);
	queue->open = false;
	release_batch_locked(queue);
	/* What has not been taken. */
	for (; queue->taken != queue->arrived; queue->taken++) {
		const struct received_packet *arrival = &queue->arrivals[queue->taken % RING_SLOTS];

		for (i = 0; i < arrival->packet.piece_count; i++)
			queue->posted[queue->posted_count++] = arrival->pieces[i].page;
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	irq_work_sync(&queue->event);
	for (; queue->collected != queue->submitted; queue->collected++)
		xpv_tx_drop(queue->sent[queue->collected % RING_SLOTS].owner);
	while (queue->posted_count)
		xpv_rx_page_put(queue->linux_queue, queue->posted[--queue->posted_count]);
}
