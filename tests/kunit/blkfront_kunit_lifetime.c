// SPDX-License-Identifier: GPL-2.0-only
/* A disk is added, resized, retired and removed, whatever its backend and its openers do. */

#include "blkfront_kunit.h"

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>

/*
 * As case 23, for requests. The backend answers nothing, not even the partition
 * scan. A driver whose removal waits for the scan hangs the detach and the
 * unload. The removal must end the scan's request with an error, and return.
 */
void silent_backend_can_be_removed(struct kunit *test)
{
	struct xpv_vbd *vbd = create(test, &plain);

	vbd->hold = true;
	xpv_disk_add(vbd->disk);
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, 1));
	disconnect(vbd);
}

void disk_never_added_can_be_removed(struct kunit *test)
{
	disconnect(create(test, &plain));
}

void same_minors_are_refused(struct kunit *test)
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

void resize_is_seen(struct kunit *test)
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
void retire_writes_back(struct kunit *test)
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
void dead_disk_does_not_write_back(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_add(test, &plain);
	struct file *file = open_disk(test, vbd);

	make_dirty(test, file, 0x77);
	disconnect(vbd);
	KUNIT_EXPECT_EQ(test, 0u, vbd->refused);
	fput(file);
}

/* The connection goes while the disk is being retired, and then its time is over. */
void retire_ends_when_requests_fail(struct kunit *test)
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

/* Add a disk. Its partition scan is under way, and waits for an answer. */
static struct xpv_vbd *create_and_scan(struct kunit *test)
{
	struct xpv_vbd *vbd = create(test, &plain);

	vbd->hold = true;
	xpv_disk_add(vbd->disk);
	KUNIT_EXPECT_TRUE(test, held_becomes(vbd, 1));
	return vbd;
}

/* The answer to the scan comes late. */
void retire_waits_for_the_add(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_scan(test);

	xpv_disk_retire(vbd->disk);
	vbd->hold = false;
	xpv_disk_complete(take_held(vbd, 0));
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&vbd->retired, 10 * HZ));
	KUNIT_EXPECT_FALSE(test, disk_live(vbd->disk->gendisk));
	disconnect(vbd);
}

/* The connection is lost during the scan: it goes on with the next one. */
void scan_survives_a_lost_connection(struct kunit *test)
{
	struct xpv_vbd *vbd = create_and_scan(test);

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
void opener_outlives_the_disk(struct kunit *test)
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
