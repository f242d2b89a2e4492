// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disk as Linux sees it, over a ring that is only memory: requests are
 * done at once, or held, or refused, as a test likes. The protocol below has
 * its tests on the host.
 */

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
#include "blkfront/disk_linux.c"
#include "blkfront/request_linux.c"

#include <kunit/test.h>
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

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

static void transfer(struct xpv_vbd *vbd, const struct xpv_block_request *request)
{
	u64 sector = request->sector;
	unsigned int i;

	for (i = 0; i < request->segment_count; i++) {
		const struct xpv_block_segment *segment = &request->segments[i];
		struct page *page = pfn_to_page(segment->frame.value);
		size_t offset = segment->first_sector * SECTOR_SIZE;
		size_t length = (segment->last_sector + 1) * SECTOR_SIZE - offset;

		if (request->operation == XPV_BLOCK_READ)
			memcpy_to_page(page, offset, vbd->data + sector * SECTOR_SIZE, length);
		else
			memcpy_from_page(vbd->data + sector * SECTOR_SIZE, page, offset, length);
		sector += length / SECTOR_SIZE;
		vbd->last_frame = segment->frame;
	}
	vbd->segments = max(vbd->segments, request->segment_count);
}

enum xpv_block_submit_result xpv_block_submit(struct xpv_block_queue *queue, struct xpv_block_request *request, bool last)
{
	struct xpv_vbd *vbd = queue->vbd;
	unsigned long flags;

	spin_lock_irqsave(&vbd->lock, flags);
	if (vbd->dead) {
		vbd->refused++;
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
	vbd->flushes += request->operation == XPV_BLOCK_FLUSH;
	vbd->write_throughs += request->operation == XPV_BLOCK_WRITE_THROUGH;
	transfer(vbd, request);
	if (vbd->hold) {
		vbd->held[vbd->held_count++] = request;
		spin_unlock_irqrestore(&vbd->lock, flags);
		return XPV_BLOCK_QUEUED;
	}
	spin_unlock_irqrestore(&vbd->lock, flags);
	request->next = NULL;
	request->error = 0;
	xpv_disk_complete(request);
	return XPV_BLOCK_QUEUED;
}

void xpv_block_commit(struct xpv_block_queue *queue)
{
	queue->vbd->pushes++;
}

void xpv_block_poll(struct xpv_block_queue *queue)
{
}

void xpv_vbd_add_failed(struct xpv_vbd *vbd, int error)
{
	vbd->add_error = error;
}

void xpv_vbd_retired(struct xpv_vbd *vbd)
{
	complete(&vbd->retired);
}

/* The requests in flight, linked as a connection that ends gives them back. */
static struct xpv_block_request *take_held(struct xpv_vbd *vbd, int error)
{
	struct xpv_block_request *first = NULL;
	unsigned long flags;

	spin_lock_irqsave(&vbd->lock, flags);
	while (vbd->held_count) {
		struct xpv_block_request *request = vbd->held[--vbd->held_count];

		request->error = error;
		request->next = first;
		first = request;
	}
	spin_unlock_irqrestore(&vbd->lock, flags);
	return first;
}

/* ---- A disk for each test ---- */

static const struct xpv_disk_parameters plain = {
	.name = "xvdz",
	.first_minor = 400,
	.minors = 16,
	.queue_count = 1,
	.queue_depth = DEPTH,
	.max_segments = SEGMENTS,
	.sectors = DISK_SECTORS,
	.logical_block_size = 512,
	.physical_block_size = 4096,
};

static int create_disk(struct xpv_vbd *vbd, const struct xpv_disk_parameters *given, struct xpv_disk **disk)
{
	struct xpv_block_queue *queues[] = { &vbd->queue };
	struct xpv_disk_parameters parameters = *given;

	parameters.queues = queues;
	return xpv_disk_create(NULL, &parameters, vbd, disk);
}

static struct xpv_vbd *create(struct kunit *test, const struct xpv_disk_parameters *parameters)
{
	struct xpv_vbd *vbd = kunit_kzalloc(test, sizeof(*vbd), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vbd);
	vbd->test = test;
	vbd->queue.vbd = vbd;
	spin_lock_init(&vbd->lock);
	init_completion(&vbd->retired);
	vbd->data = vzalloc(DISK_SECTORS * SECTOR_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, vbd->data);
	KUNIT_ASSERT_EQ(test, 0, create_disk(vbd, parameters, &vbd->disk));
	return vbd;
}

static struct xpv_vbd *create_and_add(struct kunit *test, const struct xpv_disk_parameters *parameters)
{
	struct xpv_vbd *vbd = create(test, parameters);

	xpv_disk_add(vbd->disk);
	flush_work(&vbd->disk->add_work);
	KUNIT_ASSERT_EQ(test, 0, vbd->add_error);
	vbd->requests = vbd->pushes = vbd->flushes = vbd->segments = 0;
	return vbd;
}

static void fail_requests(struct xpv_vbd *vbd)
{
	unsigned long flags;

	spin_lock_irqsave(&vbd->lock, flags);
	vbd->dead = true;
	spin_unlock_irqrestore(&vbd->lock, flags);
	xpv_disk_begin_stop(vbd->disk);
	xpv_disk_wait_stopped(vbd->disk);
	xpv_disk_complete(take_held(vbd, -EIO));
	xpv_disk_start(vbd->disk);
}

/* As the frontend does it at the end of a device. */
static void disconnect(struct xpv_vbd *vbd)
{
	fail_requests(vbd);
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
	struct xpv_vbd *vbd = create_and_add(test, &plain);
	struct gendisk *gendisk = vbd->disk->gendisk;
	struct request_queue *queue = gendisk->queue;

	KUNIT_EXPECT_STREQ(test, "xvdz", gendisk->disk_name);
	KUNIT_EXPECT_EQ(test, MKDEV(XENVBD_MAJOR, 400), disk_devt(gendisk));
	KUNIT_EXPECT_EQ(test, DISK_SECTORS, (int)get_capacity(gendisk));
	KUNIT_EXPECT_EQ(test, 512u, queue_logical_block_size(queue));
	KUNIT_EXPECT_EQ(test, 4096u, queue_physical_block_size(queue));
	KUNIT_EXPECT_EQ(test, SEGMENTS, (int)queue_max_segments(queue));
	KUNIT_EXPECT_EQ(test, SEGMENTS * 8u, queue_max_hw_sectors(queue));
	KUNIT_EXPECT_EQ(test, (unsigned int)PAGE_SIZE, queue_max_segment_size(queue));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE - 1, queue_segment_boundary(queue));
	KUNIT_EXPECT_EQ(test, 511, (int)queue_dma_alignment(queue));
	KUNIT_EXPECT_TRUE(test, bdev_nonrot(gendisk->part0));
	/* Whatever the backend has: Linux drops the flags of requests for a disk without. */
	KUNIT_EXPECT_TRUE(test, bdev_write_cache(gendisk->part0));
	KUNIT_EXPECT_TRUE(test, bdev_fua(gendisk->part0));
	KUNIT_EXPECT_FALSE(test, get_disk_ro(gendisk));
	disconnect(vbd);
}

static void read_only_large_blocks(struct kunit *test)
{
	struct xpv_disk_parameters parameters = plain;
	struct xpv_vbd *vbd;

	parameters.logical_block_size = 4096;
	parameters.read_only = true;
	vbd = create_and_add(test, &parameters);
	KUNIT_EXPECT_EQ(test, 4096u, queue_logical_block_size(vbd->disk->gendisk->queue));
	/* A buffer aligned to less would make segments that the backend refuses. */
	KUNIT_EXPECT_EQ(test, 4095, (int)queue_dma_alignment(vbd->disk->gendisk->queue));
	KUNIT_EXPECT_TRUE(test, get_disk_ro(vbd->disk->gendisk));
	KUNIT_EXPECT_TRUE(test, bdev_write_cache(vbd->disk->gendisk->part0));
	/* Another backend may backend more. */
	xpv_disk_set_read_only(vbd->disk, false);
	KUNIT_EXPECT_FALSE(test, get_disk_ro(vbd->disk->gendisk));
	disconnect(vbd);
}

static void data_comes_back_as_written(struct kunit *test)
{
	static const struct {
		unsigned int pages, offset, length;
	} shapes[] = { { 1, 0, 4096 }, { 1, 512, 512 }, { 16, 0, 4096 }, { 11, 1024, 1536 }, { 40, 0, 4096 } };
	struct xpv_vbd *vbd = create_and_add(test, &plain);
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
			KUNIT_EXPECT_NULL(test,
					  memchr_inv(page_address(pages[i]) + offset, (u8)(0x40 + s * 8 + i), length));
	}
	KUNIT_EXPECT_EQ(test, (unsigned int)SEGMENTS, vbd->segments);
	free_pages_of(pages, 40);
	disconnect(vbd);
}

static void pieces_of_one_page_are_one_segment(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
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
	struct xpv_vbd *vbd = create_and_add(test, &plain);
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

static void flushes_reach_the_ring(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
	struct page *page;

	alloc_pages_or_fail(test, &page, 1);
	KUNIT_EXPECT_EQ(test, 0, blkdev_issue_flush(vbd->disk->gendisk->part0));
	KUNIT_EXPECT_EQ(test, 1u, vbd->flushes);
	KUNIT_EXPECT_EQ(test, 0, transfer_pages(vbd, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 0, &page, 1, 0, 4096));
	KUNIT_EXPECT_EQ(test, 2u, vbd->flushes);
	KUNIT_EXPECT_EQ(test, 1u, vbd->write_throughs);
	disconnect(vbd);
	__free_page(page);
}

static void busy_ring_is_tried_again(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
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
	struct xpv_vbd *vbd = create_and_add(test, &plain);
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

static void requests_in_flight_fail_once_at_removal(struct kunit *test)
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
static void requests_in_flight_are_done_again(struct kunit *test)
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

/* The backend answers nothing, not even the partition scan. */
static void silent_backend_can_be_removed(struct kunit *test)
{
	struct xpv_vbd *vbd = create(test, &plain);

	vbd->hold = true;
	xpv_disk_add(vbd->disk);
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, 1));
	disconnect(vbd);
}

static void disk_never_added_can_be_removed(struct kunit *test)
{
	disconnect(create(test, &plain));
}

static void same_minors_are_refused(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
	struct xpv_disk_parameters parameters = plain;
	struct xpv_disk *second;

	parameters.first_minor = 401;
	parameters.minors = 1;
	KUNIT_EXPECT_EQ(test, -EBUSY, create_disk(vbd, &parameters, &second));
	disconnect(vbd);
	/* And free again afterwards. */
	disconnect(create_and_add(test, &plain));
}

static void resize_is_seen(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);

	xpv_disk_resize(vbd->disk, DISK_SECTORS / 2);
	KUNIT_EXPECT_EQ(test, DISK_SECTORS / 2, (int)get_capacity(vbd->disk->gendisk));
	disconnect(vbd);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
static struct file *open_disk(struct kunit *test, struct xpv_vbd *vbd)
{
	struct file *file = bdev_file_open_by_dev(disk_devt(vbd->disk->gendisk), BLK_OPEN_READ | BLK_OPEN_WRITE, NULL,
						  NULL);

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	return file;
}

/* Through the page cache, as a filesystem does it. */
static void make_dirty(struct kunit *test, struct file *file, u8 byte)
{
	u8 *buffer = kunit_kmalloc(test, 4096, GFP_KERNEL);
	loff_t position = 8192;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	memset(buffer, byte, 4096);
	KUNIT_ASSERT_EQ(test, (ssize_t)4096, kernel_write(file, buffer, 4096, &position));
}

/* A detach or unbind: what is dirty reaches the backend, although it is still open. */
static void retire_writes_back(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
	struct file *file = open_disk(test, vbd);

	make_dirty(test, file, 0x77);
	KUNIT_EXPECT_EQ(test, 0, vbd->data[8192]);
	xpv_disk_retire(vbd->disk);
	KUNIT_ASSERT_TRUE(test, wait_for_completion_timeout(&vbd->retired, 10 * HZ));
	KUNIT_EXPECT_NULL(test, memchr_inv(vbd->data + 8192, 0x77, 4096));
	disconnect(vbd);
	fput(file);
}

/* A backend that failed: Linux does not even try. */
static void dead_disk_does_not_write_back(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
	struct file *file = open_disk(test, vbd);

	make_dirty(test, file, 0x77);
	disconnect(vbd);
	KUNIT_EXPECT_EQ(test, 0u, vbd->refused);
	fput(file);
}

/* The connection goes while the disk is being retired, and then its time is over. */
static void retire_ends_when_requests_fail(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
	struct file *file = open_disk(test, vbd);

	make_dirty(test, file, 0x77);
	vbd->hold = true;
	xpv_disk_retire(vbd->disk);
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, 1));
	KUNIT_EXPECT_FALSE(test, completion_done(&vbd->retired));
	disconnect(vbd);
	KUNIT_EXPECT_TRUE(test, completion_done(&vbd->retired));
	fput(file);
}
#endif

/* The partition scan is under way, and its answer comes late. */
static void retire_waits_for_the_add(struct kunit *test)
{
	struct xpv_vbd *vbd = create(test, &plain);

	vbd->hold = true;
	xpv_disk_add(vbd->disk);
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, 1));
	xpv_disk_retire(vbd->disk);
	vbd->hold = false;
	xpv_disk_complete(take_held(vbd, 0));
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&vbd->retired, 10 * HZ));
	KUNIT_EXPECT_FALSE(test, disk_live(vbd->disk->gendisk));
	disconnect(vbd);
}

/* The connection is lost during the scan: it goes on with the next one. */
static void scan_survives_a_lost_connection(struct kunit *test)
{
	struct xpv_vbd *vbd = create(test, &plain);

	vbd->hold = true;
	xpv_disk_add(vbd->disk);
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, 1));
	xpv_disk_begin_stop(vbd->disk);
	xpv_disk_wait_stopped(vbd->disk);
	vbd->hold = false;
	xpv_disk_requeue(vbd->disk, take_held(vbd, 0));
	xpv_disk_start(vbd->disk);
	flush_work(&vbd->disk->add_work);
	KUNIT_EXPECT_EQ(test, 0, vbd->add_error);
	KUNIT_EXPECT_TRUE(test, disk_live(vbd->disk->gendisk));
	disconnect(vbd);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
static void opener_outlives_the_disk(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
	struct file *file = bdev_file_open_by_dev(disk_devt(vbd->disk->gendisk), BLK_OPEN_READ | BLK_OPEN_WRITE, NULL,
						  NULL);
	u8 byte;
	loff_t position = 0;

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	disconnect(vbd);
	KUNIT_EXPECT_LE(test, kernel_read(file, &byte, 1, &position), (ssize_t)0);
	/* The same name and minors come back while it is still open. */
	vbd = create_and_add(test, &plain);
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
	KUNIT_CASE(flushes_reach_the_ring),
	KUNIT_CASE(busy_ring_is_tried_again),
	KUNIT_CASE(batch_is_pushed_once),
	KUNIT_CASE(requests_in_flight_fail_once_at_removal),
	KUNIT_CASE(requests_in_flight_are_done_again),
	KUNIT_CASE(silent_backend_can_be_removed),
	KUNIT_CASE(disk_never_added_can_be_removed),
	KUNIT_CASE(same_minors_are_refused),
	KUNIT_CASE(resize_is_seen),
	KUNIT_CASE(retire_waits_for_the_add),
	KUNIT_CASE(scan_survives_a_lost_connection),
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	KUNIT_CASE(retire_writes_back),
	KUNIT_CASE(dead_disk_does_not_write_back),
	KUNIT_CASE(retire_ends_when_requests_fail),
	KUNIT_CASE(opener_outlives_the_disk),
#endif
	{}
};

static int start_disks(struct kunit_suite *suite)
{
	return xpv_disks_start();
}

/* As the module does before it goes: the scan for partitions closes its file later. */
static void stop_disks(struct kunit_suite *suite)
{
	xpv_disks_stop();
}

static struct kunit_suite blkfront_suite = {
	.name = "xpv_blkfront",
	.suite_init = start_disks,
	.suite_exit = stop_disks,
	.test_cases = blkfront_cases,
};
kunit_test_suite(blkfront_suite);

MODULE_DESCRIPTION("xpv: tests of the block frontend's disk");
MODULE_LICENSE("GPL");
