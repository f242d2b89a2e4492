// SPDX-License-Identifier: GPL-2.0-only
/* Set up and end connections when the bus calls, keep the disk across them, and drain requests before a suspend. */
#include "blkfront/vbd.hh"

#include "blkfront/registry.hh"
#include "lib/log.hh"
#include "lib/number.hh"

using namespace xpv;

namespace {

/* One queue: multi-queue rings, which have to be negotiated with each backend, are not supported yet. */
constexpr unsigned int queue_count = 1;

/* Return the device's id, cut to the 16 bits of the handle field. The backend ignores the handle. */
uint16_t handle_of(const xpv_device *device)
{
	return static_cast<uint16_t>(parse_number(xpv_device_id(device)).value_or(0));
}

} // namespace

/* ---- Life ---- */

Result<Owned<xpv_vbd>> xpv_vbd::make(xpv_device *device, const DiskIdentity &identity)
{
	auto vbd = XPV_TRY(xpv::make<xpv_vbd>(XPV_MAY_SLEEP, device, identity));
	vbd->queues_ = XPV_TRY(Array<xpv_block_queue *>::make(queue_count, XPV_MAY_SLEEP));
	for (xpv_block_queue *&queue : vbd->queues_) {
		auto made = XPV_TRY(xpv::make<xpv_block_queue>(XPV_MAY_SLEEP, *vbd));
		queue = made.release();
	}
	registry_add(*vbd);
	return vbd;
}

xpv_vbd::~xpv_vbd()
{
	registry_remove(*this);
	disconnect();
	for (xpv_block_queue *queue : queues_)
		Owned<xpv_block_queue> freed_here(queue);
}

/* ---- Handshake ---- */

Status xpv_vbd::negotiate()
{
	if (lost_) {
		unsigned int count = lost_->retry_revoke();
		if (count != 0) {
			XPV_ERR_LIMITED("%s: backend of the lost connection still maps %u pages, not reconnecting yet",
					name(), count);
			return Error(XEN_EBUSY);
		}
		drop_lost_connection();
	}
	left_mapped_.retry();
	connection_ = XPV_TRY(Connection::make(queues(), xpv_device_backend_domain(device_), handle_of(device_), name()));
	auto published = connection_->publish(device_);
	/* The backend may have read the keys nevertheless, so end the connection in full. */
	if (!published.ok())
		end_connection(false);
	return published;
}

Status xpv_vbd::connect()
{
	auto backend = XPV_TRY(read_backend_parameters(device_));
	if (disk_)
		XPV_TRY(disk_->check(backend));
	connection_->set_features(backend);
	if (disk_) {
		disk_->requeue_kept();
		XPV_NOTICE_LIMITED("%s: reconnected to the backend, %llu sectors", name(),
				   static_cast<unsigned long long>(backend.sectors));
		disk_->start(Disk::Reason::connection_lost);
		/* After start(): a uevent takes locks whose holders may allocate memory, and so wait for this disk. */
		disk_->follow(backend);
	} else {
		disk_ = XPV_TRY(Disk::make(device_, this, identity_, queues(), connection_->depth(), backend));
		disk_->add();
	}
	/* The backend may have unmapped the last connection's ring only when it connected to this one. */
	left_mapped_.retry();
	write_once(sectors_, backend.sectors);
	write_once(state_, "connected");
	return {};
}

void xpv_vbd::backend_changed()
{
	if (!disk_)
		return;
	auto sectors = read_sectors(device_);
	/* The toolstack may be writing the node right now: keep the size. */
	if (!sectors.ok())
		return;
	disk_->resize(sectors.value());
	write_once(sectors_, sectors.value());
}

/* End the connection. The disk must be stopped, if there is one. */
void xpv_vbd::end_connection(bool final)
{
	if (!connection_)
		return;
	RequestList none; /* stays empty: without a disk there are no requests */
	RequestList &unfinished = disk_ ? disk_->kept() : none;
	connection_->end(unfinished, !final);
	lost_ = std::move(connection_);
	/* Without a disk there are no requests that must wait for the backend to unmap. */
	if (final || !disk_ || lost_->retry_revoke() == 0)
		drop_lost_connection();
}

/* Free the lost connection, and park pages that are still mapped. Must run before their requests end. */
void xpv_vbd::drop_lost_connection()
{
	if (!lost_)
		return;
	report_parked(lost_->leave(left_mapped_));
	lost_.reset();
}

void xpv_vbd::report_parked(unsigned int pages)
{
	if (pages != 0)
		xpv_device_parked(device_, pages);
}

void xpv_vbd::connection_lost()
{
	if (disk_) {
		disk_->begin_stop(Disk::Reason::connection_lost);
		disk_->wait_stopped();
		write_once(state_, "stopped");
	}
	end_connection(false);
	if (disk_)
		XPV_NOTICE_LIMITED("%s: connection to the backend lost, %u requests without response", name(),
				   disk_->kept().count());
}

void xpv_vbd::retire()
{
	if (disk_)
		disk_->retire();
	else
		xpv_device_retired(device_);
}

void xpv_vbd::disconnect()
{
	if (disk_) {
		disk_->begin_stop(Disk::Reason::connection_lost);
		disk_->wait_stopped();
	}
	end_connection(true);
	drop_lost_connection();
	report_parked(left_mapped_.park());
	for (xpv_block_queue *queue : queues_)
		if (queue)
			queue->close_channel(false);
	if (disk_)
		disk_->remove();
	disk_.reset();
	write_once(state_, "-");
}

/* ---- Suspend ---- */

void xpv_vbd::hold()
{
	if (disk_)
		disk_->begin_stop(Disk::Reason::suspend);
}

Status xpv_vbd::drain(uint64_t deadline_ms)
{
	if (!disk_)
		return {};
	disk_->wait_stopped();
	/* Either requests_completed(), which runs after taking the ring's lock, sees this, or we see the completion. */
	write_once(draining_, true);
	bool drained = drained_.wait_until(Deadline::at(deadline_ms), [this] { return in_flight() == 0; });
	write_once(draining_, false);
	if (!drained)
		XPV_WARNING("%s: %u requests still in flight at the suspend", name(), in_flight());
	/*
	 * Wait for these too: after a restore we could not detect that the old backend
	 * still executes a request that is submitted again.
	 */
	if (!poll_until(Deadline::at(deadline_ms), [this] { return !lost_ || lost_->retry_revoke() == 0; }))
		XPV_WARNING("%s: backend of the lost connection still maps %u pages at the suspend", name(),
			    lost_->retry_revoke());
	return {};
}

void xpv_vbd::go_on(xpv_resume_kind kind)
{
	if (!disk_)
		return;
	/* connection_lost() follows if there is a connection. */
	if (kind == XPV_RESUME_RESTORED)
		disk_->begin_stop(Disk::Reason::connection_lost);
	disk_->start(Disk::Reason::suspend);
}

/* ---- Queues and work items ---- */

unsigned int xpv_vbd::in_flight() const
{
	unsigned int count = 0;
	for (xpv_block_queue *queue : queues_)
		count += queue->in_flight();
	return count;
}

void xpv_vbd::requests_completed()
{
	if (read_once(draining_))
		drained_.wake_all();
}

void xpv_vbd::fail(const Ring::Violation &violation)
{
	xpv_device_fail(device_, -XEN_EIO, "%s %llu", violation.what, static_cast<unsigned long long>(violation.number));
}

void xpv_vbd::add_failed(int error)
{
	xpv_device_fail(device_, error, "cannot add disk %s", name());
}

void xpv_vbd::retired()
{
	xpv_device_retired(device_);
}

void xpv_vbd::show(xpv_debug_sink *sink) const
{
	xpv_debug_print(sink, "%-8s %-24s %-12s %12llu %9u\n", name(), xpv_device_path(device_), read_once(state_),
			static_cast<unsigned long long>(read_once(sectors_)), in_flight());
}
