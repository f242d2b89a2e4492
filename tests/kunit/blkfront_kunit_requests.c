// SPDX-License-Identifier: GPL-2.0-only
/* Linux's requests reach the ring within its limits, and their data comes back. */

#include "blkfront_kunit.h"

#include <linux/blkdev.h>
#include <linux/major.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

void queue_has_the_limits_of_the_protocol(struct kunit *test)
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

void read_only_large_blocks(struct kunit *test)
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
	/* Another backend may permit writes. */
	xpv_disk_set_read_only(vbd->disk, false);
	KUNIT_EXPECT_FALSE(test, get_disk_ro(vbd->disk->gendisk));
	disconnect(vbd);
}

void data_comes_back_as_written(struct kunit *test)
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

void pieces_of_one_page_are_one_segment(struct kunit *test)
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

/*
 * Case 15 (XSA-403). The data of a request is in a page of a slab, with other
 * objects of the kernel, and Xen shares whole pages. A driver that grants the
 * page lets the backend read those objects, and during a read change them. The
 * frame that reaches the ring must be another one, and the data arrive in both
 * directions.
 */
void slab_memory_is_not_shared(struct kunit *test)
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

void flushes_reach_the_ring(struct kunit *test)
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

void busy_ring_is_tried_again(struct kunit *test)
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

void batch_is_pushed_once(struct kunit *test)
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
