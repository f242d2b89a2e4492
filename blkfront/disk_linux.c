// SPDX-License-Identifier: GPL-2.0-only
/* The disk as Linux has it: a gendisk with one hardware queue. */

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/hdreg.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/major.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "blkfront/linux.h"

/*
 * C++ passes this as an opaque handle; a request names it by queuedata, the
 * gendisk does not: openers may outlive it.
 */
struct xpv_disk {
	struct gendisk *gendisk;
	struct blk_mq_tag_set tags;
	struct device *parent;
	struct xpv_vbd *vbd;
	struct work_struct add_work;
	bool added; /* written by add_work; read after it has ended */
	mempool_t *bounce_pages;
	struct list_head link; /* in disks */
	unsigned int first_minor;
	unsigned int minors;
};

/* Linux's private part of each request. */
struct disk_request {
	blk_status_t status;
	unsigned int bounced; /* how many of bounce[] are set */
	struct page *bounce[XPV_BLOCK_SEGMENTS];
};

/* ---- Minors: toolstacks can give two devices numbers that mean the same disk ---- */

static LIST_HEAD(disks);
static DEFINE_MUTEX(disks_mutex);

static int claim_minors(struct xpv_disk *disk)
{
	struct xpv_disk *other;
	int result = 0;

	mutex_lock(&disks_mutex);
	list_for_each_entry(other, &disks, link) {
		if (disk->first_minor < other->first_minor + other->minors &&
		    other->first_minor < disk->first_minor + disk->minors)
			result = -EBUSY;
	}
	if (!result)
		list_add(&disk->link, &disks);
	mutex_unlock(&disks_mutex);
	return result;
}

static void release_minors(struct xpv_disk *disk)
{
	mutex_lock(&disks_mutex);
	list_del(&disk->link);
	mutex_unlock(&disks_mutex);
}

/* ---- Segments ---- */

/*
 * A request completes, and its memory goes back to its owners, whatever the
 * backend does; what it still maps then must not be used for anything else,
 * and for that the page must be one that can be held on to (gnttab.h:
 * xpv_grant_park()). A slab object's cannot; and the rest of its page would be
 * shared with the backend too. Such data goes through a page of our own.
 */
static bool needs_bounce(struct page *page)
{
	return PageSlab(page) || page_count(page) == 0;
}

static void free_bounce_pages(struct xpv_disk *disk, struct request *rq)
{
	struct disk_request *private = blk_mq_rq_to_pdu(rq);
	unsigned int i;

	if (likely(!private->bounced))
		return;
	for (i = 0; i < XPV_BLOCK_SEGMENTS; i++) {
		struct page *page = private->bounce[i];

		if (!page)
			continue;
		private->bounce[i] = NULL;
		/* A parked page is nobody's to reuse, and the pool would. */
		if (unlikely(page_count(page) > 1))
			put_page(page);
		else
			mempool_free(page, disk->bounce_pages);
	}
	private->bounced = 0;
}

struct segment_walk {
	unsigned int count; /* segments so far */
	phys_addr_t end; /* of the last of them */
};

/* Which segment the next piece of data belongs to: a new one, unless it goes on where the last ends in its page. */
static unsigned int walk_to(struct segment_walk *walk, const struct bio_vec *piece)
{
	phys_addr_t begin = page_to_phys(piece->bv_page) + piece->bv_offset;

	if (!walk->count || begin != walk->end || !offset_in_page(begin))
		walk->count++;
	walk->end = begin + piece->bv_len;
	return walk->count - 1;
}

static blk_status_t gather(struct xpv_disk *disk, struct request *rq, struct xpv_block_segments *segments)
{
	struct disk_request *private = blk_mq_rq_to_pdu(rq);
	struct segment_walk walk = {};
	struct req_iterator iterator;
	struct bio_vec piece;

	rq_for_each_segment(piece, rq, iterator) {
		unsigned int before = walk.count;
		unsigned int i = walk_to(&walk, &piece);
		unsigned int first = piece.bv_offset >> SECTOR_SHIFT;
		struct page *page = piece.bv_page;

		/* The queue's limits rule both out. */
		if (unlikely(i >= XPV_BLOCK_SEGMENTS || (piece.bv_offset | piece.bv_len) & (SECTOR_SIZE - 1)))
			goto refuse;

		if (unlikely(needs_bounce(page))) {
			if (i == before) {
				page = mempool_alloc(disk->bounce_pages, GFP_ATOMIC | __GFP_NOWARN);
				if (!page)
					goto no_memory;
				/* The backend sees all of it. */
				clear_highpage(page);
				private->bounce[i] = page;
				private->bounced++;
			}
			page = private->bounce[i];
			if (rq_data_dir(rq) == WRITE)
				memcpy_page(page, piece.bv_offset, piece.bv_page, piece.bv_offset, piece.bv_len);
		}
		if (i == before) {
			segments->frames[i] = (struct xpv_pfn){ page_to_pfn(page) };
			segments->first_sector[i] = first;
		}
		segments->last_sector[i] = first + (piece.bv_len >> SECTOR_SHIFT) - 1;
	}
	segments->count = walk.count;
	return BLK_STS_OK;

refuse:
	pr_err_ratelimited("%s: request with data that does not fit the limits\n", disk->gendisk->disk_name);
	free_bounce_pages(disk, rq);
	return BLK_STS_IOERR;
no_memory:
	/* The pool suffices for one request, so it is a matter of time. */
	free_bounce_pages(disk, rq);
	return BLK_STS_RESOURCE;
}

static void copy_from_bounce_pages(struct request *rq)
{
	struct disk_request *private = blk_mq_rq_to_pdu(rq);
	struct segment_walk walk = {};
	struct req_iterator iterator;
	struct bio_vec piece;

	rq_for_each_segment(piece, rq, iterator) {
		struct page *page = private->bounce[walk_to(&walk, &piece)];

		if (page)
			memcpy_page(piece.bv_page, piece.bv_offset, page, piece.bv_offset, piece.bv_len);
	}
}

/* ---- Requests ---- */

static blk_status_t disk_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *data)
{
	struct xpv_disk *disk = hctx->queue->queuedata;
	struct request *rq = data->rq;
	struct xpv_block_segments segments;
	enum xpv_block_operation operation;
	blk_status_t status;

	segments.count = 0;
	switch (req_op(rq)) {
	case REQ_OP_READ:
		operation = XPV_BLOCK_READ;
		break;
	case REQ_OP_WRITE:
		operation = rq->cmd_flags & REQ_FUA ? XPV_BLOCK_WRITE_THROUGH : XPV_BLOCK_WRITE;
		break;
	case REQ_OP_FLUSH:
		operation = XPV_BLOCK_FLUSH;
		break;
	default:
		return BLK_STS_NOTSUPP;
	}
	if (operation != XPV_BLOCK_FLUSH) {
		status = gather(disk, rq, &segments);
		if (unlikely(status != BLK_STS_OK)) {
			/* It may have been the last of a batch. */
			xpv_vbd_commit(disk->vbd);
			return status;
		}
	}

	/* Before it is submitted: it may complete at once. */
	blk_mq_start_request(rq);
	switch (xpv_vbd_submit(disk->vbd, rq, operation, operation == XPV_BLOCK_FLUSH ? 0 : blk_rq_pos(rq), &segments,
			       data->last)) {
	case XPV_BLOCK_QUEUED:
		return BLK_STS_OK;
	case XPV_BLOCK_DONE:
		blk_mq_end_request(rq, BLK_STS_OK);
		return BLK_STS_OK;
	case XPV_BLOCK_BUSY:
		free_bounce_pages(disk, rq);
		return BLK_STS_RESOURCE;
	case XPV_BLOCK_DEAD:
		break;
	}
	free_bounce_pages(disk, rq);
	return BLK_STS_IOERR;
}

static void disk_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	struct xpv_disk *disk = hctx->queue->queuedata;

	xpv_vbd_commit(disk->vbd);
}

static void disk_complete_rq(struct request *rq)
{
	struct disk_request *private = blk_mq_rq_to_pdu(rq);

	if (unlikely(private->bounced)) {
		if (req_op(rq) == REQ_OP_READ && private->status == BLK_STS_OK)
			copy_from_bounce_pages(rq);
		free_bounce_pages(rq->q->queuedata, rq);
	}
	blk_mq_end_request(rq, private->status);
}

/*
 * The backend has our memory until it answers or is gone, so a request cannot
 * be given up; but it may have answered, and the event been lost.
 */
static enum blk_eh_timer_return disk_timeout(struct request *rq)
{
	struct xpv_disk *disk = rq->q->queuedata;

	xpv_vbd_poll(disk->vbd);
	return blk_mq_request_completed(rq) ? BLK_EH_DONE : BLK_EH_RESET_TIMER;
}

static int disk_init_request(struct blk_mq_tag_set *set, struct request *rq, unsigned int hctx_index,
			     unsigned int numa_node)
{
	struct disk_request *private = blk_mq_rq_to_pdu(rq);

	memset(private, 0, sizeof(*private));
	return 0;
}

static const struct blk_mq_ops disk_mq_ops = {
	.queue_rq = disk_queue_rq,
	.commit_rqs = disk_commit_rqs,
	.complete = disk_complete_rq,
	.timeout = disk_timeout,
	.init_request = disk_init_request,
};

void xpv_disk_complete(const struct xpv_block_completion *completions, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct request *rq = completions[i].request;
		struct disk_request *private = blk_mq_rq_to_pdu(rq);

		private->status = errno_to_blk_status(completions[i].error);
		if (likely(!blk_should_fake_timeout(rq->q)))
			blk_mq_complete_request(rq);
	}
}

/* ---- The disk ---- */

/* Old tools still ask. There is no geometry; this one has the right size. */
static int disk_getgeo(struct block_device *bdev, struct hd_geometry *geometry)
{
	sector_t cylinders = get_capacity(bdev->bd_disk);

	geometry->heads = 255;
	geometry->sectors = 63;
	sector_div(cylinders, 255 * 63);
	geometry->cylinders = cylinders > 0xffff ? 0xffff : cylinders;
	return 0;
}

/*
 * Disks that are or were live and that Linux has not released. The last one
 * who had a disk open may put this module first, and then the disk, whose
 * release reads disk_operations.
 */
static atomic_t disks_alive = ATOMIC_INIT(0);

static void disk_released(void)
{
	rcu_read_lock();
	if (atomic_dec_and_test(&disks_alive))
		wake_up_var(&disks_alive);
	rcu_read_unlock();
}

static void disk_free(struct gendisk *unused)
{
	disk_released();
}

void xpv_disks_wait_released(void)
{
	wait_var_event(&disks_alive, !atomic_read(&disks_alive));
	/* The last disk_released() is out of there too. */
	synchronize_rcu();
}

static const struct block_device_operations disk_operations = {
	.owner = THIS_MODULE,
	.getgeo = disk_getgeo,
	.free_disk = disk_free,
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)

static struct gendisk *alloc_gendisk(struct xpv_disk *disk, const struct xpv_disk_shape *shape)
{
	struct queue_limits limits = {
		.logical_block_size = shape->logical_block_size,
		.physical_block_size = shape->physical_block_size,
		.max_hw_sectors = XPV_BLOCK_SEGMENTS << (PAGE_SHIFT - SECTOR_SHIFT),
		.max_segments = XPV_BLOCK_SEGMENTS,
		/* A segment is within one page, which is what a grant can give. */
		.max_segment_size = PAGE_SIZE,
		.seg_boundary_mask = PAGE_SIZE - 1,
		.dma_alignment = SECTOR_SIZE - 1,
	};

	if (shape->write_cache)
		limits.features |= BLK_FEAT_WRITE_CACHE;
	if (shape->write_through)
		limits.features |= BLK_FEAT_FUA;
	return blk_mq_alloc_disk(&disk->tags, &limits, disk);
}

#else

static struct gendisk *alloc_gendisk(struct xpv_disk *disk, const struct xpv_disk_shape *shape)
{
	struct gendisk *gendisk;
	struct request_queue *queue;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	gendisk = blk_mq_alloc_disk(&disk->tags, NULL, disk);
#else
	gendisk = blk_mq_alloc_disk(&disk->tags, disk);
#endif
	if (IS_ERR(gendisk))
		return gendisk;
	queue = gendisk->queue;
	blk_queue_logical_block_size(queue, shape->logical_block_size);
	blk_queue_physical_block_size(queue, shape->physical_block_size);
	blk_queue_max_hw_sectors(queue, XPV_BLOCK_SEGMENTS << (PAGE_SHIFT - SECTOR_SHIFT));
	blk_queue_max_segments(queue, XPV_BLOCK_SEGMENTS);
	/* A segment is within one page, which is what a grant can give. */
	blk_queue_max_segment_size(queue, PAGE_SIZE);
	blk_queue_segment_boundary(queue, PAGE_SIZE - 1);
	blk_queue_dma_alignment(queue, SECTOR_SIZE - 1);
	blk_queue_write_cache(queue, shape->write_cache, shape->write_through);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, queue);
	return gendisk;
}

#endif

static void add_disk_work(struct work_struct *work)
{
	struct xpv_disk *disk = container_of(work, struct xpv_disk, add_work);
	int result;

	atomic_inc(&disks_alive);
	result = device_add_disk(disk->parent, disk->gendisk, NULL);
	if (result) {
		disk_released();
		xpv_vbd_add_failed(disk->vbd, result);
	} else {
		disk->added = true;
	}
}

int xpv_disk_create(struct device *parent, const struct xpv_disk_shape *shape, struct xpv_vbd *vbd,
		    struct xpv_disk **created)
{
	struct xpv_disk *disk;
	struct gendisk *gendisk;
	int result;

	disk = kzalloc(sizeof(*disk), GFP_KERNEL);
	if (!disk)
		return -ENOMEM;
	disk->parent = parent;
	disk->vbd = vbd;
	disk->first_minor = shape->first_minor;
	disk->minors = shape->minors;
	INIT_WORK(&disk->add_work, add_disk_work);

	result = claim_minors(disk);
	if (result) {
		pr_err("%s: another disk has the minors %u to %u already\n", shape->name, shape->first_minor,
		       shape->first_minor + shape->minors - 1);
		goto out_free;
	}

	result = -ENOMEM;
	disk->bounce_pages = mempool_create_page_pool(XPV_BLOCK_SEGMENTS, 0);
	if (!disk->bounce_pages)
		goto out_minors;

	disk->tags.ops = &disk_mq_ops;
	disk->tags.nr_hw_queues = 1;
	disk->tags.queue_depth = shape->queue_depth;
	disk->tags.numa_node = NUMA_NO_NODE;
	disk->tags.cmd_size = sizeof(struct disk_request);
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
	disk->tags.flags = BLK_MQ_F_SHOULD_MERGE;
#endif
	result = blk_mq_alloc_tag_set(&disk->tags);
	if (result)
		goto out_pool;

	gendisk = alloc_gendisk(disk, shape);
	if (IS_ERR(gendisk)) {
		result = PTR_ERR(gendisk);
		goto out_tags;
	}
	strscpy(gendisk->disk_name, shape->name, sizeof(gendisk->disk_name));
	gendisk->major = XENVBD_MAJOR;
	gendisk->first_minor = shape->first_minor;
	gendisk->minors = shape->minors;
	gendisk->fops = &disk_operations;
	if (shape->removable)
		gendisk->flags |= GENHD_FL_REMOVABLE;
	if (shape->minors == 1)
		gendisk->flags |= GENHD_FL_NO_PART;
	set_capacity(gendisk, shape->sectors);
	set_disk_ro(gendisk, shape->read_only);
	disk->gendisk = gendisk;
	*created = disk;
	return 0;

out_tags:
	blk_mq_free_tag_set(&disk->tags);
out_pool:
	mempool_destroy(disk->bounce_pages);
out_minors:
	release_minors(disk);
out_free:
	kfree(disk);
	return result;
}

void xpv_disk_add(struct xpv_disk *disk)
{
	queue_work(system_long_wq, &disk->add_work);
}

void xpv_disk_begin_stop(struct xpv_disk *disk)
{
	blk_mq_quiesce_queue_nowait(disk->gendisk->queue);
}

/* What blk_mq_wait_quiesce_done() does for a queue that is not BLK_MQ_F_BLOCKING, for all of them at once. */
void xpv_disks_wait_stopped(void)
{
	synchronize_rcu();
}

void xpv_disk_start(struct xpv_disk *disk)
{
	blk_mq_unquiesce_queue(disk->gendisk->queue);
	/* Nothing is there but after a restore. */
	blk_mq_kick_requeue_list(disk->gendisk->queue);
}

void xpv_disk_requeue(struct xpv_disk *disk, const struct xpv_block_completion *unfinished, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		free_bounce_pages(disk, unfinished[i].request);
		blk_mq_requeue_request(unfinished[i].request, false);
	}
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)

void xpv_disk_set_cache(struct xpv_disk *disk, bool write_cache, bool write_through)
{
	struct request_queue *queue = disk->gendisk->queue;
	struct queue_limits limits = queue_limits_start_update(queue);
	int error;

	limits.features &= ~(BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA);
	if (write_cache)
		limits.features |= BLK_FEAT_WRITE_CACHE;
	if (write_through)
		limits.features |= BLK_FEAT_FUA;
	error = queue_limits_commit_update(queue, &limits);
	if (error)
		pr_err("%s: cannot change how writes are flushed: error %d\n", disk->gendisk->disk_name, error);
}

#else

void xpv_disk_set_cache(struct xpv_disk *disk, bool write_cache, bool write_through)
{
	blk_queue_write_cache(disk->gendisk->queue, write_cache, write_through);
}

#endif

void xpv_disk_resize(struct xpv_disk *disk, uint64_t sectors)
{
	set_capacity_and_notify(disk->gendisk, sectors);
}

void xpv_disk_remove(struct xpv_disk *disk)
{
	/* If it is being added now, what that reads fails by now, so it ends soon. */
	cancel_work_sync(&disk->add_work);
	if (disk->added) {
		blk_mark_disk_dead(disk->gendisk);
		del_gendisk(disk->gendisk);
	}
	release_minors(disk);
	/* Openers keep the gendisk, but its queue is done with us since del_gendisk(). */
	put_disk(disk->gendisk);
	blk_mq_free_tag_set(&disk->tags);
	mempool_destroy(disk->bounce_pages);
	kfree(disk);
}
