// SPDX-License-Identifier: GPL-2.0-only
#include "blkfront/vbd.hh"

#include "hypervisor/suspend_part.h"
#include "lib/log.hh"
#include "xenbus/xenbus.h"

using namespace xpv;

namespace {

/* All of them, to be looked at. */
struct All {
	Mutex mutex;
	List<xpv_vbd> list;
};

constinit All *all = nullptr;
constinit xpv_lock_class all_class = {};

xpv_vbd *vbd_of(const xpv_device *device)
{
	return reinterpret_cast<xpv_vbd *>(xpv_device_get_context(device));
}

} // namespace

/* ---- Handshake ---- */

Status xpv_vbd::negotiate()
{
	/* After a restore, ring and disk have lost their backend and get another. */
	if (ring_) {
		XPV_TRY(ring_->restart(xpv_device_backend_domain(device_)));
		XPV_TRY(make_channel());
		return publish();
	}
	/* What fails half way is undone by disconnect(), as everything else is. */
	auto ring = XPV_TRY(Ring::make(xpv_device_backend_domain(device_), handle_));
	set_ring(static_cast<Owned<Ring> &&>(ring));
	auto done = make_channel();
	if (done.ok())
		done = publish();
	if (!done.ok())
		disconnect();
	return done;
}

/* One that was lost keeps its irq, and with it the affinity. */
Status xpv_vbd::make_channel()
{
	Domid backend = xpv_device_backend_domain(device_);
	if (channel_)
		return xpv_event_channel_lost(channel_) ?
			       status(xpv_event_channel_rebind_unbound(channel_, backend)) :
			       Status();
	xpv_event_channel *channel = nullptr;
	const xpv_event_channel_args args = { .name = identity_.name,
					      .flags = XPV_EVENT_HARD,
					      .handler = on_event,
					      .context = reinterpret_cast<xpv_event_context *>(this) };
	XPV_TRY(status(xpv_event_channel_alloc_unbound(backend, &args, &channel)));
	write_once(channel_, channel);
	return {};
}

Status xpv_vbd::publish()
{
	char reference[16];
	char port[16];
	xpv_format(reference, sizeof(reference), "%u", ring_->reference().value);
	xpv_format(port, sizeof(port), "%u", xpv_event_channel_port(channel_).value);
	xpv_store_write_item items[] = {
		{ .path = "ring-ref", .value = reference, .result = 0 },
		{ .path = "event-channel", .value = port, .result = 0 },
		{ .path = "protocol", .value = "x86_64-abi", .result = 0 },
	};
	return status(xpv_device_initialised(device_, items, sizeof(items) / sizeof(items[0])));
}

Status xpv_vbd::connect()
{
	auto offer = XPV_TRY(read_offer(device_));
	if (disk_)
		return connect_again(offer);
	ring_->set_flush(offer.flush);

	xpv_disk_shape shape = {};
	static_assert(sizeof(shape.name) == sizeof(identity_.name));
	__builtin_memcpy(shape.name, identity_.name, sizeof(shape.name));
	shape.first_minor = identity_.first_minor;
	shape.minors = identity_.minors;
	shape.sectors = offer.sectors;
	shape.logical_block_size = offer.sector_size;
	shape.physical_block_size = offer.physical_sector_size;
	shape.queue_depth = Ring::slots;
	shape.write_cache = offer.flush != Flush::None;
	shape.write_through = offer.flush == Flush::Barrier;
	shape.read_only = offer.read_only;
	shape.removable = offer.removable;
	xpv_disk *disk = nullptr;
	XPV_TRY(status(xpv_disk_create(xpv_device_linux(device_), &shape, this, &disk)));
	set_disk(disk);
	sectors_ = offer.sectors;
	sector_size_ = offer.sector_size;
	XPV_INFO("%s: %s, %llu sectors, block size %u (physical %u), %s%s", xpv_device_path(device_), identity_.name,
		 static_cast<unsigned long long>(offer.sectors), offer.sector_size, offer.physical_sector_size,
		 offer.flush == Flush::Cache   ? "flush cache" :
		 offer.flush == Flush::Barrier ? "barriers" :
						 "no write cache",
		 offer.read_only ? ", read-only" : "");
	xpv_disk_add(disk_);
	return {};
}

/* The disk is stopped, and what it did not finish waits with what came since. */
Status xpv_vbd::connect_again(const Offer &offer)
{
	if (offer.sector_size != sector_size_) {
		XPV_ERR("%s: its blocks had %u bytes and now have %u: not the disk that it was", identity_.name,
			sector_size_, offer.sector_size);
		return Error(XEN_EINVAL);
	}
	ring_->set_flush(offer.flush);
	xpv_disk_set_cache(disk_, offer.flush != Flush::None, offer.flush == Flush::Barrier);
	XPV_INFO("%s: connected again, %llu sectors", identity_.name, static_cast<unsigned long long>(offer.sectors));
	{
		MutexGuard guard(all->mutex);
		start_disk_locked(Stopped::Lost);
	}
	if (offer.sectors != sectors_) {
		sectors_ = offer.sectors;
		xpv_disk_resize(disk_, sectors_);
	}
	return {};
}

/*
 * The disk stays, stopped, and waits for however long the bus waits for the
 * backend. The ring stays too: Linux may just now poll it.
 */
void xpv_vbd::connection_lost()
{
	if (disk_) {
		MutexGuard guard(all->mutex);
		stop_disk_locked(Stopped::Lost);
		/* From here on it is this that keeps it. */
		stopped_ = static_cast<unsigned int>(Stopped::Lost);
	}
	Ring::Completions unfinished;
	ring_->lose(unfinished);
	if (disk_)
		xpv_disk_requeue(disk_, unfinished.items, unfinished.count);
	if (unfinished.count != 0)
		XPV_INFO("%s: %u requests will be done again", identity_.name, unfinished.count);
}

bool xpv_vbd::begin_stop_locked(Stopped reason)
{
	bool running = disk_ && stopped_ == 0;
	if (running)
		xpv_disk_begin_stop(disk_);
	if (disk_)
		stopped_ |= static_cast<unsigned int>(reason);
	return running;
}

void xpv_vbd::stop_disk_locked(Stopped reason)
{
	if (begin_stop_locked(reason))
		xpv_disks_wait_stopped();
}

void xpv_vbd::start_disk_locked(Stopped reason)
{
	unsigned int left = stopped_ & ~static_cast<unsigned int>(reason);
	if (disk_ && stopped_ != 0 && left == 0)
		xpv_disk_start(disk_);
	stopped_ = left;
}

void xpv_vbd::backend_changed()
{
	if (!disk_)
		return;
	auto sectors = read_sectors(device_);
	/* It may be busy writing; the size stays as it is. */
	if (!sectors.ok() || sectors.value() == sectors_)
		return;
	sectors_ = sectors.value();
	static constinit xpv_log_limit limit = {};
	if (xpv_log_permitted(&limit))
		XPV_INFO("%s: now %llu sectors", identity_.name, static_cast<unsigned long long>(sectors_));
	xpv_disk_resize(disk_, sectors_);
}

/* Also undoes a negotiate() that failed, so any part may be missing. */
void xpv_vbd::disconnect()
{
	/* From here requests are refused and events ignored; those on their way are waited for. */
	ring_->shut();
	xpv_disk *disk = disk_;
	{
		/* Nobody but us stops or starts it from here on. */
		MutexGuard guard(all->mutex);
		stop_disk_locked(Stopped::Lost);
		stopped_ = 0;
		disk_ = nullptr;
	}
	xpv_event_channel_close(channel_);
	channel_ = nullptr;

	Ring::Completions completions;
	ring_->abort(completions);
	xpv_disk_complete(completions.items, completions.count);

	if (disk) {
		xpv_disk_start(disk);
		xpv_disk_remove(disk);
	}
	set_ring({});
}

void xpv_vbd::set_disk(xpv_disk *disk)
{
	MutexGuard guard(all->mutex);
	disk_ = disk;
	stopped_ = 0;
}

void xpv_vbd::set_ring(Owned<Ring> ring)
{
	MutexGuard guard(all->mutex);
	ring_ = static_cast<Owned<Ring> &&>(ring);
}

/* With the list's mutex held. */
xpv_vbd_state xpv_vbd::state() const
{
	return { .name = identity_.name,
		 .path = xpv_device_path(device_),
		 .sectors = read_once(sectors_),
		 .in_flight = ring_ ? ring_->in_flight() : 0,
		 .connected = read_once(disk_) != nullptr };
}

xpv_vbd::~xpv_vbd()
{
	if (ring_)
		disconnect();
}

void xpv_vbd::add_failed(int error)
{
	xpv_device_fail(device_, error, "cannot add disk %s", identity_.name);
}

/* ---- Requests and events ---- */

/* The channel cannot go meanwhile: disconnect() stops the queue before. */
void xpv_vbd::notify()
{
	int code = xpv_event_channel_notify(channel_);
	if (code < 0)
		XPV_ERR_LIMITED("%s: cannot notify the backend: %d", identity_.name, code);
}

xpv_block_submitted xpv_vbd::submit(request *owner, xpv_block_operation operation, uint64_t sector,
				    const xpv_block_segments &segments, bool last)
{
	bool wanted = false;
	auto submitted = ring_->submit(owner, operation, sector, segments, last, wanted);
	if (wanted)
		notify();
	return submitted;
}

void xpv_vbd::commit()
{
	if (ring_->commit())
		notify();
}

void xpv_vbd::on_event(xpv_event_context *context)
{
	auto *vbd = reinterpret_cast<xpv_vbd *>(context);
	xpv_event_channel *channel = read_once(vbd->channel_);
	if (!vbd->respond() && channel)
		xpv_event_channel_spurious(channel);
}

bool xpv_vbd::respond()
{
	Ring::Completions completions;
	auto violation = ring_->collect(completions);
	if (completions.went_on)
		commit();
	xpv_disk_complete(completions.items, completions.count);
	if (!violation)
		return completions.count != 0 || completions.went_on;
	/*
	 * Asynchronous: the bus calls disconnect() soon, which ends what is in
	 * flight. Until then further events would be for nothing.
	 */
	xpv_device_fail(device_, -XEN_EIO, "%s %llu", violation.what, static_cast<unsigned long long>(violation.number));
	if (auto *channel = read_once(channel_))
		xpv_event_channel_mask(channel);
	return true;
}

/* ---- For the C files ---- */

xpv_block_submitted xpv_vbd_submit(xpv_vbd *vbd, request *request, xpv_block_operation operation, uint64_t sector,
				   const xpv_block_segments *segments, bool last)
{
	return vbd->submit(request, operation, sector, *segments, last);
}

void xpv_vbd_commit(xpv_vbd *vbd)
{
	vbd->commit();
}

void xpv_vbd_poll(xpv_vbd *vbd)
{
	static_cast<void>(vbd->respond());
}

void xpv_vbd_add_failed(xpv_vbd *vbd, int error)
{
	vbd->add_failed(error);
}

int xpv_vbd_probe(xpv_device *device)
{
	enum { VirtualDevice, VirtualDeviceExt, DeviceType, Keys };
	char values[Keys][32];
	xpv_store_read_item items[Keys] = {
		{ .path = "virtual-device", .value = values[VirtualDevice], .size = sizeof(values[0]), .result = 0 },
		{ .path = "virtual-device-ext", .value = values[VirtualDeviceExt], .size = sizeof(values[0]), .result = 0 },
		{ .path = "device-type", .value = values[DeviceType], .size = sizeof(values[0]), .result = 0 },
	};
	int code = xpv_device_read_own(device, items, Keys);
	if (code < 0)
		return code;

	if (items[DeviceType].result >= 0 && __builtin_strncmp(values[DeviceType], "cdrom", 5) == 0) {
		XPV_INFO("%s: a CD-ROM drive: left to the emulated one", xpv_device_path(device));
		xpv_store_write_item closed = { .path = "state", .value = "6" /* XenbusStateClosed */, .result = 0 };
		ignore(status(xpv_device_publish(device, &closed, 1))); /* a courtesy to whoever waits for us */
		return -XEN_ENODEV;
	}

	const char *text = items[VirtualDevice].result >= 0    ? values[VirtualDevice] :
			   items[VirtualDeviceExt].result >= 0 ? values[VirtualDeviceExt] :
								 xpv_device_id(device);
	auto number = parse_number(text);
	if (!number.ok()) {
		XPV_ERR("%s: its virtual device number is none: \"%s\"", xpv_device_path(device), text);
		return number.code();
	}
	auto identity = identify(number.value());
	if (!identity.ok()) {
		XPV_ERR("%s: virtual device number %#llx is of no disk; use an xvd name in the domain's configuration",
			xpv_device_path(device), static_cast<unsigned long long>(number.value()));
		return identity.code();
	}

	/* The backend ignores the handle; it is the device's id, cut to the field's 16 bits. */
	auto handle = static_cast<uint16_t>(parse_number(xpv_device_id(device)).value_or(0));
	auto vbd = make<xpv_vbd>(XPV_MAY_SLEEP, device, identity.value(), handle);
	if (!vbd.ok())
		return vbd.code();
	xpv_vbd *made = vbd.value().release();
	xpv_device_set_context(device, reinterpret_cast<xpv_device_context *>(made));
	MutexGuard guard(all->mutex);
	all->list.push_back(*made);
	return 0;
}

int xpv_vbd_negotiate(xpv_device *device)
{
	return vbd_of(device)->negotiate().code();
}

int xpv_vbd_connect(xpv_device *device)
{
	return vbd_of(device)->connect().code();
}

void xpv_vbd_backend_changed(xpv_device *device)
{
	vbd_of(device)->backend_changed();
}

void xpv_vbd_disconnect(xpv_device *device)
{
	vbd_of(device)->disconnect();
}

void xpv_vbd_connection_lost(xpv_device *device)
{
	vbd_of(device)->connection_lost();
}

/* ---- The part in a suspend ---- */

namespace {

/* A grace period of RCU serves them all. */
int prepare(uint64_t)
{
	MutexGuard guard(all->mutex);
	bool stopping = false;
	for (xpv_vbd &vbd : all->list)
		stopping |= vbd.hold_locked();
	if (stopping)
		xpv_disks_wait_stopped();
	return 0;
}

void go_on()
{
	MutexGuard guard(all->mutex);
	for (xpv_vbd &vbd : all->list)
		vbd.go_on_locked();
}

/* In a restored domain each goes on when it has a backend again. */
void resume_late(xpv_resume_kind kind)
{
	if (kind == XPV_RESUME_CANCELLED)
		go_on();
}

} // namespace

constinit xpv_suspend_part xpv_vbds_suspend_part = {
	.name = "disks",
	.layer = XPV_SUSPEND_DEVICES,
	.prepare = prepare,
	.abandon = go_on,
	.suspend_early = nullptr,
	.resume_early = nullptr,
	.resume_cpu = nullptr,
	.resume_late = resume_late,
	.next = nullptr,
	.prepared = false,
};

void xpv_vbd_remove(xpv_device *device)
{
	Owned<xpv_vbd> freed_here(vbd_of(device));
	xpv_device_set_context(device, nullptr);
	MutexGuard guard(all->mutex);
	freed_here->unlink();
}

int xpv_vbds_start(void)
{
	auto made = make<All>(XPV_MAY_SLEEP);
	if (!made.ok())
		return made.code();
	all = made.value().release();
	all->mutex.init("xpv vbds", all_class);
	return 0;
}

void xpv_vbds_stop(void)
{
	Owned<All> last(all);
	all = nullptr;
}

void xpv_vbds_each(void (*look)(struct xpv_vbd_viewer *viewer, const struct xpv_vbd_state *state),
		   struct xpv_vbd_viewer *viewer)
{
	MutexGuard guard(all->mutex);
	for (const xpv_vbd &vbd : all->list) {
		xpv_vbd_state state = vbd.state();
		look(viewer, &state);
	}
}
