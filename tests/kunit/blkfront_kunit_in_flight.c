// SPDX-License-Identifier: GPL-2.0-only
/* Requests in flight end once: failed at the removal of a disk, or done again by another backend. */

#include "blkfront_kunit.h"

#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

/* Whoever submits more than the ring takes sleeps in there. */
struct submitter {
	struct block_device *bdev;
	struct waiting_bio *waiting;
	struct page **pages;
	unsigned int count;
};

static int submitter_thread(void *argument)
{
	struct submitter *submitter = argument;
	unsigned int i;

	for (i = 0; i < submitter->count; i++)
		submit_waiting(submitter->bdev, &submitter->waiting[i], i * 48, submitter->pages[i]);
	while (!kthread_should_stop())
		schedule_timeout_idle(1);
	return 0;
}

static struct task_struct *submit_in_a_thread(struct kunit *test, struct block_device *bdev,
					      struct waiting_bio *waiting, struct page **pages, unsigned int count)
{
	struct submitter *submitter = kunit_kzalloc(test, sizeof(*submitter), GFP_KERNEL);
	struct task_struct *task;

	KUNIT_ASSERT_NOT_NULL(test, submitter);
	*submitter = (struct submitter){ bdev, waiting, pages, count };
	task = kthread_run(submitter_thread, submitter, "submitter");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	return task;
}

/*
 * What every case ends in: the backend answers nothing, and the device is
 * removed with a full ring and more requests above it. A driver that leaves a
 * request hangs its task, and one that ends it twice completes what Linux may
 * have reused. Each must end with EIO, once, also those that come when the disk
 * is gone.
 */
void requests_in_flight_fail_once_at_removal(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
	/* More than the ring holds: some wait above it. */
	const unsigned int count = DEPTH + 8;
	struct waiting_bio *waiting = kunit_kcalloc(test, count, sizeof(*waiting), GFP_KERNEL);
	struct page *pages[DEPTH + 8];
	struct gendisk *gendisk = vbd->disk->gendisk;
	struct task_struct *submitter;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, waiting);
	alloc_pages_or_fail(test, pages, count);
	vbd->hold = true;
	for (i = 0; i < count; i++)
		init_completion(&waiting[i].done);
	/* It goes on submitting to a disk that is gone, as an opener may. */
	get_device(disk_to_dev(gendisk));
	submitter = submit_in_a_thread(test, gendisk->part0, waiting, pages, count);
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, DEPTH));
	disconnect(vbd);
	kthread_stop(submitter);
	put_device(disk_to_dev(gendisk));
	for (i = 0; i < count; i++) {
		KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&waiting[i].done, 5 * HZ));
		KUNIT_EXPECT_EQ(test, -EIO, blk_status_to_errno(waiting[i].status));
		KUNIT_EXPECT_EQ(test, 1u, waiting[i].ends);
	}
	free_pages_of(pages, count);
}

/* A restore: what was in flight, flushes among it, is done again by another backend, and ends once. */
void requests_in_flight_are_done_again(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
	const unsigned int count = DEPTH + 8;
	struct waiting_bio *waiting = kunit_kcalloc(test, count, sizeof(*waiting), GFP_KERNEL);
	struct gendisk *gendisk = vbd->disk->gendisk;
	struct waiting_bio flush = {};
	struct task_struct *submitter;
	struct page *pages[DEPTH + 8];
	struct bio *bio;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, waiting);
	alloc_pages_or_fail(test, pages, count);
	memset(vbd->data, 0x11, DISK_SECTORS * SECTOR_SIZE);
	vbd->hold = true;
	for (i = 0; i < count; i++)
		init_completion(&waiting[i].done);
	init_completion(&flush.done);
	bio = bio_alloc(gendisk->part0, 0, REQ_OP_WRITE | REQ_PREFLUSH, GFP_KERNEL);
	bio->bi_private = &flush;
	bio->bi_end_io = waiting_bio_end;
	submit_bio(bio);
	submitter = submit_in_a_thread(test, gendisk->part0, waiting, pages, count);
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, DEPTH));

	xpv_disk_begin_stop(vbd->disk);
	xpv_disk_wait_stopped(vbd->disk);
	xpv_disk_requeue(vbd->disk, take_held(vbd, 0));
	/* The other backend's data. */
	memset(vbd->data, 0x22, DISK_SECTORS * SECTOR_SIZE);
	vbd->requests = vbd->flushes = 0;
	vbd->hold = false;
	msleep(50);
	KUNIT_EXPECT_EQ(test, 0u, vbd->requests);
	xpv_disk_start(vbd->disk);

	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&flush.done, 5 * HZ));
	KUNIT_EXPECT_EQ(test, 0, blk_status_to_errno(flush.status));
	KUNIT_EXPECT_EQ(test, 1u, vbd->flushes);
	for (i = 0; i < count; i++) {
		KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&waiting[i].done, 5 * HZ));
		KUNIT_EXPECT_EQ(test, 0, blk_status_to_errno(waiting[i].status));
		KUNIT_EXPECT_EQ(test, 1u, waiting[i].ends);
		KUNIT_EXPECT_NULL(test, memchr_inv(page_address(pages[i]), 0x22, PAGE_SIZE));
	}
	kthread_stop(submitter);
	free_pages_of(pages, count);
	disconnect(vbd);
}
