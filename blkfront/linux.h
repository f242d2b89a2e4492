/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the protocol (C++: vbd.cc and below) and the block layer (C:
 * disk_linux.c, request_linux.c) meet. One call hands over one request with all
 * its segments, or all requests that one event completed.
 */
#ifndef XPV_BLKFRONT_LINUX_H
#define XPV_BLKFRONT_LINUX_H

#include "hypervisor/suspend_part.h"
#include "lib/debugfs.h"
#include "lib/types.h"
#include "xenbus/xenbus.h"

#ifdef __cplusplus
extern "C" {
#endif

struct device; /* Linux's */
struct xpv_disk; /* in C: a gendisk and its queues */
struct xpv_block_queue; /* in C++: one queue of a disk, with its ring while there is a connection */
struct xpv_vbd; /* in C++: a device, its disk and its connection */

enum xpv_block_operation {
	XPV_BLOCK_READ,
	XPV_BLOCK_WRITE,
	XPV_BLOCK_WRITE_THROUGH, /* REQ_FUA: on stable storage when it completes */
	XPV_BLOCK_FLUSH, /* no data */
};

/* A run of whole 512-byte sectors in one page, first and last one included. */
struct xpv_block_segment {
	struct xpv_pfn frame;
	uint8_t first_sector;
	uint8_t last_sector;
};

/* In Linux's private part of each request, so it lives as long as the request. */
struct xpv_block_request {
	/* What is asked for. Stays as it is from submit to completion. */
	enum xpv_block_operation operation;
	unsigned int segment_count;
	uint64_t sector; /* of 512 bytes, whatever the logical block size */
	struct xpv_block_segment *segments;
	/* C++'s from submit to completion; then the next one that completed, and 0 or a negative errno. */
	struct xpv_block_request *next;
	int error;
};

/* ---- C calls C++ ---- */

enum xpv_block_submitted {
	XPV_BLOCK_QUEUED, /* xpv_disk_complete() will be called with it, or has been */
	XPV_BLOCK_DONE, /* nothing had to be done */
	XPV_BLOCK_BUSY, /* no slot or no grant references: submit it again */
	XPV_BLOCK_DEAD, /* there is no backend, and none will come */
};

/*
 * Put a request into the queue's ring. The backend gets an event after the
 * `last` of a batch, or by commit. Atomic context; not while the disk is stopped.
 */
enum xpv_block_submitted xpv_block_submit(struct xpv_block_queue *queue, struct xpv_block_request *request, bool last);
void xpv_block_commit(struct xpv_block_queue *queue);
/* Take responses as if an event had come, in case one was lost. Any context but NMI; also while the disk is stopped. */
void xpv_block_poll(struct xpv_block_queue *queue);
/* The work item of xpv_disk_add() could not add the disk. Sleeping context. */
void xpv_vbd_add_failed(struct xpv_vbd *vbd, int error);
/* The work item of xpv_disk_retire() has removed the disk from Linux. Sleeping context. */
void xpv_vbd_retired(struct xpv_vbd *vbd);

/* Before the driver is registered. Sleeping context. */
void xpv_vbds_start(void);
/* The table of all vbds. Sleeping context. */
void xpv_vbds_show(struct xpv_debug_sink *sink);

extern const struct xpv_frontend_driver xpv_vbd_driver;

/* ---- C++ calls C ---- */

#define XPV_DISK_NAME_SIZE 32

/*
 * What a disk is made with. The limits of its queues are chosen once and stay:
 * what a later backend does not offer is emulated by the ring. Every disk has a
 * write cache and FUA for Linux.
 */
struct xpv_disk_parameters {
	char name[XPV_DISK_NAME_SIZE];
	unsigned int first_minor;
	unsigned int minors;

	struct xpv_block_queue *const *queues; /* copied */
	unsigned int queue_count;
	unsigned int queue_depth; /* requests, of each queue */
	unsigned int max_segments; /* of a request, each within one page */

	uint64_t sectors; /* of 512 bytes */
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	bool read_only;
	bool removable;
};

/*
 * Make a disk that does not exist for user space yet. -EBUSY when another disk
 * has its minors, -ENOMEM. Sleeping context.
 */
int xpv_disk_create(struct device *parent, const struct xpv_disk_parameters *parameters, struct xpv_vbd *vbd,
		    struct xpv_disk **disk);
/*
 * Add the disk from a work item: adding reads the partition table, which takes
 * as long as the backend likes, and the caller must stay able to disconnect.
 * Once for each disk. Any context.
 */
void xpv_disk_add(struct xpv_disk *disk);
/*
 * Remove the disk from Linux while it works: from a work item, del_gendisk(),
 * which writes back what is dirty, and then xpv_vbd_retired(). Waits there for
 * the end of xpv_disk_add(). Once for each disk. Any context.
 */
void xpv_disk_retire(struct xpv_disk *disk);
/*
 * Free the disk. It is no longer there for user space, and nothing of `vbd` or of
 * its queues is used any more when this returns; what openers still hold is
 * freed by Linux when they close. A disk that was not retired is marked dead
 * first: what is dirty is lost. The disk must run, all requests submitted before
 * must have completed or be waiting in Linux, and XPV_BLOCK_DEAD must be the
 * answer to new ones. Sleeping context; ends a retire that is under way.
 */
void xpv_disk_remove(struct xpv_disk *disk);

/*
 * Stop calls of xpv_block_submit() and xpv_block_commit(), until start; what
 * Linux has to do meanwhile waits. Only begun by begin_stop(): when
 * wait_stopped() has returned, none is under way. Disks that began to stop
 * before the first call of wait_stopped() share a grace period of RCU. Not
 * nested. begin_stop(): any context; the others: sleeping context.
 */
void xpv_disk_begin_stop(struct xpv_disk *disk);
void xpv_disk_wait_stopped(struct xpv_disk *disk);
void xpv_disk_start(struct xpv_disk *disk);
/* While stopped: submit these requests (linked by `next`) again after start. Sleeping context. */
void xpv_disk_requeue(struct xpv_disk *disk, struct xpv_block_request *requests);
/* The capacity or the permission to write changed. Sleeping context. */
void xpv_disk_resize(struct xpv_disk *disk, uint64_t sectors);
void xpv_disk_set_read_only(struct xpv_disk *disk, bool read_only);
/* End requests (linked by `next`), each with its `error`. Any context but NMI. */
void xpv_disk_complete(struct xpv_block_request *requests);
/*
 * Around the use of all disks. start(): -ENOMEM. stop() waits until Linux has
 * released all disks. Sleeping context.
 */
XPV_MUST_CHECK int xpv_disks_start(void);
void xpv_disks_stop(void);

#ifdef __cplusplus
}
#endif

#endif
