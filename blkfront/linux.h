/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interface between the protocol (C++: vbd.cc and below) and the block layer (C:
 * disk_linux.c, request_linux.c). One call passes one request with all its
 * segments, or all requests that one event completed.
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
struct xpv_block_queue; /* in C++: one queue of a disk, with a ring during a connection */
struct xpv_vbd; /* in C++: a device, its disk and its connection */

enum xpv_block_operation {
	XPV_BLOCK_READ,
	XPV_BLOCK_WRITE,
	XPV_BLOCK_WRITE_THROUGH, /* REQ_FUA: on stable storage when it completes */
	XPV_BLOCK_FLUSH, /* no data */
};

/* A range of whole 512-byte sectors in one page; first and last are inclusive. */
struct xpv_block_segment {
	struct xpv_pfn frame;
	uint8_t first_sector;
	uint8_t last_sector;
};

/* In Linux's private part of each request, so it lives as long as the request. */
struct xpv_block_request {
	/* The request. Must not change between submit and completion. */
	enum xpv_block_operation operation;
	unsigned int segment_count;
	uint64_t sector; /* of 512 bytes, for any logical block size */
	struct xpv_block_segment *segments;
	/* Used by C++ until completion; then the next completed request, and 0 or a negative errno. */
	struct xpv_block_request *next;
	int error;
};

/* ---- C calls C++ ---- */

enum xpv_block_submit_result {
	XPV_BLOCK_QUEUED, /* xpv_disk_complete() will be called for it, or was already */
	XPV_BLOCK_DONE, /* complete: a flush with nothing to flush */
	XPV_BLOCK_BUSY, /* no free slot or grant reference: submit it again */
	XPV_BLOCK_DEAD, /* failed: the ring is closed, or this request can never be sent */
};

/*
 * Put a request into the queue's ring. The backend is notified after the `last`
 * request of a batch, or by xpv_block_commit(). Atomic context; must not be
 * called while the disk is stopped.
 */
enum xpv_block_submit_result xpv_block_submit(struct xpv_block_queue *queue, struct xpv_block_request *request, bool last);
/* End a batch without a `last` request. Contexts as xpv_block_submit(). */
void xpv_block_commit(struct xpv_block_queue *queue);
/* Poll for responses, in case an event was lost. Any context but NMI; also while the disk is stopped. */
void xpv_block_poll(struct xpv_block_queue *queue);
/* Report that the work item of xpv_disk_add() could not add the disk. Sleeping context. */
void xpv_vbd_add_failed(struct xpv_vbd *vbd, int error);
/* Report that the work item of xpv_disk_retire() has removed the disk from Linux. Sleeping context. */
void xpv_vbd_retired(struct xpv_vbd *vbd);

/* Initialise the list of vbds. Call before the driver is registered. Sleeping context. */
void xpv_vbds_start(void);
/* Print the table of all vbds. Sleeping context. */
void xpv_vbds_show(struct xpv_debug_sink *sink);

extern const struct xpv_frontend_driver xpv_vbd_driver;

/* ---- C++ calls C ---- */

#define XPV_DISK_NAME_SIZE 32

/*
 * The parameters of a new disk. Its queue limits never change: the ring emulates
 * what a later backend does not support. Every disk declares a write cache and FUA
 * to Linux.
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
 * Create a disk that is not visible to user space yet. -EBUSY if another disk
 * has its minors, -ENOMEM. Sleeping context.
 */
int xpv_disk_create(struct device *parent, const struct xpv_disk_parameters *parameters, struct xpv_vbd *vbd,
		    struct xpv_disk **disk);
/*
 * Add the disk, from a work item: adding reads the partition table, for which
 * the backend may take any time, and the caller must stay able to disconnect.
 * Call once for each disk. Any context.
 */
void xpv_disk_add(struct xpv_disk *disk);
/*
 * Remove a working disk from Linux. A work item waits for the end of
 * xpv_disk_add(), calls del_gendisk(), which writes back dirty data, and then
 * xpv_vbd_retired(). Call once for each disk. Any context.
 */
void xpv_disk_retire(struct xpv_disk *disk);
/*
 * Free the disk, and end a retire in progress. When this returns, the disk is
 * not visible to user space, and `vbd` and its queues are not used any more;
 * Linux frees what openers still hold when they close. A disk that was not
 * retired is marked dead first, and its dirty data is lost. The disk must not be
 * stopped; all submitted requests must have completed or be waiting in Linux,
 * and new ones must get XPV_BLOCK_DEAD. Sleeping context.
 */
void xpv_disk_remove(struct xpv_disk *disk);

/*
 * Begin to stop calls of xpv_block_submit() and xpv_block_commit(). Linux queues
 * requests until xpv_disk_start(). Calls may still be in progress when this
 * returns: see xpv_disk_wait_stopped(). Must not be nested. Any context.
 */
void xpv_disk_begin_stop(struct xpv_disk *disk);
/*
 * Wait until no call of xpv_block_submit() or xpv_block_commit() is in progress.
 * Disks that began to stop before the first call of this share one RCU grace
 * period. Sleeping context.
 */
void xpv_disk_wait_stopped(struct xpv_disk *disk);
/* Restart a stopped disk. Sleeping context. */
void xpv_disk_start(struct xpv_disk *disk);
/* Requeue requests (linked by `next`), to be submitted again after start. Only while stopped. Sleeping context. */
void xpv_disk_requeue(struct xpv_disk *disk, struct xpv_block_request *requests);
/* Set the capacity, in sectors of 512 bytes. Sleeping context. */
void xpv_disk_resize(struct xpv_disk *disk, uint64_t sectors);
/* Set the write permission. Sleeping context. */
void xpv_disk_set_read_only(struct xpv_disk *disk, bool read_only);
/* End requests (linked by `next`), each with its `error`. Any context but NMI. */
void xpv_disk_complete(struct xpv_block_request *requests);
/* Call before the first disk is created. -ENOMEM. Sleeping context. */
XPV_MUST_CHECK int xpv_disks_start(void);
/* Wait until Linux has released all disks. Call after the last disk was removed. Sleeping context. */
void xpv_disks_stop(void);

#ifdef __cplusplus
}
#endif

#endif
