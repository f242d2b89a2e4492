/* SPDX-License-Identifier: GPL-2.0-only */
/* The grant table of the Xen in a box, and the other domains' grants to us. Between the fake's own files. */
#pragma once

#include "lib/types.h"

namespace xpv {

/* As a new domain has it; the second leaves other domains' pages, though mapped no more, where they are. */
void fake_grants_reset();
void fake_grants_restore();
/* XENMEM_add_to_physmap in XENMAPSPACE_grant_table, and the way back. */
[[nodiscard]] long fake_grants_add_frame(unsigned long index, void *memory);
void fake_grants_remove_frame(const void *memory);
[[nodiscard]] long fake_grant_table_op(unsigned int command, unsigned long argument, unsigned int count);

} // namespace xpv
