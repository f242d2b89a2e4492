// SPDX-License-Identifier: GPL-2.0-only
#include "netfront/identity.hh"

#include <string_view>

#include "lib/log.hh"
#include "lib/number.hh"
#include "xenbus/xenbus.h"

namespace xpv {

namespace {

constexpr unsigned int least_mtu = 68; /* IPv4's */
constexpr unsigned int most_mtu = 65517;

} // namespace

Status parse_mac(const char *text, uint8_t (&mac)[6])
{
	std::string_view left(text);
	uint8_t all = 0;
	for (unsigned int i = 0; i < 6; i++) {
		bool last = i == 5;
		if (left.size() < (last ? 2u : 3u) || (!last && left[2] != ':'))
			return Error(XEN_EINVAL);
		mac[i] = static_cast<uint8_t>(XPV_TRY(parse_hexadecimal<uint32_t>(left.substr(0, 2))));
		all |= mac[i];
		left.remove_prefix(last ? 2 : 3);
	}
	bool multicast = mac[0] & 1;
	if (!left.empty() || multicast || all == 0)
		return Error(XEN_EINVAL);
	return {};
}

Result<VifIdentity> read_identity(xpv_device *device)
{
	char mac[32];
	char mtu[16];
	xpv_store_read_item items[] = {
		{ .path = "mac", .value = mac, .size = sizeof(mac), .result = 0 },
		{ .path = "mtu", .value = mtu, .size = sizeof(mtu), .result = 0 },
	};
	XPV_TRY(status(xpv_device_read_own(device, items, 2)));
	VifIdentity identity = {};
	auto parsed = items[0].result < 0 ? Status(Error(items[0].result)) : parse_mac(mac, identity.mac);
	if (!parsed.ok()) {
		XPV_ERR("%s: invalid MAC address \"%.20s\"", xpv_device_path(device), items[0].result < 0 ? "" : mac);
		return parsed.error();
	}
	if (items[1].result >= 0) {
		auto number = parse_number(mtu);
		if (number.ok() && number.value() >= least_mtu && number.value() <= most_mtu)
			identity.mtu = static_cast<unsigned int>(number.value());
		else
			XPV_WARNING("%s: invalid MTU \"%.15s\" ignored", xpv_device_path(device), mtu);
	}
	return identity;
}

Result<bool> read_trusted(xpv_device *device)
{
	char value[8];
	xpv_store_read_item item = { .path = "trusted", .value = value, .size = sizeof(value), .result = 0 };
	XPV_TRY(status(xpv_device_read_own(device, &item, 1)));
	return item.result < 0 || parse_number(value).value_or(0) != 0;
}

} // namespace xpv
