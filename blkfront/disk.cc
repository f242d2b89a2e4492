// SPDX-License-Identifier: GPL-2.0-only
/* Create Linux's disk, let it follow a later backend's size and write permission, and stop it while a reason is set. */
#include "blkfront/disk.hh"

#include "lib/log.hh"

using namespace xpv;

namespace xpv {

namespace {

const char *describe(Flush flush)
{
	switch (flush) {
	case Flush::none:
		return "no write cache";
	case Flush::cache:
		return "flush cache";
	case Flush::barrier:
		return "barriers";
	}
	return "";
}

} // namespace

Disk::Disk(const DiskIdentity &identity, const BackendParameters &backend)
    : identity_(identity), logical_block_size_(backend.sector_size), sectors_(backend.sectors),
      read_only_(backend.read_only)
{
}

Disk::~Disk()
{
	if (disk_)
		remove();
}

Result<Owned<Disk>> Disk::make(xpv_device *device, xpv_vbd *vbd, const DiskIdentity &identity, const QueueArray &queues,
			       unsigned int depth, const BackendParameters &backend)
{
	auto disk = XPV_TRY(xpv::make<Disk>(XPV_MAY_SLEEP, identity, backend));
	xpv_disk_parameters parameters = {};
	static_assert(sizeof(parameters.name) == sizeof(identity.name));
	__builtin_memcpy(parameters.name, identity.name, sizeof(parameters.name));
	parameters.first_minor = identity.first_minor;
	parameters.minors = identity.minors;
	parameters.queues = queues.queues;
	parameters.queue_count = queues.count;
	parameters.queue_depth = depth;
	parameters.max_segments = max_segments;
	parameters.sectors = backend.sectors;
	parameters.logical_block_size = backend.sector_size;
	parameters.physical_block_size = backend.physical_sector_size;
	parameters.read_only = backend.read_only;
	parameters.removable = backend.removable;
	XPV_TRY(status(xpv_disk_create(xpv_device_linux(device), &parameters, vbd, &disk->disk_)));
	XPV_INFO("%s: %s, %llu sectors, block size %u (physical %u), %s%s", xpv_device_path(device), identity.name,
		 static_cast<unsigned long long>(backend.sectors), backend.sector_size, backend.physical_sector_size,
		 describe(backend.flush), backend.read_only ? ", read-only" : "");
	return disk;
}

/* A backend with smaller sectors can execute all our requests; one with larger sectors cannot. */
Status Disk::check(const BackendParameters &backend) const
{
	if (backend.sector_size <= logical_block_size_)
		return {};
	XPV_ERR_LIMITED("%s: backend's sector size %u is larger than the disk's %u, the disk stays stopped",
			identity_.name, backend.sector_size, logical_block_size_);
	return Error(XEN_EINVAL);
}

void Disk::follow(const BackendParameters &backend)
{
	if (backend.read_only != read_only_) {
		read_only_ = backend.read_only;
		XPV_NOTICE_LIMITED("%s: backend is now %s", identity_.name, read_only_ ? "read-only" : "writable");
		xpv_disk_set_read_only(disk_, read_only_);
	}
	resize(backend.sectors);
}

void Disk::resize(uint64_t sectors)
{
	if (sectors == sectors_)
		return;
	write_once(sectors_, sectors);
	XPV_NOTICE_LIMITED("%s: capacity changed to %llu sectors", identity_.name,
			   static_cast<unsigned long long>(sectors_));
	xpv_disk_resize(disk_, sectors_);
}

void Disk::begin_stop(Reason reason)
{
	if (reasons_ == 0) {
		xpv_disk_begin_stop(disk_);
		stopping_ = true;
	}
	reasons_ |= static_cast<unsigned int>(reason);
}

void Disk::wait_stopped()
{
	if (stopping_)
		xpv_disk_wait_stopped(disk_);
	stopping_ = false;
}

void Disk::start(Reason reason)
{
	if (reasons_ == 0)
		return;
	reasons_ &= ~static_cast<unsigned int>(reason);
	if (reasons_ != 0)
		return;
	stopping_ = false;
	xpv_disk_start(disk_);
}

void Disk::requeue_kept()
{
	if (kept_.empty())
		return;
	xpv_disk_requeue(disk_, kept_.take_all());
}

void Disk::remove()
{
	begin_stop(Reason::connection_lost);
	wait_stopped();
	kept_.fail_all(-XEN_EIO);
	if (xpv_block_request *first = kept_.take_all())
		xpv_disk_complete(first);
	reasons_ = 0;
	xpv_disk_start(disk_);
	xpv_disk_remove(disk_);
	disk_ = nullptr;
}

} // namespace xpv
