// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDP: the packets that programs send, of this interface (XDP_TX) or of another one
 * (ndo_xdp_xmit), through the same rings as Linux's own. BQL does not count them.
 */

#include <linux/bpf.h>
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>

#include "netfront/netdev.h"

/* Transmit lock. As xpv_tx_submit(); -EINVAL: it cannot be sent to this backend. */
static int submit(struct xpv_netdev_queue *queue, struct xdp_frame *frame)
{
	struct xpv_tx_packet packet;

	/* Only such of one piece are announced (xdp_features). */
	if (unlikely(xdp_frame_has_frags(frame) || frame->len < ETH_HLEN))
		return -EINVAL;
	packet.owner = net_owner_of_frame(frame);
	packet.gso = XPV_NET_GSO_NONE;
	packet.gso_size = 0;
	packet.checksum_blank = false;
	packet.checksum_known_good = false;
	if (unlikely(!net_tx_describe_memory(queue->netdev, frame->data, frame->len, &packet)))
		return -EINVAL;
	return xpv_tx_submit(queue->queue, &packet);
}

int net_xdp_transmit(struct xpv_netdev_queue *queue, struct xdp_frame **frames, int count, bool push, int budget)
{
	struct xpv_netdev *netdev = queue->netdev;
	struct netdev_queue *txq = netdev_get_tx_queue(netdev->dev, queue->index);
	unsigned int bytes = 0;
	int room = XPV_NET_RING_SIZE;
	int sent;

	__netif_tx_lock(txq, smp_processor_id());
	/* Once the lock was free, nobody relies on an earlier value: see disable_queues(), xpv_netdev_begin_hold(). */
	if (unlikely(!READ_ONCE(netdev->enabled) || READ_ONCE(netdev->transmit_held))) {
		__netif_tx_unlock(txq);
		return -ENETDOWN;
	}
	for (sent = 0; sent < count; sent++) {
		unsigned int length = frames[sent]->len;

		room = submit(queue, frames[sent]);
		if (unlikely(room == -EAGAIN)) {
			/* What was sent before may make room. */
			xpv_tx_push(queue->queue);
			net_tx_reap(queue, txq, 0, budget);
			room = submit(queue, frames[sent]);
		}
		if (unlikely(room < 0))
			break;
		queue->frames_in_flight++;
		bytes += length;
		/* Linux's own packets never find the ring full. */
		if (unlikely(room < NET_TX_ROOM_FOR_ONE))
			netif_tx_stop_queue(txq);
	}
	if (push) {
		xpv_tx_push(queue->queue);
		if (room >= 0 && room < NET_TX_REAP_BELOW)
			net_tx_reap(queue, txq, NET_TX_REAP_AT_LEAST, budget);
	}
	u64_stats_update_begin(&queue->tx.syncp);
	u64_stats_add(&queue->tx.packets, sent);
	u64_stats_add(&queue->tx.bytes, bytes);
	u64_stats_add(&queue->tx.dropped, count - sent);
	u64_stats_add(&queue->tx_frames, sent);
	u64_stats_update_end(&queue->tx.syncp);
	__netif_tx_unlock(txq);
	return sent;
}

int net_xdp_xmit(struct net_device *dev, int count, struct xdp_frame **frames, u32 flags)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	unsigned int used = READ_ONCE(netdev->queues_used);

	if (unlikely(flags & ~XDP_XMIT_FLAGS_MASK))
		return -EINVAL;
	if (unlikely(!used))
		return -ENETDOWN;
	/* Each CPU a queue, as far as there are enough. The next connection waits for who has the number of this one. */
	return net_xdp_transmit(&netdev->queues[smp_processor_id() % used], frames, count, flags & XDP_XMIT_FLUSH, 0);
}

void net_xdp_release(struct xpv_netdev_queue *queue, struct xdp_frame *frame, int budget)
{
	queue->frames_in_flight--;
	/* Only the poll that allocates from a page pool may put a page there without a lock. */
	if (budget && frame->mem.id == queue->xdp_rxq.mem.id)
		xdp_return_frame_rx_napi(frame);
	else
		xdp_return_frame(frame);
}
