/* SPDX-License-Identifier: GPL-2.0-only */
/* What the backend says of itself in xenstore (netif.h), checked. */
#pragma once

#include "lib/result.hh"
#include "lib/types.h"

struct xpv_device;

namespace xpv {

struct BackendFeatures {
	unsigned int max_queues; /* from 1 to XPV_NET_QUEUES_MAX */
	bool split_event_channels;
	bool scatter_gather;
	bool gso_tcpv4, gso_tcpv6;
	bool checksum_ipv4, checksum_ipv6; /* takes packets whose checksum is blank */
	bool control_ring; /* for settings of the receive hash */
	bool multicast_filter; /* which can be turned on and off at any time */
};

struct BackendLink {
	bool has_carrier; /* says so: it may change */
	bool carrier;
	unsigned int speed; /* Mbit/s; 0: not said */
};

/* The texts as read; null for a node that is not there. */
struct FeatureTexts {
	const char *rx_copy = nullptr;
	const char *max_queues = nullptr;
	const char *split_event_channels = nullptr;
	const char *scatter_gather = nullptr;
	const char *gso_tcpv4 = nullptr;
	const char *gso_tcpv6 = nullptr;
	const char *no_checksum_ipv4 = nullptr;
	const char *checksum_ipv6 = nullptr;
	const char *multicast_filter = nullptr;
	const char *control_ring = nullptr;
};

/* EOPNOTSUPP for a backend that cannot copy to us; logs that. All else has a meaning, or is taken as not there. */
[[nodiscard]] Result<BackendFeatures> check_features(const FeatureTexts &texts, const char *device);
[[nodiscard]] BackendLink check_link(const char *carrier, const char *speed);

/* The keys that read_link() reads, NULL at the end: for the bus. */
extern const char *const link_keys[];
/* One round trip each. Sleeping context. */
[[nodiscard]] Result<BackendFeatures> read_features(xpv_device *device);
[[nodiscard]] Result<BackendLink> read_link(xpv_device *device);
/* The same for who is not called by the bus. `path` is the backend's. */
[[nodiscard]] Result<BackendLink> read_link_at(const char *path);

} // namespace xpv
