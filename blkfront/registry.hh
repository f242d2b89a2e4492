/* SPDX-License-Identifier: GPL-2.0-only */
/* The list of all vbds, used only for the table in debugfs. */
#pragma once

#include "blkfront/vbd.hh"

namespace xpv {

/* Add a vbd to the list, and remove it. Sleeping context. */
void registry_add(xpv_vbd &vbd);
void registry_remove(xpv_vbd &vbd);

} // namespace xpv
