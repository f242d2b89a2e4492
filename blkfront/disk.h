/* SPDX-License-Identifier: GPL-2.0-only */
/* Internal interface between disk_linux.c and request_linux.c. */
#ifndef XPV_BLKFRONT_DISK_H
#define XPV_BLKFRONT_DISK_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/workqueue.h>

#include "blkfront/linux.h"

/*
 * A disk; opaque to C++. Requests find it through queuedata. The gendisk has no
 * pointer to it, because openers may keep the gendisk for longer.
 */
struct xpv_disk {
	struct gendisk *gendisk;
	struct blk_mq_tag_set tags;
	struct device *parent;
	struct xpv_vbd *vbd;
	struct work_struct add_work;
	struct work_struct retire_work;
	/* Written by the work items; read after they have ended. */
	bool added;
	bool deleted;
	unsigned long stop_cookie; /* RCU grace period that begins after the stop */
	bool requeued; /* xpv_disk_requeue() was called since the last start */

	unsigned int max_segments;
	mempool_t *bounce_pages;

	struct list_head link; /* in disks */
	unsigned int first_minor;
	unsigned int minors;

	unsigned int queue_count;
	struct xpv_block_queue *queues[]; /* by hardware queue */
};

/* Linux's private part of each request. */
struct disk_request {
	blk_status_t status;
	unsigned int bounced; /* number of bounce[] entries that are set */
	struct xpv_block_request block;
	struct page **bounce; /* by segment; stored after segments[] */
	struct xpv_block_segment segments[];
};

/* Return the size of a disk_request with both of its arrays, in bytes. */
size_t disk_request_size(unsigned int max_segments);
extern const struct blk_mq_ops disk_mq_ops;

#endif
