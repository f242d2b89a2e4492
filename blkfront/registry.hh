/* SPDX-License-Identifier: GPL-2.0-only */
/* All vbds, for the table in debugfs and nothing else. */
#pragma once

#include "blkfront/vbd.hh"

namespace xpv {

/* A vbd is in the table from add to remove. Sleeping context. */
void registry_add(xpv_vbd &vbd);
void registry_remove(xpv_vbd &vbd);

} // namespace xpv
