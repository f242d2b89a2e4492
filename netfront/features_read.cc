// SPDX-License-Identifier: GPL-2.0-only
/* The backend's features from xenstore, which the bus may have read already. */
#include "netfront/features.hh"
#include "lib/shim.h"
#include "xenbus/xenbus.h"

const char *const xpv::link_keys[] = { "carrier", "speed", nullptr };

namespace xpv {

Result<BackendFeatures> read_features(xpv_device *device)
{
	enum { RxCopy, MaxQueues, Split, Sg, GsoTcpv4, GsoTcpv6, NoChecksum, Checksum6, Filter, Control, Keys };
	static constexpr const char *keys[Keys] = {
		"feature-rx-copy",
		"multi-queue-max-queues",
		"feature-split-event-channels",
		"feature-sg",
		"feature-gso-tcpv4",
		"feature-gso-tcpv6",
		"feature-no-csum-offload",
		"feature-ipv6-csum-offload",
		"feature-dynamic-multicast-control",
		"feature-ctrl-ring",
	};
	char values[Keys][32];
	xpv_store_read_item items[Keys];
	for (unsigned int i = 0; i < Keys; i++)
		items[i] = { .path = keys[i], .value = values[i], .size = sizeof(values[i]), .result = 0 };
	XPV_TRY(status(xpv_device_read_backend(device, items, Keys)));

	auto text = [&items](unsigned int i) -> const char * { return items[i].result >= 0 ? items[i].value : nullptr; };
	return check_features({ .rx_copy = text(RxCopy),
				.max_queues = text(MaxQueues),
				.split_event_channels = text(Split),
				.scatter_gather = text(Sg),
				.gso_tcpv4 = text(GsoTcpv4),
				.gso_tcpv6 = text(GsoTcpv6),
				.no_checksum_ipv4 = text(NoChecksum),
				.checksum_ipv6 = text(Checksum6),
				.multicast_filter = text(Filter),
				.control_ring = text(Control) },
			      xpv_device_path(device));
}

Result<BackendLink> read_link(xpv_device *device)
{
	char carrier[16];
	char speed[16];
	xpv_store_read_item items[] = {
		{ .path = link_keys[0], .value = carrier, .size = sizeof(carrier), .result = 0 },
		{ .path = link_keys[1], .value = speed, .size = sizeof(speed), .result = 0 },
	};
	XPV_TRY(status(xpv_device_read_backend(device, items, 2)));
	return check_link(items[0].result >= 0 ? carrier : nullptr, items[1].result >= 0 ? speed : nullptr);
}

Result<BackendLink> read_link_at(const char *path)
{
	char paths[2][288];
	for (unsigned int i = 0; i < 2; i++)
		xpv_format(paths[i], sizeof(paths[i]), "%s/%s", path, link_keys[i]);
	char carrier[16];
	char speed[16];
	xpv_store_read_item items[] = {
		{ .path = paths[0], .value = carrier, .size = sizeof(carrier), .result = 0 },
		{ .path = paths[1], .value = speed, .size = sizeof(speed), .result = 0 },
	};
	XPV_TRY(status(xpv_store_read_many(XPV_STORE_NO_TRANSACTION, items, 2)));
	return check_link(items[0].result >= 0 ? carrier : nullptr, items[1].result >= 0 ? speed : nullptr);
}

} // namespace xpv
