// SPDX-License-Identifier: GPL-2.0-only
/* The net_device with its queues: operations, life, connections, suspend. */

#include <linux/completion.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/rcupdate.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "netfront/netdev.h"

/* ---- Queues. RTNL ---- */

static void stop_transmitting(struct xpv_netdev *netdev)
{
	unsigned int i;

	for (i = 0; i < netdev->queue_count; i++) {
		struct netdev_queue *txq = netdev_get_tx_queue(netdev->dev, i);

		__netif_tx_lock_bh(txq);
		netif_tx_stop_queue(txq);
		__netif_tx_unlock_bh(txq);
	}
}

/* Let Linux transmit, unless a suspend forbids it, and poll all queues: events may have been missed. */
static void start_queues(struct xpv_netdev *netdev)
{
	unsigned int i;

	for (i = 0; i < netdev->queue_count; i++) {
		struct netdev_queue *txq = netdev_get_tx_queue(netdev->dev, i);

		/*
		 * Also queues without rings: a qdisc may have packets for them from an
		 * earlier connection, which net_start_xmit() then drops.
		 */
		__netif_tx_lock_bh(txq);
		if (!READ_ONCE(netdev->transmit_held))
			netif_tx_wake_queue(txq);
		__netif_tx_unlock_bh(txq);
	}
	for (i = 0; i < netdev->queues_used; i++)
		xpv_netdev_poll(&netdev->queues[i]);
}

static void enable_queues(struct xpv_netdev *netdev)
{
	unsigned int i;

	if (netdev->enabled)
		return;
	WRITE_ONCE(netdev->enabled, true);
	for (i = 0; i < netdev->queues_used; i++)
		napi_enable(&netdev->queues[i].napi);
	start_queues(netdev);
}

static void disable_queues(struct xpv_netdev *netdev)
{
	unsigned int i;

	for (i = 0; netdev->enabled && i < netdev->queues_used; i++)
		napi_disable(&netdev->queues[i].napi);
	WRITE_ONCE(netdev->enabled, false);
	/* Only now: a poll wakes the queue when it has taken responses. */
	stop_transmitting(netdev);
}

/* ---- Operations. RTNL unless noted ---- */

static int net_open(struct net_device *dev)
{
	struct xpv_netdev *netdev = netdev_priv(dev);

	if (netdev->connected)
		enable_queues(netdev);
	return 0;
}

static int net_stop(struct net_device *dev)
{
	disable_queues(netdev_priv(dev));
	return 0;
}

static int net_change_mtu(struct net_device *dev, int mtu)
{
	struct xpv_netdev *netdev = netdev_priv(dev);

	/* A larger packet takes more than one slot. */
	if (!netdev->features.scatter_gather && mtu > ETH_DATA_LEN)
		return -EINVAL;
	WRITE_ONCE(dev->mtu, mtu);
	return 0;
}

/* Switch off what the backend does not support; Linux then does it itself. */
static netdev_features_t net_fix_features(struct net_device *dev, netdev_features_t features)
{
	const struct xpv_netdev_features *backend = &((struct xpv_netdev *)netdev_priv(dev))->features;

	if (!backend->scatter_gather)
		features &= ~NETIF_F_SG;
	if (!backend->checksum_ipv4)
		features &= ~NETIF_F_IP_CSUM;
	if (!backend->checksum_ipv6)
		features &= ~NETIF_F_IPV6_CSUM;
	if (!backend->gso_tcpv4)
		features &= ~NETIF_F_TSO;
	if (!backend->gso_tcpv6)
		features &= ~NETIF_F_TSO6;
	if (!backend->receive_hash)
		features &= ~NETIF_F_RXHASH;
	return features;
}

static void add_stats(const struct net_queue_stats *from, u64 *packets, u64 *bytes, u64 *dropped, u64 *errors)
{
	unsigned int start;
	u64 its_packets, its_bytes, its_dropped, its_errors;

	do {
		start = u64_stats_fetch_begin(&from->syncp);
		its_packets = u64_stats_read(&from->packets);
		its_bytes = u64_stats_read(&from->bytes);
		its_dropped = u64_stats_read(&from->dropped);
		its_errors = u64_stats_read(&from->errors);
	} while (u64_stats_fetch_retry(&from->syncp, start));
	*packets += its_packets;
	*bytes += its_bytes;
	*dropped += its_dropped;
	*errors += its_errors;
}

/* Called without RTNL. */
static void net_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	struct xpv_netdev *netdev = netdev_priv(dev);
	unsigned int i;

	for (i = 0; i < netdev->queue_count; i++) {
		const struct xpv_netdev_queue *queue = &netdev->queues[i];

		add_stats(&queue->tx, &stats->tx_packets, &stats->tx_bytes, &stats->tx_dropped, &stats->tx_errors);
		add_stats(&queue->rx, &stats->rx_packets, &stats->rx_bytes, &stats->rx_dropped, &stats->rx_errors);
	}
}

/* Called with the address lock held, without RTNL. */
static void net_set_rx_mode(struct net_device *dev)
{
	xpv_vif_multicast_changed(((struct xpv_netdev *)netdev_priv(dev))->vif);
}

/*
 * netpoll (netconsole) needs no operation: it calls the NAPI poll itself, with a
 * budget of 0.
 */
static const struct net_device_ops net_operations = {
	.ndo_open = net_open,
	.ndo_stop = net_stop,
	.ndo_start_xmit = net_start_xmit,
	.ndo_change_mtu = net_change_mtu,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_get_stats64 = net_get_stats64,
	.ndo_set_rx_mode = net_set_rx_mode,
	.ndo_fix_features = net_fix_features,
	.ndo_bpf = net_xdp_setup,
	.ndo_xdp_xmit = net_xdp_xmit,
};

/* ---- Life ---- */

static void destroy_queues(struct xpv_netdev *netdev)
{
	unsigned int i;

	for (i = 0; i < netdev->queue_count; i++) {
		struct xpv_netdev_queue *queue = &netdev->queues[i];

		if (!queue->pages)
			break;
		netif_napi_del(&queue->napi);
		net_xdp_unregister(queue);
		/* The page pool itself waits for pages that are still in packets. */
		page_pool_destroy(queue->pages);
	}
	kfree(netdev->queues);
}

static int create_queues(struct xpv_netdev *netdev, const struct xpv_netdev_parameters *parameters)
{
	/* Not mapped for DMA: pages are granted instead. */
	const struct page_pool_params pool = { .pool_size = XPV_NET_RING_SIZE, .nid = NUMA_NO_NODE };
	unsigned int i;
	int error;

	netdev->queue_count = parameters->queue_count;
	netdev->queues = kcalloc(netdev->queue_count, sizeof(*netdev->queues), GFP_KERNEL);
	if (!netdev->queues)
		return -ENOMEM;
	for (i = 0; i < netdev->queue_count; i++) {
		struct xpv_netdev_queue *queue = &netdev->queues[i];
		struct page_pool *pages = page_pool_create(&pool);

		if (IS_ERR(pages)) {
			destroy_queues(netdev);
			return PTR_ERR(pages);
		}
		queue->pages = pages;
		queue->queue = parameters->queues[i];
		queue->netdev = netdev;
		queue->index = i;
		u64_stats_init(&queue->tx.syncp);
		u64_stats_init(&queue->rx.syncp);
		netif_napi_add(netdev->dev, &queue->napi, net_poll);
		error = net_xdp_register(queue);
		if (error) {
			destroy_queues(netdev);
			return error;
		}
	}
	return 0;
}

int xpv_netdev_create(struct device *parent, const struct xpv_netdev_parameters *parameters, struct xpv_netdev **created)
{
	unsigned int count = parameters->queue_count;
	struct net_device *dev = alloc_etherdev_mqs(sizeof(struct xpv_netdev), count, count);
	struct xpv_netdev *netdev;
	int error;

	if (!dev)
		return -ENOMEM;
	netdev = netdev_priv(dev);
	netdev->dev = dev;
	netdev->vif = parameters->vif;
	error = create_queues(netdev, parameters);
	if (error) {
		free_netdev(dev);
		return error;
	}
	SET_NETDEV_DEV(dev, parent);
	dev->netdev_ops = &net_operations;
	dev->ethtool_ops = &net_ethtool_ops;
	/* net_fix_features() removes what the backend does not support. */
	dev->hw_features = NETIF_F_SG | NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM | NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_RXHASH;
	dev->features = dev->hw_features | NETIF_F_RXCSUM | NETIF_F_GSO_ROBUST;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	dev->min_mtu = ETH_MIN_MTU;
	/* A VLAN's header comes on top of the MTU. */
	dev->max_mtu = NET_MTU_MAX;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	dev->xdp_features = NETDEV_XDP_ACT_BASIC | NETDEV_XDP_ACT_REDIRECT | NETDEV_XDP_ACT_NDO_XMIT;
#endif
	if (parameters->mtu)
		dev->mtu = parameters->mtu;
	netif_set_tso_max_size(dev, NET_MTU_MAX);
	eth_hw_addr_set(dev, parameters->mac);
	netif_carrier_off(dev);
	*created = netdev;
	return 0;
}

int xpv_netdev_register(struct xpv_netdev *netdev)
{
	/* Linux cannot register a device again when its first registration failed late. */
	if (netdev->dev->reg_state != NETREG_UNINITIALIZED)
		return -ENODEV;
	return register_netdev(netdev->dev);
}

struct unregistration {
	struct work_struct work;
	struct completion done;
	struct net_device *dev;
};

static void unregister(struct work_struct *work)
{
	struct unregistration *its = container_of(work, struct unregistration, work);

	unregister_netdev(its->dev);
	complete(&its->done);
}

/*
 * In a work of its own: the bus calls this in a work of a queue that has a
 * rescuer, and such a work must not flush a work of a queue without one, as
 * unregister_netdev() does (flush_all_backlogs()).
 */
void xpv_netdev_unregister(struct xpv_netdev *netdev)
{
	struct unregistration its = { .dev = netdev->dev };

	INIT_WORK_ONSTACK(&its.work, unregister);
	init_completion(&its.done);
	queue_work(system_unbound_wq, &its.work);
	wait_for_completion(&its.done);
	destroy_work_on_stack(&its.work);
}

void xpv_netdev_destroy(struct xpv_netdev *netdev)
{
	destroy_queues(netdev);
	free_netdev(netdev->dev);
}

/* ---- Connections ---- */

/* Without scatter-gather a packet has one slot. RTNL. */
static void limit_mtu(struct net_device *dev)
{
	if (dev->mtu <= ETH_DATA_LEN)
		return;
	if (dev->reg_state != NETREG_REGISTERED) {
		dev->mtu = ETH_DATA_LEN;
		return;
	}
	pr_notice_ratelimited(KBUILD_MODNAME ": %s: MTU reduced to %d, as the backend has no scatter-gather\n",
			      netdev_name(dev), ETH_DATA_LEN);
	dev_set_mtu(dev, ETH_DATA_LEN);
}

int xpv_netdev_connect(struct xpv_netdev *netdev, unsigned int queue_count, const struct xpv_netdev_features *features)
{
	struct net_device *dev = netdev->dev;
	unsigned int i;
	int error = 0;

	rtnl_lock();
	if (netdev->connected)
		goto out;
	error = netif_set_real_num_queues(dev, queue_count, queue_count);
	if (error)
		goto out;
	/* Nothing is in flight. */
	for (i = 0; i < netdev->queue_count; i++) {
		netdev_tx_reset_queue(netdev_get_tx_queue(dev, i));
		netdev->queues[i].frames_in_flight = 0;
	}
	WRITE_ONCE(netdev->queues_used, queue_count);
	netdev->features = *features;
	netdev->connected = true;
	if (dev->reg_state == NETREG_REGISTERED)
		netdev_update_features(dev);
	if (!features->scatter_gather)
		limit_mtu(dev);
	if (netif_running(dev))
		enable_queues(netdev);
out:
	rtnl_unlock();
	return error;
}

bool xpv_netdev_prepare(struct xpv_netdev *netdev, bool stage_all)
{
	/* Nobody else reads it between connections. */
	netdev->features.stage_all = stage_all;
	return netif_running(netdev->dev);
}

void xpv_netdev_disconnect(struct xpv_netdev *netdev, bool keep_carrier)
{
	rtnl_lock();
	if (!keep_carrier)
		netif_carrier_off(netdev->dev);
	disable_queues(netdev);
	/* napi_disable() does not wait for what a poll does after napi_complete_done(). */
	synchronize_net();
	netdev->connected = false;
	WRITE_ONCE(netdev->transmit_held, false);
	WRITE_ONCE(netdev->polls_held, false);
	rtnl_unlock();
}

void xpv_netdev_set_link(struct xpv_netdev *netdev, bool carrier, unsigned int speed)
{
	WRITE_ONCE(netdev->speed, speed);
	if (carrier)
		netif_carrier_on(netdev->dev);
	else
		netif_carrier_off(netdev->dev);
}

void xpv_netdev_announce(struct xpv_netdev *netdev)
{
	netdev_notify_peers(netdev->dev);
}

/* ---- Multicast ---- */

int xpv_netdev_multicast(struct xpv_netdev *netdev, struct xpv_net_address *addresses, unsigned int most)
{
	struct net_device *dev = netdev->dev;
	struct netdev_hw_addr *one;
	unsigned int count = 0;

	netif_addr_lock_bh(dev);
	if (dev->flags & (IFF_PROMISC | IFF_ALLMULTI) || netdev_mc_count(dev) > most) {
		netif_addr_unlock_bh(dev);
		return -E2BIG;
	}
	netdev_for_each_mc_addr(one, dev) ether_addr_copy(addresses[count++].octets, one->addr);
	netif_addr_unlock_bh(dev);
	return count;
}

void xpv_netdev_lock_transmit(struct xpv_netdev *netdev, unsigned int index)
{
	__netif_tx_lock_bh(netdev_get_tx_queue(netdev->dev, index));
}

void xpv_netdev_unlock_transmit(struct xpv_netdev *netdev, unsigned int index)
{
	__netif_tx_unlock_bh(netdev_get_tx_queue(netdev->dev, index));
}

/* ---- Suspend ---- */

void xpv_netdev_begin_hold(struct xpv_netdev *netdev)
{
	WRITE_ONCE(netdev->transmit_held, true);
	stop_transmitting(netdev);
}

void xpv_netdev_wait_held(struct xpv_netdev *netdev)
{
	WRITE_ONCE(netdev->polls_held, true);
	/* Polls run with softirqs off. (napi_synchronize() would wait for ever if the interface is down.) */
	synchronize_rcu_expedited();
}

void xpv_netdev_release(struct xpv_netdev *netdev)
{
	WRITE_ONCE(netdev->transmit_held, false);
	WRITE_ONCE(netdev->polls_held, false);
	/*
	 * Not under RTNL: its holder may wait for memory, and so for a disk that is
	 * still held. The bus excludes connect and disconnect. A queue of an interface
	 * that is down may be woken too: Linux does not transmit then, and its NAPI is
	 * disabled.
	 */
	if (netdev->connected)
		start_queues(netdev);
}

/* ---- Access ---- */

void xpv_netdev_name(const struct xpv_netdev *netdev, char *name, size_t size)
{
	strscpy(name, netdev->dev->name, size);
}

struct xpv_netdev_queue *xpv_netdev_get_queue(struct xpv_netdev *netdev, unsigned int index)
{
	return &netdev->queues[index];
}
