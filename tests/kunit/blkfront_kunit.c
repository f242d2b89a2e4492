// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disk as Linux sees it, over a ring that is only memory: requests are
 * done at once, or held, or refused, as a test likes. The protocol below has
 * its tests on the host.
 */

/* The suite has a copy of its own of the file under test, with itself as the ring. */
#define xpv_vbd_submit kunit_vbd_submit
#define xpv_vbd_commit kunit_vbd_commit
#define xpv_vbd_poll kunit_vbd_poll
#define xpv_vbd_add_failed kunit_vbd_add_failed
#define xpv_disk_create kunit_disk_create
#define xpv_disk_add kunit_disk_add
#define xpv_disk_begin_stop kunit_disk_begin_stop
#define xpv_disks_wait_stopped kunit_disks_wait_stopped
#define xpv_disk_start kunit_disk_start
#define xpv_disk_resize kunit_disk_resize
#define xpv_disk_requeue kunit_disk_requeue
#define xpv_disk_set_cache kunit_disk_set_cache
#define xpv_disk_remove kunit_disk_remove
#define xpv_disk_complete kunit_disk_complete
#include "blkfront/disk_linux.c"

#include <kunit/test.h>
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#define DISK_SECTORS 2048
#define SLOTS 32

struct xpv_vbd {
	struct kunit *test;
	u8 *data;
	struct xpv_disk *disk;

	spinlock_t lock;
	bool hold; /* requests stay in flight */
	bool dead;
	unsigned int busy; /* so many are told to come again */
	struct request *held[SLOTS];
	unsigned int held_count;

	unsigned int requests, pushes, flushes, write_throughs, segments;
	struct xpv_pfn last_frame;
	int add_error;
};

static void transfer(struct xpv_vbd *vbd, enum xpv_block_operation operation, u64 sector,
		     const struct xpv_block_segments *segments)
{
	unsigned int i;

	for (i = 0; i < segments->count; i++) {
		struct page *page = pfn_to_page(segments->frames[i].value);
		size_t offset = segments->first_sector[i] * SECTOR_SIZE;
		size_t length = (segments->last_sector[i] + 1) * SECTOR_SIZE - offset;

		if (operation == XPV_BLOCK_READ)
			memcpy_to_page(page, offset, vbd->data + sector * SECTOR_SIZE, length);
		else
			memcpy_from_page(vbd->data + sector * SECTOR_SIZE, page, offset, length);
		sector += length / SECTOR_SIZE;
		vbd->last_frame = segments->frames[i];
	}
	vbd->segments = max(vbd->segments, segments->count);
}

enum xpv_block_submitted xpv_vbd_submit(struct xpv_vbd *vbd, struct request *rq, enum xpv_block_operation operation,
					uint64_t sector, const struct xpv_block_segments *segments, bool last)
{
	struct xpv_block_completion completion = { .request = rq };
	unsigned long flags;

	spin_lock_irqsave(&vbd->lock, flags);
	if (vbd->dead) {
		spin_unlock_irqrestore(&vbd->lock, flags);
		return XPV_BLOCK_DEAD;
	}
	if (vbd->busy) {
		vbd->busy--;
		spin_unlock_irqrestore(&vbd->lock, flags);
		return XPV_BLOCK_BUSY;
	}
	vbd->requests++;
	vbd->pushes += last;
	vbd->flushes += operation == XPV_BLOCK_FLUSH;
	vbd->write_throughs += operation == XPV_BLOCK_WRITE_THROUGH;
	transfer(vbd, operation, sector, segments);
	if (vbd->hold) {
		vbd->held[vbd->held_count++] = rq;
		spin_unlock_irqrestore(&vbd->lock, flags);
		return XPV_BLOCK_QUEUED;
	}
	spin_unlock_irqrestore(&vbd->lock, flags);
	xpv_disk_complete(&completion, 1);
	return XPV_BLOCK_QUEUED;
}

void xpv_vbd_commit(struct xpv_vbd *vbd)
{
	vbd->pushes++;
}

void xpv_vbd_poll(struct xpv_vbd *vbd)
{
}

void xpv_vbd_add_failed(struct xpv_vbd *vbd, int error)
{
	vbd->add_error = error;
}

/* ---- A disk for each test ---- */

static const struct xpv_disk_shape plain_shape = {
	.name = "xvdz",
	.first_minor = 400,
	.minors = 16,
	.sectors = DISK_SECTORS,
	.logical_block_size = 512,
	.physical_block_size = 4096,
	.queue_depth = SLOTS,
	.write_cache = true,
};

static struct xpv_vbd *create(struct kunit *test, const struct xpv_disk_shape *shape)
{
	struct xpv_vbd *vbd = kunit_kzalloc(test, sizeof(*vbd), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vbd);
	vbd->test = test;
	spin_lock_init(&vbd->lock);
	vbd->data = vzalloc(DISK_SECTORS * SECTOR_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, vbd->data);
	KUNIT_ASSERT_EQ(test, 0, xpv_disk_create(NULL, shape, vbd, &vbd->disk));
	return vbd;
}

static struct xpv_vbd *create_and_add(struct kunit *test, const struct xpv_disk_shape *shape)
{
	struct xpv_vbd *vbd = create(test, shape);

	xpv_disk_add(vbd->disk);
	flush_work(&vbd->disk->add_work);
	KUNIT_ASSERT_EQ(test, 0, vbd->add_error);
	vbd->requests = vbd->pushes = vbd->flushes = vbd->segments = 0;
	return vbd;
}

/* As the frontend does it when the backend goes. */
static void disconnect(struct xpv_vbd *vbd)
{
	struct xpv_block_completion completions[SLOTS];
	unsigned long flags;
	unsigned int i, count;

	spin_lock_irqsave(&vbd->lock, flags);
	vbd->dead = true;
	spin_unlock_irqrestore(&vbd->lock, flags);
	xpv_disk_begin_stop(vbd->disk);
	xpv_disks_wait_stopped();
	count = vbd->held_count;
	for (i = 0; i < count; i++)
		completions[i] = (struct xpv_block_completion){ vbd->held[i], -EIO };
	vbd->held_count = 0;
	xpv_disk_complete(completions, count);
	xpv_disk_start(vbd->disk);
	xpv_disk_remove(vbd->disk);
	vfree(vbd->data);
}

static unsigned int held_count(struct xpv_vbd *vbd)
{
	return READ_ONCE(vbd->held_count);
}

static bool held_becomes(struct xpv_vbd *vbd, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < 500 && held_count(vbd) < count; i++)
		msleep(10);
	return held_count(vbd) >= count;
}

/* `pages` pages of a fresh bio, each used from `offset` on for `length` bytes. */
static struct bio *make_bio(struct block_device *bdev, blk_opf_t operation, sector_t sector, struct page **pages,
			    unsigned int count, unsigned int offset, unsigned int length)
{
	struct bio *bio = bio_alloc(bdev, count, operation, GFP_KERNEL);
	unsigned int i;

	bio->bi_iter.bi_sector = sector;
	for (i = 0; i < count; i++)
		__bio_add_page(bio, pages[i], length, offset);
	return bio;
}

static int transfer_pages(struct xpv_vbd *vbd, blk_opf_t operation, sector_t sector, struct page **pages,
			  unsigned int count, unsigned int offset, unsigned int length)
{
	struct bio *bio = make_bio(vbd->disk->gendisk->part0, operation, sector, pages, count, offset, length);
	int result = submit_bio_wait(bio);

	bio_put(bio);
	return result;
}

static void alloc_pages_or_fail(struct kunit *test, struct page **pages, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
}

static void free_pages_of(struct page **pages, unsigned int count)
{
	while (count--)
		__free_page(pages[count]);
}

/* ---- Cases ---- */

static void queue_has_the_limits_of_the_protocol(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);
	struct gendisk *gendisk = vbd->disk->gendisk;
	struct request_queue *queue = gendisk->queue;

	KUNIT_EXPECT_STREQ(test, "xvdz", gendisk->disk_name);
	KUNIT_EXPECT_EQ(test, MKDEV(XENVBD_MAJOR, 400), disk_devt(gendisk));
	KUNIT_EXPECT_EQ(test, DISK_SECTORS, (int)get_capacity(gendisk));
	KUNIT_EXPECT_EQ(test, 512u, queue_logical_block_size(queue));
	KUNIT_EXPECT_EQ(test, 4096u, queue_physical_block_size(queue));
	KUNIT_EXPECT_EQ(test, 11, (int)queue_max_segments(queue));
	KUNIT_EXPECT_EQ(test, 88u, queue_max_hw_sectors(queue));
	KUNIT_EXPECT_EQ(test, (unsigned int)PAGE_SIZE, queue_max_segment_size(queue));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE - 1, queue_segment_boundary(queue));
	KUNIT_EXPECT_EQ(test, 511, (int)queue_dma_alignment(queue));
	KUNIT_EXPECT_TRUE(test, bdev_nonrot(gendisk->part0));
	KUNIT_EXPECT_TRUE(test, bdev_write_cache(gendisk->part0));
	KUNIT_EXPECT_FALSE(test, bdev_fua(gendisk->part0));
	KUNIT_EXPECT_FALSE(test, get_disk_ro(gendisk));
	disconnect(vbd);
}

static void read_only_large_blocks(struct kunit *test)
{
	struct xpv_disk_shape shape = plain_shape;
	struct xpv_vbd *vbd;

	shape.logical_block_size = 4096;
	shape.read_only = true;
	shape.write_cache = false;
	vbd = create_and_add(test, &shape);
	KUNIT_EXPECT_EQ(test, 4096u, queue_logical_block_size(vbd->disk->gendisk->queue));
	KUNIT_EXPECT_TRUE(test, get_disk_ro(vbd->disk->gendisk));
	KUNIT_EXPECT_FALSE(test, bdev_write_cache(vbd->disk->gendisk->part0));
	disconnect(vbd);
}

static void data_comes_back_as_written(struct kunit *test)
{
	static const struct {
		unsigned int pages, offset, length;
	} shapes[] = { { 1, 0, 4096 }, { 1, 512, 512 }, { 16, 0, 4096 }, { 11, 1024, 1536 }, { 40, 0, 4096 } };
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);
	struct page *pages[40];
	unsigned int s, i;

	alloc_pages_or_fail(test, pages, 40);
	for (s = 0; s < ARRAY_SIZE(shapes); s++) {
		unsigned int count = shapes[s].pages, offset = shapes[s].offset, length = shapes[s].length;

		for (i = 0; i < count; i++)
			memset(page_address(pages[i]) + offset, 0x40 + s * 8 + i, length);
		KUNIT_EXPECT_EQ(test, 0, transfer_pages(vbd, REQ_OP_WRITE, 64, pages, count, offset, length));
		for (i = 0; i < count; i++) {
			KUNIT_EXPECT_NULL(test, memchr_inv(vbd->data + 64 * SECTOR_SIZE + i * length,
							   (u8)(0x40 + s * 8 + i), length));
			clear_page(page_address(pages[i]));
		}
		KUNIT_EXPECT_EQ(test, 0, transfer_pages(vbd, REQ_OP_READ, 64, pages, count, offset, length));
		for (i = 0; i < count; i++)
			KUNIT_EXPECT_NULL(test, memchr_inv(page_address(pages[i]) + offset, (u8)(0x40 + s * 8 + i),
							   length));
	}
	KUNIT_EXPECT_EQ(test, 11u, vbd->segments);
	free_pages_of(pages, 40);
	disconnect(vbd);
}

static void pieces_of_one_page_are_one_segment(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);
	struct bio *bio = bio_alloc(vbd->disk->gendisk->part0, 8, REQ_OP_WRITE, GFP_KERNEL);
	struct page *page;
	unsigned int i;

	alloc_pages_or_fail(test, &page, 1);
	for (i = 0; i < 8; i++) {
		memset(page_address(page) + i * 512, i + 1, 512);
		__bio_add_page(bio, page, 512, i * 512);
	}
	KUNIT_EXPECT_EQ(test, 0, submit_bio_wait(bio));
	bio_put(bio);
	KUNIT_EXPECT_EQ(test, 1u, vbd->segments);
	KUNIT_EXPECT_EQ(test, 0, memcmp(vbd->data, page_address(page), PAGE_SIZE));
	__free_page(page);
	disconnect(vbd);
}

static void slab_memory_is_not_shared(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);
	u8 *object = kmalloc(512, GFP_KERNEL);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, object);
	page = virt_to_page(object);
	/* With debugging in the allocator, objects may lie anywhere. */
	if (!PageSlab(page) || offset_in_page(object) % 512) {
		kfree(object);
		disconnect(vbd);
		kunit_skip(test, "the allocator gives no aligned slab object");
	}
	memset(object, 0x5a, 512);
	KUNIT_EXPECT_EQ(test, 0, transfer_pages(vbd, REQ_OP_WRITE, 8, &page, 1, offset_in_page(object), 512));
	KUNIT_EXPECT_NE(test, page_to_pfn(page), (unsigned long)vbd->last_frame.value);
	KUNIT_EXPECT_NULL(test, memchr_inv(vbd->data + 8 * SECTOR_SIZE, 0x5a, 512));
	memset(vbd->data + 8 * SECTOR_SIZE, 0xa5, 512);
	KUNIT_EXPECT_EQ(test, 0, transfer_pages(vbd, REQ_OP_READ, 8, &page, 1, offset_in_page(object), 512));
	KUNIT_EXPECT_NE(test, page_to_pfn(page), (unsigned long)vbd->last_frame.value);
	KUNIT_EXPECT_NULL(test, memchr_inv(object, 0xa5, 512));
	kfree(object);
	disconnect(vbd);
}

static void flushes_reach_the_backend(struct kunit *test)
{
	struct xpv_disk_shape shape = plain_shape;
	struct xpv_vbd *vbd = create_and_add(test, &shape);
	struct page *page;

	alloc_pages_or_fail(test, &page, 1);
	KUNIT_EXPECT_EQ(test, 0, blkdev_issue_flush(vbd->disk->gendisk->part0));
	KUNIT_EXPECT_EQ(test, 1u, vbd->flushes);
	/* Without FUA of its own: a flush after the write. */
	KUNIT_EXPECT_EQ(test, 0, transfer_pages(vbd, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 0, &page, 1, 0, 4096));
	KUNIT_EXPECT_EQ(test, 3u, vbd->flushes);
	KUNIT_EXPECT_EQ(test, 0u, vbd->write_throughs);
	disconnect(vbd);

	shape.write_through = true;
	vbd = create_and_add(test, &shape);
	KUNIT_EXPECT_EQ(test, 0, transfer_pages(vbd, REQ_OP_WRITE | REQ_FUA, 0, &page, 1, 0, 4096));
	KUNIT_EXPECT_EQ(test, 0u, vbd->flushes);
	KUNIT_EXPECT_EQ(test, 1u, vbd->write_throughs);
	disconnect(vbd);
	__free_page(page);
}

static void busy_ring_is_tried_again(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);
	struct page *page;

	alloc_pages_or_fail(test, &page, 1);
	vbd->busy = 3;
	KUNIT_EXPECT_EQ(test, 0, transfer_pages(vbd, REQ_OP_WRITE, 0, &page, 1, 0, 4096));
	KUNIT_EXPECT_EQ(test, 0u, vbd->busy);
	__free_page(page);
	disconnect(vbd);
}

struct waiting_bio {
	struct completion done;
	blk_status_t status;
	unsigned int ends;
};

static void waiting_bio_end(struct bio *bio)
{
	struct waiting_bio *waiting = bio->bi_private;

	waiting->status = bio->bi_status;
	waiting->ends++;
	complete(&waiting->done);
	bio_put(bio);
}

static void submit_waiting(struct block_device *bdev, struct waiting_bio *waiting, sector_t sector, struct page *page)
{
	struct bio *bio = make_bio(bdev, REQ_OP_READ, sector, &page, 1, 0, 4096);

	bio->bi_private = waiting;
	bio->bi_end_io = waiting_bio_end;
	submit_bio(bio);
}

static void batch_is_pushed_once(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);
	struct waiting_bio *waiting = kunit_kcalloc(test, 8, sizeof(*waiting), GFP_KERNEL);
	struct page *pages[8];
	struct blk_plug plug;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, waiting);
	alloc_pages_or_fail(test, pages, 8);
	for (i = 0; i < 8; i++)
		init_completion(&waiting[i].done);
	blk_start_plug(&plug);
	for (i = 0; i < 8; i++)
		submit_waiting(vbd->disk->gendisk->part0, &waiting[i], i * 64, pages[i]);
	blk_finish_plug(&plug);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&waiting[i].done, 5 * HZ));
	KUNIT_EXPECT_EQ(test, 8u, vbd->requests);
	KUNIT_EXPECT_EQ(test, 1u, vbd->pushes);
	free_pages_of(pages, 8);
	disconnect(vbd);
}

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

static struct task_struct *submit_in_a_thread(struct kunit *test, struct block_device *bdev, struct waiting_bio *waiting,
					      struct page **pages, unsigned int count)
{
	struct submitter *submitter = kunit_kzalloc(test, sizeof(*submitter), GFP_KERNEL);
	struct task_struct *task;

	KUNIT_ASSERT_NOT_NULL(test, submitter);
	*submitter = (struct submitter){ bdev, waiting, pages, count };
	task = kthread_run(submitter_thread, submitter, "submitter");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	return task;
}

static void requests_in_flight_fail_once_at_removal(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);
	/* More than the ring holds: some wait above it. */
	const unsigned int count = SLOTS + 8;
	struct waiting_bio *waiting = kunit_kcalloc(test, count, sizeof(*waiting), GFP_KERNEL);
	struct page *pages[SLOTS + 8];
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
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, SLOTS));
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
static void requests_in_flight_are_done_again(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);
	struct xpv_block_completion unfinished[SLOTS];
	const unsigned int count = SLOTS + 8;
	struct waiting_bio *waiting = kunit_kcalloc(test, count, sizeof(*waiting), GFP_KERNEL);
	struct gendisk *gendisk = vbd->disk->gendisk;
	struct waiting_bio flush = {};
	struct task_struct *submitter;
	struct page *pages[SLOTS + 8];
	unsigned int i, held;
	struct bio *bio;

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
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, SLOTS));

	xpv_disk_begin_stop(vbd->disk);
	xpv_disks_wait_stopped();
	held = vbd->held_count;
	for (i = 0; i < held; i++)
		unfinished[i] = (struct xpv_block_completion){ vbd->held[i], 0 };
	vbd->held_count = 0;
	xpv_disk_requeue(vbd->disk, unfinished, held);
	xpv_disk_set_cache(vbd->disk, true, true);
	KUNIT_EXPECT_TRUE(test, bdev_fua(gendisk->part0));
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

/* The backend answers nothing, not even the partition scan. */
static void silent_backend_can_be_removed(struct kunit *test)
{
	struct xpv_vbd *vbd = create(test, &plain_shape);

	vbd->hold = true;
	xpv_disk_add(vbd->disk);
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, 1));
	disconnect(vbd);
}

static void disk_never_added_can_be_removed(struct kunit *test)
{
	disconnect(create(test, &plain_shape));
}

static void same_minors_are_refused(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);
	struct xpv_disk_shape shape = plain_shape;
	struct xpv_disk *second;

	shape.first_minor = 401;
	shape.minors = 1;
	KUNIT_EXPECT_EQ(test, -EBUSY, xpv_disk_create(NULL, &shape, vbd, &second));
	disconnect(vbd);
	/* And free again afterwards. */
	disconnect(create_and_add(test, &plain_shape));
}

static void resize_is_seen(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);

	xpv_disk_resize(vbd->disk, DISK_SECTORS / 2);
	KUNIT_EXPECT_EQ(test, DISK_SECTORS / 2, (int)get_capacity(vbd->disk->gendisk));
	disconnect(vbd);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
static void opener_outlives_the_disk(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain_shape);
	struct file *file = bdev_file_open_by_dev(disk_devt(vbd->disk->gendisk), BLK_OPEN_READ | BLK_OPEN_WRITE, NULL,
						  NULL);
	u8 byte;
	loff_t position = 0;

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	disconnect(vbd);
	KUNIT_EXPECT_LE(test, kernel_read(file, &byte, 1, &position), (ssize_t)0);
	/* The same name and minors come back while it is still open. */
	vbd = create_and_add(test, &plain_shape);
	disconnect(vbd);
	fput(file);
}
#endif

static struct kunit_case blkfront_cases[] = {
	KUNIT_CASE(queue_has_the_limits_of_the_protocol),
	KUNIT_CASE(read_only_large_blocks),
	KUNIT_CASE(data_comes_back_as_written),
	KUNIT_CASE(pieces_of_one_page_are_one_segment),
	KUNIT_CASE(slab_memory_is_not_shared),
	KUNIT_CASE(flushes_reach_the_backend),
	KUNIT_CASE(busy_ring_is_tried_again),
	KUNIT_CASE(batch_is_pushed_once),
	KUNIT_CASE(requests_in_flight_fail_once_at_removal),
	KUNIT_CASE(requests_in_flight_are_done_again),
	KUNIT_CASE(silent_backend_can_be_removed),
	KUNIT_CASE(disk_never_added_can_be_removed),
	KUNIT_CASE(same_minors_are_refused),
	KUNIT_CASE(resize_is_seen),
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	KUNIT_CASE(opener_outlives_the_disk),
#endif
	{}
};

/* As the module does before it goes: the scan for partitions closes its file later. */
static void wait_for_disks(struct kunit_suite *suite)
{
	xpv_disks_wait_released();
}

static struct kunit_suite blkfront_suite = {
	.name = "xpv_blkfront",
	.suite_exit = wait_for_disks,
	.test_cases = blkfront_cases,
};
kunit_test_suite(blkfront_suite);

MODULE_DESCRIPTION("xpv: tests of the block frontend's disk");
MODULE_LICENSE("GPL");
