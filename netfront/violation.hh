/* SPDX-License-Identifier: GPL-2.0-only */
/* What both rings of a queue use. */
#pragma once

#include <cstdint>

#include "lib/xen.hh"

#include <xen/io/netif.h>

namespace xpv {

static_assert(sizeof(netif_tx_request) == 12);
static_assert(sizeof(netif_tx_response) == 4);
static_assert(sizeof(netif_rx_request) == 8);
static_assert(sizeof(netif_rx_response) == 8);
static_assert(sizeof(netif_extra_info) == 8);

/* A protocol violation by the backend; `what` is null if there was no violation. */
struct Violation {
	const char *what = nullptr;
	uint64_t number = 0;

	explicit operator bool() const { return what != nullptr; }
};

} // namespace xpv
