/* SPDX-License-Identifier: GPL-2.0-only */
/* The Linux side of blkfront (blkfront/linux.h) for the host tests: disks, each stopped, started and removed as Linux's. */
#pragma once

#include <map>
#include <vector>

#include "blkfront/linux.h"

struct xpv_disk {
	xpv_disk_parameters parameters;
	xpv_vbd *vbd;
	std::vector<xpv_block_queue *> queues;
	std::vector<xpv_block_request *> requeued; /* while the disk is stopped */
	bool added = false, stopping = false, stopped = false, retiring = false, retired = false;
	uint64_t resized = 0;
	bool read_only = false;
};

namespace fake {

/* Those that there are; and the last of them, or NULL. */
extern std::vector<xpv_disk *> disks;
xpv_disk *the_disk();
/* What xpv_disk_create() returns. */
extern int disk_error;
/* How often a stop of disks was waited for. */
extern unsigned int grace_periods;
/* The errors with which each request has ended. */
extern std::map<xpv_block_request *, std::vector<int>> ended;

} // namespace fake
