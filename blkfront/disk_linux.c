// SPDX-License-Identifier: GPL-2.0-only
/* The Linux side of a disk: a gendisk with its queues. */

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/hdreg.h>
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

#include "blkfront/disk.h"

/* ---- Minors: a toolstack can give two devices numbers that name the same disk ---- */

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

/* ---- The disk ---- */

/* Return a made-up geometry of the right size, for old tools. */
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
 * Number of disks that were added and that Linux has not released. The last
 * opener may drop its reference to this module before the one to the disk, whose
 * release reads disk_operations; so unload must wait.
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

/*
 * WQ_MEM_RECLAIM: adding and retiring a disk wait for its I/O, and memory
 * reclaim may wait for the same I/O. A retire waits for the add, so each has a
 * queue, and a rescuer, of its own.
 */
static struct workqueue_struct *add_queue;
static struct workqueue_struct *retire_queue;

int xpv_disks_start(void)
{
	add_queue = alloc_workqueue("xpv_blkfront_add", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!add_queue)
		return -ENOMEM;
	retire_queue = alloc_workqueue("xpv_blkfront_retire", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!retire_queue) {
		destroy_workqueue(add_queue);
		return -ENOMEM;
	}
	return 0;
}

void xpv_disks_stop(void)
{
	wait_var_event(&disks_alive, !atomic_read(&disks_alive));
	/* Wait until the last disk_released() has returned. */
	synchronize_rcu();
	destroy_workqueue(retire_queue);
	destroy_workqueue(add_queue);
}

static const struct block_device_operations disk_operations = {
	.owner = THIS_MODULE,
	.getgeo = disk_getgeo,
	.free_disk = disk_free,
};

/*
 * The limits are set once and do not change with later backends, because requests
 * that wait in Linux for the next backend were built for them. Always declare a
 * write cache and FUA: Linux drops these flags from requests for a disk without
 * them. The ring handles backends that have nothing to flush.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)

static struct gendisk *alloc_gendisk(struct xpv_disk *disk, const struct xpv_disk_parameters *parameters)
{
	struct queue_limits limits = {
		.logical_block_size = parameters->logical_block_size,
		.physical_block_size = parameters->physical_block_size,
		.max_hw_sectors = disk->max_segments << (PAGE_SHIFT - SECTOR_SHIFT),
		.max_segments = disk->max_segments,
		/* A segment is within one page, which is what a grant can give. */
		.max_segment_size = PAGE_SIZE,
		.seg_boundary_mask = PAGE_SIZE - 1,
		/* The backend accepts no segment that begins within a block. */
		.dma_alignment = parameters->logical_block_size - 1,
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA,
	};

	return blk_mq_alloc_disk(&disk->tags, &limits, disk);
}

#else

static struct gendisk *alloc_gendisk(struct xpv_disk *disk, const struct xpv_disk_parameters *parameters)
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
	blk_queue_logical_block_size(queue, parameters->logical_block_size);
	blk_queue_physical_block_size(queue, parameters->physical_block_size);
	blk_queue_max_hw_sectors(queue, disk->max_segments << (PAGE_SHIFT - SECTOR_SHIFT));
	blk_queue_max_segments(queue, disk->max_segments);
	/* A segment is within one page, which is what a grant can give. */
	blk_queue_max_segment_size(queue, PAGE_SIZE);
	blk_queue_segment_boundary(queue, PAGE_SIZE - 1);
	/* The backend accepts no segment that begins within a block. */
	blk_queue_dma_alignment(queue, parameters->logical_block_size - 1);
	blk_queue_write_cache(queue, true, true);
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

static void retire_disk_work(struct work_struct *work)
{
	struct xpv_disk *disk = container_of(work, struct xpv_disk, retire_work);

	/* Cannot hang: the reads of add_work complete, because the disk works or is being removed. */
	flush_work(&disk->add_work);
	if (disk->added)
		del_gendisk(disk->gendisk);
	disk->deleted = true;
	xpv_vbd_retired(disk->vbd);
}

int xpv_disk_create(struct device *parent, const struct xpv_disk_parameters *parameters, struct xpv_vbd *vbd,
		    struct xpv_disk **created)
{
	struct xpv_disk *disk;
	struct gendisk *gendisk;
	int result;

	disk = kzalloc(struct_size(disk, queues, parameters->queue_count), GFP_KERNEL);
	if (!disk)
		return -ENOMEM;
	disk->parent = parent;
	disk->vbd = vbd;
	disk->first_minor = parameters->first_minor;
	disk->minors = parameters->minors;
	disk->max_segments = parameters->max_segments;
	disk->queue_count = parameters->queue_count;
	memcpy(disk->queues, parameters->queues, parameters->queue_count * sizeof(*disk->queues));
	INIT_WORK(&disk->add_work, add_disk_work);
	INIT_WORK(&disk->retire_work, retire_disk_work);

	result = claim_minors(disk);
	if (result) {
		pr_err(KBUILD_MODNAME ": %s: minors %u to %u are in use by another disk\n", parameters->name,
		       parameters->first_minor, parameters->first_minor + parameters->minors - 1);
		goto out_free;
	}

	result = -ENOMEM;
	disk->bounce_pages = mempool_create_page_pool(disk->max_segments, 0);
	if (!disk->bounce_pages)
		goto out_minors;

	disk->tags.ops = &disk_mq_ops;
	disk->tags.nr_hw_queues = disk->queue_count;
	disk->tags.queue_depth = parameters->queue_depth;
	disk->tags.numa_node = NUMA_NO_NODE;
	disk->tags.cmd_size = disk_request_size(disk->max_segments);
	disk->tags.driver_data = disk;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
	disk->tags.flags = BLK_MQ_F_SHOULD_MERGE;
#endif
	result = blk_mq_alloc_tag_set(&disk->tags);
	if (result)
		goto out_pool;

	gendisk = alloc_gendisk(disk, parameters);
	if (IS_ERR(gendisk)) {
		result = PTR_ERR(gendisk);
		goto out_tags;
	}
	strscpy(gendisk->disk_name, parameters->name, sizeof(gendisk->disk_name));
	gendisk->major = XENVBD_MAJOR;
	gendisk->first_minor = parameters->first_minor;
	gendisk->minors = parameters->minors;
	gendisk->fops = &disk_operations;
	if (parameters->removable)
		gendisk->flags |= GENHD_FL_REMOVABLE;
	if (parameters->minors == 1)
		gendisk->flags |= GENHD_FL_NO_PART;
	set_capacity(gendisk, parameters->sectors);
	set_disk_ro(gendisk, parameters->read_only);
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
	queue_work(add_queue, &disk->add_work);
}

void xpv_disk_retire(struct xpv_disk *disk)
{
	queue_work(retire_queue, &disk->retire_work);
}

void xpv_disk_begin_stop(struct xpv_disk *disk)
{
	blk_mq_quiesce_queue_nowait(disk->gendisk->queue);
	disk->stop_cookie = get_state_synchronize_rcu();
}

/* As blk_mq_wait_quiesce_done() for a queue without BLK_MQ_F_BLOCKING, but disks can share a grace period. */
void xpv_disk_wait_stopped(struct xpv_disk *disk)
{
	cond_synchronize_rcu(disk->stop_cookie);
}

void xpv_disk_start(struct xpv_disk *disk)
{
	blk_mq_unquiesce_queue(disk->gendisk->queue);
	/*
	 * Kick only if needed: after del_gendisk() the requeue work would outlive the
	 * queue. Requeued requests keep del_gendisk() from completing.
	 */
	if (disk->requeued)
		blk_mq_kick_requeue_list(disk->gendisk->queue);
	disk->requeued = false;
}

/* As set_capacity_and_notify(), but without its log line for each change: a backend could flood the log with these. */
void xpv_disk_resize(struct xpv_disk *disk, uint64_t sectors)
{
	static char *resized[] = { "RESIZE=1", NULL };
	struct gendisk *gendisk = disk->gendisk;
	sector_t before = get_capacity(gendisk);

	set_capacity(gendisk, sectors);
	if (before && sectors && before != sectors && disk_live(gendisk))
		kobject_uevent_env(&disk_to_dev(gendisk)->kobj, KOBJ_CHANGE, resized);
}

void xpv_disk_set_read_only(struct xpv_disk *disk, bool read_only)
{
	set_disk_ro(disk->gendisk, read_only);
}

void xpv_disk_remove(struct xpv_disk *disk)
{
	/* All requests fail by now, so add_work and retire_work end soon. */
	cancel_work_sync(&disk->retire_work);
	cancel_work_sync(&disk->add_work);
	if (disk->added && !disk->deleted) {
		blk_mark_disk_dead(disk->gendisk);
		del_gendisk(disk->gendisk);
	}
	release_minors(disk);
	/* Openers may keep the gendisk, but its queue does not use us after del_gendisk(). */
	put_disk(disk->gendisk);
	blk_mq_free_tag_set(&disk->tags);
	mempool_destroy(disk->bounce_pages);
	kfree(disk);
}
