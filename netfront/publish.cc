// SPDX-License-Identifier: GPL-2.0-only
/* What a connection tells the backend in xenstore. */
#include "netfront/connection.hh"
#include "netfront/rss.hh"
#include "xenbus/xenbus.h"

namespace xpv {

namespace {

/* The keys of one queue, in the device's directory or in one of the queue's own. */
struct QueueKeys {
	static constexpr unsigned int count = 4;
	struct Key {
		char path[40];
		char value[16];
	};
	Key keys[count];

	void set(unsigned int i, const char *directory, const char *name, uint32_t number)
	{
		xpv_format(keys[i].path, sizeof(keys[i].path), "%s%s", directory, name);
		xpv_format(keys[i].value, sizeof(keys[i].value), "%u", number);
	}
};

/* The same for every connection: what Linux can always take. */
constexpr xpv_store_write_item common[] = {
	{ .path = "request-rx-copy", .value = "1", .result = 0 },
	{ .path = "feature-rx-notify", .value = "1", .result = 0 },
	/* Also for a program: without it netback reduces the MTU of its interface, for good. */
	{ .path = "feature-sg", .value = "1", .result = 0 },
	/*
	 * An earlier driver may have left another. netback does not wait for the slot that
	 * its details of the headroom take, and runs past the end of the ring if it is dry.
	 */
	{ .path = "xdp-headroom", .value = "0", .result = 0 },
	/* Until its filter has been told the addresses. */
	{ .path = "request-multicast-control", .value = "0", .result = 0 },
};
constexpr unsigned int common_count = sizeof(common) / sizeof(common[0]);

Status remove_key(xpv_device *device, const char *directory, const char *key)
{
	char path[160];
	xpv_format(path, sizeof(path), "%s/%s%s", xpv_device_path(device), directory, key);
	auto removed = status(xpv_store_remove(XPV_STORE_NO_TRANSACTION, path));
	/* xenstored says so when the queue's directory is missing. */
	if (!removed.ok() && removed.error() == XEN_ENOENT)
		return {};
	return removed;
}

/*
 * What only Linux's own stack can take. A program can send a packet on, where
 * nothing would complete its checksum or segment it.
 */
struct Offload {
	const char *path, *with, *without;
};
constexpr Offload offloads[] = {
	{ "feature-gso-tcpv4", "1", "0" },
	{ "feature-gso-tcpv6", "1", "0" },
	{ "feature-no-csum-offload", "0", "1" },
	{ "feature-ipv6-csum-offload", "1", "0" },
};
constexpr unsigned int offload_count = sizeof(offloads) / sizeof(offloads[0]);

/*
 * netback looks for a channel for each direction first, and would find those of
 * an earlier connection.
 */
Status remove_split_channels(xpv_device *device, const char *directory)
{
	XPV_TRY(remove_key(device, directory, "event-channel-tx"));
	return remove_key(device, directory, "event-channel-rx");
}

} // namespace

Status Connection::publish(xpv_device *device, const Rss &rss)
{
	unsigned int count = queue_count();
	bool split = features_.split_event_channels;
	auto keys = XPV_TRY(Array<QueueKeys>::make(count, XPV_MAY_SLEEP));
	auto items = XPV_TRY(Array<xpv_store_write_item>::make(common_count + offload_count + 3 + QueueKeys::count * count,
							       XPV_MAY_SLEEP));
	unsigned int n = 0;
	for (const xpv_store_write_item &item : common)
		items[n++] = item;
	for (const Offload &offload : offloads)
		items[n++] = { .path = offload.path, .value = xdp_ ? offload.without : offload.with, .result = 0 };
	char queues[16];
	xpv_format(queues, sizeof(queues), "%u", count);
	items[n++] = { .path = "multi-queue-num-queues", .value = queues, .result = 0 };
	char control_ring[16];
	char control_port[16];
	if (rss.is_open()) {
		xpv_format(control_ring, sizeof(control_ring), "%u", rss.ring_reference().value);
		xpv_format(control_port, sizeof(control_port), "%u", rss.port().value);
		items[n++] = { .path = "ctrl-ring-ref", .value = control_ring, .result = 0 };
		items[n++] = { .path = "event-channel-ctrl", .value = control_port, .result = 0 };
	} else if (features_.control_ring) {
		/* netback would map an earlier connection's. */
		XPV_TRY(remove_key(device, "", "ctrl-ring-ref"));
	}
	for (unsigned int i = 0; i < count; i++) {
		char directory[24] = "";
		if (count > 1)
			xpv_format(directory, sizeof(directory), "queue-%u/", i);
		if (!split)
			XPV_TRY(remove_split_channels(device, directory));
		QueueKeys &its = keys[i];
		its.set(0, directory, "tx-ring-ref", rings_[i].tx->reference().value);
		its.set(1, directory, "rx-ring-ref", rings_[i].rx->reference().value);
		its.set(2, directory, split ? "event-channel-tx" : "event-channel", queues_[i].tx_port().value);
		if (split)
			its.set(3, directory, "event-channel-rx", queues_[i].rx_port().value);
		for (unsigned int k = 0; k < (split ? 4u : 3u); k++)
			items[n++] = { .path = its.keys[k].path, .value = its.keys[k].value, .result = 0 };
	}
	return status(xpv_device_initialised(device, items.data(), n));
}

} // namespace xpv
