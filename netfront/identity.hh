/* SPDX-License-Identifier: GPL-2.0-only */
/* What the toolstack says of a network device, in the device's own directory. */
#pragma once

#include "lib/result.hh"
#include "lib/types.h"

struct xpv_device;

namespace xpv {

struct VifIdentity {
	uint8_t mac[6];
	unsigned int mtu; /* 0: not said */
};

/* EINVAL for one that is not six pairs of hexadecimal digits between colons, or that no interface can have. */
[[nodiscard]] Status parse_mac(const char *text, uint8_t (&mac)[6]);

/* One round trip each. Sleeping context. */
[[nodiscard]] Result<VifIdentity> read_identity(xpv_device *device);
/* Whether the toolstack says that the backend is to be trusted; it is, where nothing is said. */
[[nodiscard]] Result<bool> read_trusted(xpv_device *device);

} // namespace xpv
