/* SPDX-License-Identifier: GPL-2.0-only */
/* Linux's side of netfront on the host: packets, pages and network interfaces (netfront/linux.h). */
#pragma once

#include <string>
#include <vector>

#include "netfront/linux.h"

/* A sk_buff, as far as a ring knows it. */
struct xpv_tx_owner {
	std::string data;
	unsigned int released = 0; /* by who collected it */
	unsigned int dropped = 0; /* by xpv_tx_drop() */
};

struct xpv_netdev_queue {
	unsigned int polls = 0; /* that were asked for */
	unsigned int pages = 0; /* given out, and not back */
	unsigned int pages_left = ~0u; /* there are no more */
};

struct xpv_netdev {
	std::vector<xpv_net_queue *> queues;
	std::vector<xpv_netdev_queue> halves;
	std::vector<xpv_net_address> multicast;
	bool all_multicast = false;
	xpv_netdev_parameters parameters = {};
	xpv_netdev_features features = {};
	bool registered = false, connected = false, carrier = false, holding = false, held = false;
	unsigned int used = 0, speed = 0, announced = 0, connects = 0;
};

namespace fake {

struct Netfront {
	std::vector<xpv_netdev *> netdevs;
	unsigned int max_queues = 1;
	bool trusted = true, receive_hash = true;
	int create_error = 0, register_error = 0, connect_error = 0;
};
extern Netfront netfront;

} // namespace fake
