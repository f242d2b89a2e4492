// SPDX-License-Identifier: GPL-2.0-only
/* Disks that record what blkfront does to them, and expect stop, start and removal in a valid order. */
#include "tests/host/fake/blkfront.hh"

#include <utility>

#include "tests/host/blkfront_backend.hh"

std::vector<xpv_disk *> fake::disks;
int fake::disk_error;
unsigned int fake::grace_periods;
std::map<xpv_block_request *, std::vector<int>> fake::ended;

using namespace fake;

xpv_disk *fake::the_disk()
{
	return disks.empty() ? nullptr : disks.back();
}

int xpv_disk_create(struct device *, const xpv_disk_parameters *parameters, xpv_vbd *vbd, xpv_disk **disk)
{
	if (disk_error)
		return disk_error;
	*disk = new xpv_disk{ *parameters, vbd, {}, {} };
	(*disk)->queues.assign(parameters->queues, parameters->queues + parameters->queue_count);
	(*disk)->read_only = parameters->read_only;
	disks.push_back(*disk);
	return 0;
}

void xpv_disk_add(xpv_disk *disk)
{
	disk->added = true;
}

void xpv_disk_retire(xpv_disk *disk)
{
	disk->retiring = true;
}

void xpv_disk_begin_stop(xpv_disk *disk)
{
	EXPECT_FALSE(disk->stopping || disk->stopped);
	disk->stopping = true;
}

void xpv_disk_wait_stopped(xpv_disk *disk)
{
	if (!disk->stopping)
		return;
	/* One for all that began before. */
	grace_periods++;
	for (xpv_disk *one : disks)
		one->stopped |= std::exchange(one->stopping, false);
}

void xpv_disk_start(xpv_disk *disk)
{
	EXPECT_TRUE(disk->stopped || disk->stopping);
	disk->stopped = disk->stopping = false;
	/* As Linux dispatches them, maybe to a disk that has no backend any more. */
	for (xpv_block_request *one : std::exchange(disk->requeued, {}))
		if (xpv_block_submit(disk->queues[0], one, true) == XPV_BLOCK_DEAD)
			ended[one].push_back(-XEN_EIO);
}

void xpv_disk_requeue(xpv_disk *disk, xpv_block_request *requests)
{
	EXPECT_TRUE(disk->stopped);
	for (; requests; requests = requests->next)
		disk->requeued.push_back(requests);
}

void xpv_disk_resize(xpv_disk *disk, uint64_t sectors)
{
	disk->resized = sectors;
}

void xpv_disk_set_read_only(xpv_disk *disk, bool read_only)
{
	disk->read_only = read_only;
}

void xpv_disk_remove(xpv_disk *disk)
{
	EXPECT_FALSE(disk->stopped);
	/* What Linux still has queued must be refused. */
	xpv_test::BlockRequest late(XPV_BLOCK_READ, 0, 1);
	for (xpv_block_queue *queue : disk->queues) {
		EXPECT_EQ(xpv_block_submit(queue, &late, true), XPV_BLOCK_DEAD);
		xpv_block_commit(queue);
		xpv_block_poll(queue);
	}
	/* The work item of a retire that is under way ends with the requests. */
	if (disk->retiring && !disk->retired)
		xpv_vbd_retired(disk->vbd);
	std::erase(disks, disk);
	delete disk;
}

void xpv_disk_complete(xpv_block_request *requests)
{
	for (; requests; requests = requests->next)
		ended[requests].push_back(requests->error);
}
