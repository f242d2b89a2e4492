// SPDX-License-Identifier: GPL-2.0-only
#include "netfront/features.hh"

#include "lib/log.hh"
#include "lib/number.hh"
#include "lib/untrusted.hh"
#include "netfront/linux.h"

namespace xpv {

namespace {

/* Mbit/s; more than any network has, and what ethtool can tell. */
constexpr unsigned int most_speed = 10'000'000;

/* A text that is no number says nothing. */
uint64_t number_of(const char *text, uint64_t otherwise)
{
	return text ? parse_number(text).value_or(otherwise) : otherwise;
}

bool is_on(const char *text)
{
	return number_of(text, 0) != 0;
}

} // namespace

Result<BackendFeatures> check_features(const FeatureTexts &texts, const char *device)
{
	if (!is_on(texts.rx_copy)) {
		XPV_ERR_LIMITED("%s: the backend does not support feature-rx-copy", device);
		return Error(XEN_EOPNOTSUPP);
	}
	BackendFeatures features = {};
	features.max_queues = static_cast<unsigned int>(
		Untrusted<uint64_t>::from_copy(number_of(texts.max_queues, 1)).clamped(1, XPV_NET_QUEUES_MAX));
	features.split_event_channels = is_on(texts.split_event_channels);
	features.scatter_gather = is_on(texts.scatter_gather);
	/* A packet of many segments does not fit into one slot. */
	features.gso_tcpv4 = features.scatter_gather && is_on(texts.gso_tcpv4);
	features.gso_tcpv6 = features.scatter_gather && is_on(texts.gso_tcpv6);
	features.checksum_ipv4 = !is_on(texts.no_checksum_ipv4);
	features.checksum_ipv6 = is_on(texts.checksum_ipv6);
	features.control_ring = is_on(texts.control_ring);
	features.multicast_filter = is_on(texts.multicast_filter);
	return features;
}

BackendLink check_link(const char *carrier, const char *speed)
{
	BackendLink link;
	link.has_carrier = carrier != nullptr;
	link.carrier = number_of(carrier, 1) != 0;
	uint64_t mbit = number_of(speed, 0);
	link.speed = mbit <= most_speed ? static_cast<unsigned int>(mbit) : 0;
	return link;
}

} // namespace xpv
