// SPDX-License-Identifier: GPL-2.0-only
#include "tests/host/fake/netfront.hh"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "lib/result.hh"
#include "lib/shim.h"
#include "tests/host/fake/shim_context.hh"

fake::Netfront fake::netfront;

using fake::netfront;

namespace {

void must_be(bool condition, const char *what)
{
	if (!condition)
		fake::misuse(what);
}

} // namespace

/* ---- Packets and pages ---- */

void xpv_tx_copy(const xpv_tx_owner *owner, unsigned int offset, void *to, unsigned int length)
{
	must_be(offset + length <= owner->data.size(), "netfront: copy past the end of a packet");
	std::memcpy(to, owner->data.data() + offset, length);
}

void xpv_tx_drop(xpv_tx_owner *owner)
{
	owner->dropped++;
}

unsigned int xpv_rx_pages_get(xpv_netdev_queue *queue, xpv_rx_page **pages, xpv_pfn *frames, unsigned int count)
{
	unsigned int i;
	for (i = 0; i < count && queue->pages_left != 0; i++) {
		void *page = xpv_pages_alloc(0, XPV_ATOMIC);
		if (!page)
			break;
		pages[i] = static_cast<xpv_rx_page *>(page);
		frames[i] = xpv_pages_pfn(page);
		queue->pages++;
		queue->pages_left--;
	}
	return i;
}

void xpv_rx_page_put(xpv_netdev_queue *queue, xpv_rx_page *page)
{
	must_be(queue->pages-- != 0, "netfront: a page that was not given out");
	xpv_pages_free(page, 0);
}

/* ---- Interfaces ---- */

unsigned int xpv_net_max_queues(void)
{
	return netfront.max_queues;
}

bool xpv_net_trusted(void)
{
	return netfront.trusted;
}

bool xpv_net_receive_hash(void)
{
	return netfront.receive_hash;
}

void xpv_net_rss_key(uint8_t *key, size_t size)
{
	for (size_t i = 0; i < size; i++)
		key[i] = static_cast<uint8_t>(0x60 + i);
}

int xpv_netdev_create(struct device *, const xpv_netdev_parameters *parameters, xpv_netdev **created)
{
	if (netfront.create_error)
		return netfront.create_error;
	auto *netdev = new xpv_netdev;
	netdev->parameters = *parameters;
	netdev->queues.assign(parameters->queues, parameters->queues + parameters->queue_count);
	netdev->halves.resize(parameters->queue_count);
	netfront.netdevs.push_back(netdev);
	*created = netdev;
	return 0;
}

int xpv_netdev_register(xpv_netdev *netdev)
{
	must_be(netdev->connected && !netdev->registered, "netfront: registered at the wrong time");
	if (!netfront.register_error)
		netdev->registered = true;
	return netfront.register_error;
}

void xpv_netdev_unregister(xpv_netdev *netdev)
{
	must_be(netdev->registered && !netdev->connected, "netfront: unregistered at the wrong time");
	netdev->registered = false;
}

void xpv_netdev_destroy(xpv_netdev *netdev)
{
	must_be(!netdev->registered && !netdev->connected, "netfront: destroyed at the wrong time");
	for (const xpv_netdev_queue &half : netdev->halves)
		must_be(half.pages == 0, "netfront: destroyed with pages out");
	std::erase(netfront.netdevs, netdev);
	delete netdev;
}

int xpv_netdev_connect(xpv_netdev *netdev, unsigned int queue_count, const xpv_netdev_features *features)
{
	must_be(queue_count != 0 && queue_count <= netdev->queues.size(), "netfront: impossible number of queues");
	if (netfront.connect_error)
		return netfront.connect_error;
	netdev->connects += !netdev->connected;
	netdev->connected = true;
	netdev->used = queue_count;
	netdev->features = *features;
	/* The first poll. */
	for (unsigned int i = 0; i < queue_count; i++)
		xpv_rx_refill(netdev->queues[i]);
	return 0;
}

bool xpv_netdev_prepare(xpv_netdev *netdev, bool stage_all)
{
	must_be(!netdev->connected, "netfront: prepared while connected");
	netdev->features.stage_all = stage_all;
	return netdev->registered;
}

void xpv_netdev_disconnect(xpv_netdev *netdev, bool keep_carrier)
{
	netdev->connected = netdev->holding = netdev->held = false;
	netdev->carrier = netdev->carrier && keep_carrier;
}

void xpv_netdev_set_link(xpv_netdev *netdev, bool carrier, unsigned int speed)
{
	must_be(netdev->connected || !carrier, "netfront: carrier without a connection");
	netdev->carrier = carrier;
	netdev->speed = speed;
}

void xpv_netdev_announce(xpv_netdev *netdev)
{
	must_be(netdev->registered, "netfront: announced without an interface");
	netdev->announced++;
}

int xpv_netdev_multicast(xpv_netdev *netdev, xpv_net_address *addresses, unsigned int most)
{
	if (netdev->all_multicast || netdev->multicast.size() > most)
		return -XEN_E2BIG;
	std::copy(netdev->multicast.begin(), netdev->multicast.end(), addresses);
	return static_cast<int>(netdev->multicast.size());
}

void xpv_netdev_lock_transmit(xpv_netdev *, unsigned int)
{
}

void xpv_netdev_unlock_transmit(xpv_netdev *, unsigned int)
{
}

void xpv_netdev_begin_hold(xpv_netdev *netdev)
{
	netdev->holding = true;
}

void xpv_netdev_wait_held(xpv_netdev *netdev)
{
	must_be(netdev->holding, "netfront: waits for a hold that has not begun");
	netdev->held = true;
}

void xpv_netdev_release(xpv_netdev *netdev)
{
	netdev->holding = netdev->held = false;
}

void xpv_netdev_name(const xpv_netdev *netdev, char *name, size_t size)
{
	std::snprintf(name, size, "%s", netdev->registered ? "eth0" : "eth%d");
}

xpv_netdev_queue *xpv_netdev_get_queue(xpv_netdev *netdev, unsigned int index)
{
	return &netdev->halves.at(index);
}

void xpv_netdev_poll(xpv_netdev_queue *queue)
{
	queue->polls++;
}
