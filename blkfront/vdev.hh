/* SPDX-License-Identifier: GPL-2.0-only */
/* Maps a vbd's virtual device number (Xen: docs/man/xen-vbd-interface.7) to Linux's name and minors. */
#pragma once

#include "blkfront/linux.h"
#include "lib/result.hh"

namespace xpv {

struct DiskIdentity {
	char name[XPV_DISK_NAME_SIZE];
	unsigned int first_minor;
	/* Number of minors of the disk: 1 if the virtual device number names a partition. */
	unsigned int minors;
};

/* Return the name and minors of a virtual device number. ENODEV if it is not a disk's. */
[[nodiscard]] Result<DiskIdentity> identify(uint64_t vdev);

} // namespace xpv
