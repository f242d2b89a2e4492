/* SPDX-License-Identifier: GPL-2.0-only */
/* The list of all vifs that have a network interface, used only for the table in debugfs. */
#pragma once

#include "netfront/vif.hh"

namespace xpv {

/* Add a vif to the list, and remove it. Sleeping context. */
void registry_add(xpv_vif &vif);
void registry_remove(xpv_vif &vif);

} // namespace xpv
