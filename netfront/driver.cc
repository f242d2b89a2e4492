// SPDX-License-Identifier: GPL-2.0-only
/* The frontend driver's table for the bus. */
#include "netfront/features.hh"
#include "netfront/linux.h"
#include "netfront/vif.hh"
#include "xenbus/frontend_driver.hh"

constinit const xpv_frontend_driver xpv_vif_driver = xpv::FrontendDriver<xpv_vif>::table("vif", xpv::link_keys);
