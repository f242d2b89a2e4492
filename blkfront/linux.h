/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the protocol (C++: vbd.cc and below) and the block layer (C:
 * disk_linux.c) meet. One call does one request with all its segments, or all
 * completions of one event.
 */
#ifndef XPV_BLKFRONT_LINUX_H
#define XPV_BLKFRONT_LINUX_H

#include "hypervisor/suspend_part.h"
#include "lib/types.h"
#include "xenbus/xenbus.h"

#ifdef __cplusplus
extern "C" {
#endif

struct device; /* Linux's */
struct request; /* Linux's */
struct xpv_disk; /* in C: a gendisk and its queue */
struct xpv_vbd; /* in C++: a device with its ring */

enum xpv_block_operation {
	XPV_BLOCK_READ,
	XPV_BLOCK_WRITE,
	XPV_BLOCK_WRITE_THROUGH, /* REQ_FUA: on stable storage when it completes */
	XPV_BLOCK_FLUSH, /* no data */
};

/* What fits one slot of the ring (blkif.h: BLKIF_MAX_SEGMENTS_PER_REQUEST). */
#define XPV_BLOCK_SEGMENTS 11

/* Each a run of whole 512-byte sectors in one page, first and last one included. */
struct xpv_block_segments {
	unsigned int count;
	struct xpv_pfn frames[XPV_BLOCK_SEGMENTS];
	uint8_t first_sector[XPV_BLOCK_SEGMENTS];
	uint8_t last_sector[XPV_BLOCK_SEGMENTS];
};

struct xpv_block_completion {
	struct request *request;
	int error; /* 0 or a negative errno */
};

/* ---- In C++ ---- */

enum xpv_block_submitted {
	XPV_BLOCK_QUEUED, /* xpv_disk_complete() will be called with it, maybe it has been */
	XPV_BLOCK_DONE, /* nothing had to be done */
	XPV_BLOCK_BUSY, /* no slot or no grant references: try again */
	XPV_BLOCK_DEAD, /* never will be */
};

/*
 * Put a request into the ring; `sector` in units of 512 bytes. The other end
 * is told at the `last` of a batch, or by commit. Atomic context.
 */
enum xpv_block_submitted xpv_vbd_submit(struct xpv_vbd *vbd, struct request *request,
					enum xpv_block_operation operation, uint64_t sector,
					const struct xpv_block_segments *segments, bool last);
void xpv_vbd_commit(struct xpv_vbd *vbd);
/* Look for responses as if an event had come, in case one was lost. Any context but NMI. */
void xpv_vbd_poll(struct xpv_vbd *vbd);
/* The disk could not be added after all. Sleeping context. */
void xpv_vbd_add_failed(struct xpv_vbd *vbd, int error);

/* Around everything else. Sleeping context. */
int xpv_vbds_start(void);
void xpv_vbds_stop(void);
/* What this module does in a suspend; registered between the two above. */
extern struct xpv_suspend_part xpv_vbds_suspend_part;
struct xpv_vbd_state {
	const char *name, *path;
	uint64_t sectors;
	unsigned int in_flight; /* requests */
	bool connected;
};
struct xpv_vbd_viewer;
/* Sleeping context. */
void xpv_vbds_each(void (*look)(struct xpv_vbd_viewer *viewer, const struct xpv_vbd_state *state),
		   struct xpv_vbd_viewer *viewer);

/* The driver's keys and functions, see xenbus.h. */
extern const char *const xpv_vbd_backend_keys[];
int xpv_vbd_probe(struct xpv_device *device);
int xpv_vbd_negotiate(struct xpv_device *device);
int xpv_vbd_connect(struct xpv_device *device);
void xpv_vbd_backend_changed(struct xpv_device *device);
void xpv_vbd_disconnect(struct xpv_device *device);
void xpv_vbd_connection_lost(struct xpv_device *device);
void xpv_vbd_remove(struct xpv_device *device);

/* ---- In C ---- */

#define XPV_DISK_NAME_SIZE 32

struct xpv_disk_shape {
	char name[XPV_DISK_NAME_SIZE];
	unsigned int first_minor;
	unsigned int minors;

	uint64_t sectors; /* of 512 bytes */
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int queue_depth;
	bool write_cache; /* XPV_BLOCK_FLUSH works */
	bool write_through; /* XPV_BLOCK_WRITE_THROUGH works */
	bool read_only;
	bool removable;
};

/*
 * A disk that does not exist for user space yet. -EBUSY when another disk has
 * its minors. Sleeping context.
 */
int xpv_disk_create(struct device *parent, const struct xpv_disk_shape *shape, struct xpv_vbd *vbd,
		    struct xpv_disk **disk);
/*
 * Add it, soon, from a work item: that reads the partition table, which takes
 * as long as the other end likes, and whoever calls this must stay able to
 * disconnect. Any context.
 */
void xpv_disk_add(struct xpv_disk *disk);
/*
 * When xpv_disks_wait_stopped() returns, no xpv_vbd_submit() or
 * xpv_vbd_commit() runs for any disk of which the stop was begun before, until
 * the call of start; what Linux has to do meanwhile waits. Sleeping context.
 */
void xpv_disk_begin_stop(struct xpv_disk *disk);
void xpv_disks_wait_stopped(void);
void xpv_disk_start(struct xpv_disk *disk);
/* While stopped: requests that did not end are to be submitted again, after start. Sleeping context. */
void xpv_disk_requeue(struct xpv_disk *disk, const struct xpv_block_completion *unfinished, unsigned int count);
/* While stopped: as in xpv_disk_shape, of another backend. Sleeping context. */
void xpv_disk_set_cache(struct xpv_disk *disk, bool write_cache, bool write_through);
/* The size changed. Sleeping context. */
void xpv_disk_resize(struct xpv_disk *disk, uint64_t sectors);
/*
 * The disk is gone for user space, and nothing of `vbd` is used any more when
 * this returns; what openers still hold is freed by Linux when they close.
 * All requests submitted before must complete, and XPV_BLOCK_DEAD must be the
 * answer to new ones. Sleeping context.
 */
void xpv_disk_remove(struct xpv_disk *disk);
/* Once no driver makes disks any more: none is left, whoever had it open. Sleeping context. */
void xpv_disks_wait_released(void);
/* Requests have ended. Any context but NMI. */
void xpv_disk_complete(const struct xpv_block_completion *completions, unsigned int count);

#ifdef __cplusplus
}
#endif

#endif
