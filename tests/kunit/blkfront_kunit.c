// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disk as Linux sees it, over a ring that is only memory: requests are
 * done at once, or held, or refused, as a test likes. The protocol below has
 * its tests on the host.
 */

#include "blkfront_kunit.h"

/* The copy of the files under test, with the names that blkfront_kunit.h gives them. */
#include "blkfront/disk_linux.c"
#include "blkfront/request_linux.c"

#include <linux/delay.h>
#include <linux/vmalloc.h>

/* ---- The ring ---- */

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

struct xpv_block_request *take_held(struct xpv_vbd *vbd, int error)
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

const struct xpv_disk_parameters plain = {
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

int create_disk(struct xpv_vbd *vbd, const struct xpv_disk_parameters *given, struct xpv_disk **disk)
{
	struct xpv_block_queue *queues[] = { &vbd->queue };
	struct xpv_disk_parameters parameters = *given;

	parameters.queues = queues;
	return xpv_disk_create(NULL, &parameters, vbd, disk);
}

struct xpv_vbd *create(struct kunit *test, const struct xpv_disk_parameters *parameters)
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

struct xpv_vbd *create_and_add(struct kunit *test, const struct xpv_disk_parameters *parameters)
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

void disconnect(struct xpv_vbd *vbd)
{
	fail_requests(vbd);
	xpv_disk_remove(vbd->disk);
	vfree(vbd->data);
}

static unsigned int held_count(struct xpv_vbd *vbd)
{
	return READ_ONCE(vbd->held_count);
}

bool held_becomes(struct xpv_vbd *vbd, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < 500 && held_count(vbd) < count; i++)
		msleep(10);
	return held_count(vbd) >= count;
}

struct bio *make_bio(struct block_device *bdev, blk_opf_t operation, sector_t sector, struct page **pages,
		     unsigned int count, unsigned int offset, unsigned int length)
{
	struct bio *bio = bio_alloc(bdev, count, operation, GFP_KERNEL);
	unsigned int i;

	bio->bi_iter.bi_sector = sector;
	for (i = 0; i < count; i++)
		__bio_add_page(bio, pages[i], length, offset);
	return bio;
}

int transfer_pages(struct xpv_vbd *vbd, blk_opf_t operation, sector_t sector, struct page **pages, unsigned int count,
		   unsigned int offset, unsigned int length)
{
	struct bio *bio = make_bio(vbd->disk->gendisk->part0, operation, sector, pages, count, offset, length);
	int result = submit_bio_wait(bio);

	bio_put(bio);
	return result;
}

void alloc_pages_or_fail(struct kunit *test, struct page **pages, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
}

void free_pages_of(struct page **pages, unsigned int count)
{
	while (count--)
		__free_page(pages[count]);
}

void waiting_bio_end(struct bio *bio)
{
	struct waiting_bio *waiting = bio->bi_private;

	waiting->status = bio->bi_status;
	waiting->ends++;
	complete(&waiting->done);
	bio_put(bio);
}

void submit_waiting(struct block_device *bdev, struct waiting_bio *waiting, sector_t sector, struct page *page)
{
	struct bio *bio = make_bio(bdev, REQ_OP_READ, sector, &page, 1, 0, 4096);

	bio->bi_private = waiting;
	bio->bi_end_io = waiting_bio_end;
	submit_bio(bio);
}

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
