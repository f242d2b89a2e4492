/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the files of the suite: a disk over a ring that is only memory, and the cases that blkfront_kunit.c lists. */
#ifndef XPV_BLKFRONT_KUNIT_H
#define XPV_BLKFRONT_KUNIT_H

/* The suite has a copy of its own of the files under test, with itself as the ring. */
#define xpv_block_submit kunit_block_submit
#define xpv_block_commit kunit_block_commit
#define xpv_block_poll kunit_block_poll
#define xpv_vbd_add_failed kunit_vbd_add_failed
#define xpv_vbd_retired kunit_vbd_retired
#define xpv_disk_create kunit_disk_create
#define xpv_disk_add kunit_disk_add
#define xpv_disk_retire kunit_disk_retire
#define xpv_disk_begin_stop kunit_disk_begin_stop
#define xpv_disk_wait_stopped kunit_disk_wait_stopped
#define xpv_disk_start kunit_disk_start
#define xpv_disk_resize kunit_disk_resize
#define xpv_disk_set_read_only kunit_disk_set_read_only
#define xpv_disk_requeue kunit_disk_requeue
#define xpv_disk_remove kunit_disk_remove
#define xpv_disk_complete kunit_disk_complete
#define disk_mq_ops kunit_disk_mq_ops
#define disk_request_size kunit_disk_request_size

#include <kunit/test.h>
#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/completion.h>
#include <linux/spinlock.h>
#include <linux/version.h>

#include "blkfront/disk.h"

#define DISK_SECTORS 2048
#define DEPTH 32
#define SEGMENTS 32

struct xpv_block_queue {
	struct xpv_vbd *vbd;
};

struct xpv_vbd {
	struct kunit *test;
	u8 *data;
	struct xpv_disk *disk;
	struct xpv_block_queue queue;

	spinlock_t lock;
	bool hold; /* requests stay in flight */
	bool dead;
	unsigned int busy; /* so many are to be submitted again */
	struct xpv_block_request *held[DEPTH];
	unsigned int held_count;

	unsigned int requests, refused, pushes, flushes, write_throughs, segments;
	struct xpv_pfn last_frame;
	int add_error;
	struct completion retired;
};

/* Return the requests in flight, linked as a connection that ends gives them back. */
struct xpv_block_request *take_held(struct xpv_vbd *vbd, int error);
/* Wait until so many requests are in flight. */
bool held_becomes(struct xpv_vbd *vbd, unsigned int count);

/* ---- A disk for each test ---- */

extern const struct xpv_disk_parameters plain;

int create_disk(struct xpv_vbd *vbd, const struct xpv_disk_parameters *given, struct xpv_disk **disk);
struct xpv_vbd *create(struct kunit *test, const struct xpv_disk_parameters *parameters);
/* Create and add a disk, and clear the counts of what that cost. */
struct xpv_vbd *create_and_add(struct kunit *test, const struct xpv_disk_parameters *parameters);
/* Fail all requests and remove the disk, as the frontend does at the end of a device. */
void disconnect(struct xpv_vbd *vbd);

/* ---- Requests ---- */

/* Make a bio of `count` pages, each used from `offset` on for `length` bytes. */
struct bio *make_bio(struct block_device *bdev, blk_opf_t operation, sector_t sector, struct page **pages,
		     unsigned int count, unsigned int offset, unsigned int length);
int transfer_pages(struct xpv_vbd *vbd, blk_opf_t operation, sector_t sector, struct page **pages, unsigned int count,
		   unsigned int offset, unsigned int length);
void alloc_pages_or_fail(struct kunit *test, struct page **pages, unsigned int count);
void free_pages_of(struct page **pages, unsigned int count);

struct waiting_bio {
	struct completion done;
	blk_status_t status;
	unsigned int ends;
};

void waiting_bio_end(struct bio *bio);
/* Submit a read of one page; `waiting` is completed at its end. */
void submit_waiting(struct block_device *bdev, struct waiting_bio *waiting, sector_t sector, struct page *page);

/* ---- blkfront_kunit_requests.c ---- */

void queue_has_the_limits_of_the_protocol(struct kunit *test);
void read_only_large_blocks(struct kunit *test);
void data_comes_back_as_written(struct kunit *test);
void pieces_of_one_page_are_one_segment(struct kunit *test);
void slab_memory_is_not_shared(struct kunit *test);
void flushes_reach_the_ring(struct kunit *test);
void busy_ring_is_tried_again(struct kunit *test);
void batch_is_pushed_once(struct kunit *test);

/* ---- blkfront_kunit_in_flight.c ---- */

void requests_in_flight_fail_once_at_removal(struct kunit *test);
void requests_in_flight_are_done_again(struct kunit *test);

/* ---- blkfront_kunit_lifetime.c ---- */

void silent_backend_can_be_removed(struct kunit *test);
void disk_never_added_can_be_removed(struct kunit *test);
void same_minors_are_refused(struct kunit *test);
void resize_is_seen(struct kunit *test);
void retire_waits_for_the_add(struct kunit *test);
void scan_survives_a_lost_connection(struct kunit *test);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
void retire_writes_back(struct kunit *test);
void dead_disk_does_not_write_back(struct kunit *test);
void retire_ends_when_requests_fail(struct kunit *test);
void opener_outlives_the_disk(struct kunit *test);
#endif

#endif
