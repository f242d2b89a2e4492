/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The multicast filter of a backend (netif.h: feature-dynamic-multicast-control):
 * a list of addresses, changed through a transmit ring, and a key in xenstore
 * that says whether it is in force.
 *
 * Not locked: used by one work.
 */
#pragma once

#include "lib/result.hh"
#include "netfront/queue.hh"

namespace xpv {

class MulticastFilter {
public:
	/* The list of a new connection is empty. */
	void reset() { count_ = 0; }
	/*
	 * Make the backend's list what Linux wants, through this queue. EAGAIN: a
	 * part of it was done, the ring is full. E2BIG: it wants more than a list can
	 * have. ENODEV: there is no connection. Sleeping context.
	 */
	[[nodiscard]] Status update(xpv_netdev *netdev, xpv_net_queue &queue);

private:
	[[nodiscard]] static bool contains(const xpv_net_address *addresses, unsigned int count,
					   const xpv_net_address &one);

	xpv_net_address addresses_[XPV_NET_FILTER_MAX]; /* that the backend was told */
	unsigned int count_ = 0;
};

} // namespace xpv
