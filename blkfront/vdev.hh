/* SPDX-License-Identifier: GPL-2.0-only */
/* The virtual device number of a vbd (Xen: docs/man/xen-vbd-interface.7) as Linux's name and minors. */
#pragma once

#include "blkfront/linux.h"
#include "lib/result.hh"

namespace xpv {

struct DiskIdentity {
	char name[XPV_DISK_NAME_SIZE];
	unsigned int first_minor;
	/* All that belong to the disk: 1 when the number names a partition. */
	unsigned int minors;
};

/* ENODEV for a number that means no disk. */
[[nodiscard]] Result<DiskIdentity> identify(uint64_t vdev);

} // namespace xpv
