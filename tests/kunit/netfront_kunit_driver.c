// SPDX-License-Identifier: GPL-2.0-only
/* The copy of the files under test, with the names that netfront_kunit.h gives them. */

#include "netfront_kunit.h"

#include "netfront/ethtool_linux.c"
#include "netfront/netdev_linux.c"
#include "netfront/rss_linux.c"
#include "netfront/rx_linux.c"
#include "netfront/tx_linux.c"
#include "netfront/xdp_linux.c"
#include "netfront/xdp_tx_linux.c"
