// SPDX-License-Identifier: GPL-2.0-only
/* Scan device/ for devices that were added, replaced, moved or removed; hold and drain all devices for a suspend. */
#include "xenbus/bus/bus.hh"

#include "lib/log.hh"
#include "lib/ordering.hh"
#include "xenbus/store/store.hh"

using namespace xpv;

namespace xpv {

namespace {

constexpr unsigned int retry_ms = 1000;
constexpr unsigned int wait_slice_ms = 10000;
/* How long requests in flight may take to complete when a suspend begins. */
constexpr unsigned int drain_ms = 10000;

/* The names in a directory of xenstore; empty if the directory does not exist. */
class Directory {
public:
	Directory(const Directory &) = delete;
	Directory &operator=(const Directory &) = delete;
	Directory(Directory &&other) : names_(std::exchange(other.names_, nullptr)), left_(other.left_), at_(other.at_)
	{
	}
	Directory &operator=(Directory &&) = delete;
	~Directory() { xpv_free(names_); }

	[[nodiscard]] static Result<Directory> read(const char *path)
	{
		char *names = nullptr;
		size_t length = 0;
		Status read = status(xpv_store_directory(XPV_STORE_NO_TRANSACTION, path, &names, &length));
		if (!read.ok() && !(read.error() == XEN_ENOENT))
			return read.error();
		return Directory(names, length);
	}
	/* Return the next name that is acceptable for a device or a type; empty after the last. */
	[[nodiscard]] std::string_view next()
	{
		while (left_ != 0) {
			std::string_view name(at_);
			at_ += name.size() + 1;
			left_ -= name.size() + 1;
			if (acceptable_name(name))
				return name;
		}
		return {};
	}
	/* Return how many more names next() will return. */
	[[nodiscard]] unsigned int count() const
	{
		Directory rest(nullptr, left_);
		rest.at_ = at_;
		unsigned int names = 0;
		while (!rest.next().empty())
			names++;
		return names;
	}

private:
	Directory(char *names, size_t length) : names_(names), left_(length), at_(names) {}

	char *names_;
	size_t left_;
	const char *at_;
};

} // namespace

bool may_be_device_change(const char *path)
{
	/* "device", "device/vbd", "device/vbd/51712", and in the last only the keys that identify the backend. */
	std::string_view rest(path);
	for (unsigned int part = 0; part < 3; part++) {
		size_t slash = rest.find('/');
		if (slash == rest.npos)
			return true;
		rest = std::string_view(rest.data() + slash + 1, rest.size() - slash - 1);
	}
	return rest == "backend" || rest == "backend-id";
}

Status Bus::start()
{
	XPV_TRY(thread_.start("xpv-bus"));
	/* xenstored sends one event for a new watch; it triggers the first scan. */
	watch_ = XPV_TRY(store().watches.add(
		"device", [](xpv_store_watch_context *context, const char *) { static_cast<Bus *>(context)->rescan(); },
		this, may_be_device_change));
	return {};
}

Bus::~Bus()
{
	xpv_store_watch_unregister(watch_);
	write_once(stopping_, true);
	wait_queue_.wake_all();
	thread_.stop();
	while (Device *device = devices_.front())
		remove(*device);
}

bool Bus::has_work()
{
	return read_once(stopping_) || (read_once(wanted_) && !gate_.closed());
}

void Bus::run()
{
	/* Memory reclaim must not write to a disk that waits for this thread. */
	NoIoScope no_io;
	while (!read_once(stopping_)) {
		if (!wait_queue_.wait_ms(wait_slice_ms, [&] { return has_work(); }))
			continue;
		Status looked;
		{
			Gate::Pass pass(gate_);
			if (read_once(stopping_) || !pass || !exchange(wanted_, false))
				continue;
			looked = scan();
		}
		if (looked.ok())
			continue;
		XPV_ERR_LIMITED("cannot read the list of devices from xenstore (%pe), retrying", err_ptr(looked.code()));
		write_once(wanted_, true);
		/* The result does not matter: the loop checks stopping_. */
		ignore(wait_queue_.wait_ms(retry_ms, [&] { return read_once(stopping_); }));
	}
}

struct Bus::Found {
	FixedText<DeviceIdentity::name_capacity> type;
	FixedText<DeviceIdentity::name_capacity> id;
	FixedText<2 * DeviceIdentity::name_capacity + 24> backend_key;
	FixedText<2 * DeviceIdentity::name_capacity + 24> backend_id_key;
	FixedText<2 * DeviceIdentity::name_capacity + 24> tag_path;
	char backend[256];
	char backend_id[8];
	char tag[24];
	std::string_view read_tag; /* in `tag`; empty if there is no tag */
	bool was_tagged; /* before the read: if so, a missing tag means that this is another device's directory */

	[[nodiscard]] Status assign(std::string_view of_type, std::string_view with_id)
	{
		XPV_TRY(type.assign({ of_type }));
		XPV_TRY(id.assign({ with_id }));
		XPV_TRY(backend_key.assign({ "device/", of_type, "/", with_id, "/backend" }));
		XPV_TRY(backend_id_key.assign({ "device/", of_type, "/", with_id, "/backend-id" }));
		return tag_path.assign({ "device/", of_type, "/", with_id, "/", tag_key });
	}
};

/* Update the list of devices from xenstore. On an error no device is removed. */
Status Bus::scan()
{
	XPV_TRY(relocate_restored());
	for (Device &device : devices_)
		device.seen = false;
	auto types = XPV_TRY(Directory::read("device"));
	Array<Found> found;
	for (std::string_view type = types.next(); !type.empty(); type = types.next())
		XPV_TRY(list_type(type, found));
	XPV_TRY(scan_devices(found));
	for (Device &device : devices_)
		if (!device.seen)
			remove(device);
	return {};
}

/* Append the devices of this type to `found`. */
Status Bus::list_type(std::string_view type, Array<Found> &found)
{
	FixedText<DeviceIdentity::name_capacity + 8> path;
	XPV_TRY(path.assign({ "device/", type }));
	auto ids = XPV_TRY(Directory::read(path.get()));
	auto before = static_cast<unsigned int>(found.size());
	unsigned int count = ids.count();
	if (count > devices_limit - before) {
		XPV_ERR_LIMITED("%s: %u devices, ignoring all but %u", path.get(), count, devices_limit - before);
		count = devices_limit - before;
	}
	auto longer = XPV_TRY(Array<Found>::make(static_cast<size_t>(before) + count, XPV_MAY_SLEEP));
	for (unsigned int i = 0; i < before; i++)
		longer[i] = found[i];
	for (unsigned int i = before; i < before + count; i++)
		XPV_TRY(longer[i].assign(type, ids.next()));
	found = std::move(longer);
	return {};
}

/*
 * Relocate the devices that wait for it after a restore. They most likely still
 * exist, so this does not wait until the directories are read.
 */
Status Bus::relocate_restored()
{
	unsigned int count = 0;
	for (Device &device : devices_)
		count += device.waits_for_bus();
	if (count == 0)
		return {};
	auto found = XPV_TRY(Array<Found>::make(count, XPV_MAY_SLEEP));
	unsigned int i = 0;
	/* The count cannot change: only this thread calls relocate(), and restored() does not run during a scan. */
	for (Device &device : devices_)
		if (device.waits_for_bus())
			XPV_TRY(found[i++].assign(device.identity().type.view(), device.identity().id.view()));
	return scan_devices(found);
}

/* Read each device's backend and tag, in one round trip for all devices, and update the list. */
Status Bus::scan_devices(Array<Found> &found)
{
	constexpr unsigned int keys = 3;
	auto count = static_cast<unsigned int>(found.size());
	auto items = XPV_TRY(Array<xpv_store_read_item>::make(keys * static_cast<size_t>(count), XPV_MAY_SLEEP));
	for (unsigned int i = 0; i < count; i++) {
		Found &device = found[i];
		items[keys * i] = { device.backend_key.get(), device.backend, sizeof(device.backend), 0 };
		items[keys * i + 1] = { device.backend_id_key.get(), device.backend_id, sizeof(device.backend_id), 0 };
		items[keys * i + 2] = { device.tag_path.get(), device.tag, sizeof(device.tag), 0 };
		Device *known = find(device.type.view(), device.id.view());
		device.was_tagged = known && known->tagged();
	}
	XPV_TRY(status(xpv_store_read_many(XPV_STORE_NO_TRANSACTION, items.data(), keys * count)));

	for (unsigned int i = 0; i < count; i++) {
		int path_length = items[keys * i].result;
		int domain_length = items[keys * i + 1].result;
		int tag_length = items[keys * i + 2].result;
		if (tag_length > 0)
			found[i].read_tag = { found[i].tag, static_cast<size_t>(tag_length) };
		/* Being created or removed; or not a device, such as device/suspend. */
		if (path_length < 0 || domain_length < 0)
			continue;
		DeviceIdentity identity;
		identity.type = found[i].type;
		identity.id = found[i].id;
		std::string_view path(found[i].backend, static_cast<size_t>(path_length));
		auto domain = parse_decimal({ found[i].backend_id, static_cast<size_t>(domain_length) }, 0x7fef);
		if (domain.ok())
			identity.backend = Domid{ static_cast<uint16_t>(domain.value()) };
		if (!domain.ok() || !acceptable_backend_path(path, identity.backend) ||
		    !identity.backend_path.assign({ path }).ok()) {
			XPV_ERR_LIMITED("%s: invalid backend path or domain id", found[i].backend_key.get());
			continue;
		}
		consider(identity, found[i]);
	}
	return {};
}

Device *Bus::find(std::string_view type, std::string_view id)
{
	for (Device &device : devices_)
		if (device.identity().same_place(type, id))
			return &device;
	return nullptr;
}

void Bus::consider(const DeviceIdentity &identity, const Found &found)
{
	Device *known = find(identity.type.view(), identity.id.view());
	if (!known) {
		add(identity);
		return;
	}
	bool same_backend = known->identity().same_backend(identity);
	/* A toolstack that attaches a device creates its directory, so an earlier device's tag is not in it. */
	bool other_directory = known->replaced() || (found.was_tagged && !known->is_tag(found.read_tag));
	if (known->waits_for_bus() || (known->restoring() && !same_backend)) {
		/* Restored: the toolstack created this directory for the same device. */
		known->relocate(identity);
	} else if (other_directory || (!same_backend && !found.was_tagged)) {
		/* Another device at the same path. */
		remove(*known);
		add(identity);
		return;
	} else if (!same_backend) {
		XPV_NOTICE("%s: backend moved to domain %u, %s", known->path(), identity.backend.value,
			   identity.backend_path.get());
		known->relocate(identity);
	}
	known->seen = true;
}

void Bus::add(const DeviceIdentity &identity)
{
	auto made = make<Device>(XPV_MAY_SLEEP, identity);
	Status prepared = made.ok() ? made.value()->make_linux_device() : Status(made.error());
	if (!prepared.ok()) {
		XPV_ERR_LIMITED("device/%s/%s: cannot create the device (%pe)", identity.type.get(), identity.id.get(),
				err_ptr(prepared.code()));
		return;
	}
	Device &device = *made.value().release();
	device.seen = true;
	{
		MutexGuard guard(mutex_);
		devices_.push_back(device);
	}
	Status added = device.add();
	if (added.ok())
		return;
	XPV_ERR_LIMITED("device/%s/%s: cannot add the device (%pe)", identity.type.get(), identity.id.get(),
			err_ptr(added.code()));
	{
		MutexGuard guard(mutex_);
		device.unlink();
	}
	device.destroy(false);
}

void Bus::remove(Device &device)
{
	{
		MutexGuard guard(mutex_);
		device.unlink();
	}
	device.destroy(true);
}

/* ---- Suspends ---- */

bool Bus::busy()
{
	if (gate_.occupied())
		return true;
	MutexGuard guard(mutex_);
	for (Device &device : devices_)
		if (device.busy())
			return true;
	return false;
}

/* Hold and drain all devices, in parallel. The list cannot change, because the gate is closed. */
Status Bus::hold_devices(uint64_t deadline_ms)
{
	Deadline drained = Deadline::after(drain_ms).earlier_of(Deadline::at(deadline_ms));
	for (Device &device : devices_)
		device.hold();
	for (Device &device : devices_)
		if (Status done = status(device.drain(drained.at_ms())); !done.ok()) {
			XPV_WARNING("%s: cannot drain the device (%pe)", device.path(), err_ptr(done.code()));
			return done;
		}
	return {};
}

void Bus::release_devices(xpv_resume_kind kind)
{
	MutexGuard guard(mutex_);
	for (Device &device : devices_)
		device.release_hold(kind);
}

/*
 * Close the gate if no scan is in progress or pending; else return false. A
 * pending scan must run before the suspend, because the directories of a
 * restored guest do not show which devices were replaced.
 */
bool Bus::close_gate_when_settled()
{
	gate_.close();
	if (gate_.occupied())
		return false;
	if (!read_once(wanted_))
		return true;
	gate_.open();
	wait_queue_.wake_all();
	return false;
}

Status Bus::hold(uint64_t deadline_ms)
{
	/* Stop the thread first: it waits for devices that it removes, and only it adds devices. */
	Deadline deadline = Deadline::at(deadline_ms);
	bool idle = poll_until(deadline, [&] { return close_gate_when_settled(); });
	if (idle) {
		{
			MutexGuard guard(mutex_);
			for (Device &device : devices_)
				device.close_gate();
		}
		idle = poll_until(deadline, [&] { return !busy(); });
	}
	Status held = idle ? hold_devices(deadline_ms) : Status(Error(XEN_ETIMEDOUT));
	if (held.ok())
		return held;
	XPV_WARNING("cannot quiesce all devices (%pe), refusing the suspend", err_ptr(held.code()));
	go_on();
	return held;
}

void Bus::go_on()
{
	release_devices(XPV_RESUME_CANCELLED); /* no effect after restored() */
	{
		MutexGuard guard(mutex_);
		for (Device &device : devices_)
			device.open_gate();
	}
	gate_.open();
	wait_queue_.wake_all();
}

void Bus::restored()
{
	{
		MutexGuard guard(mutex_);
		for (Device &device : devices_)
			device.restored();
	}
	release_devices(XPV_RESUME_RESTORED);
	rescan();
}

void Bus::rescan()
{
	write_once(wanted_, true);
	wait_queue_.wake_all();
}

void Bus::prepare_unregister(const xpv_frontend_driver &driver)
{
	MutexGuard guard(mutex_);
	for (Device &device : devices_)
		device.prepare_unbind(driver);
}

namespace {

constinit Bus *the_bus;

} // namespace

} // namespace xpv

int xpv_bus_start()
{
	auto made = make<Bus>(XPV_MAY_SLEEP);
	if (!made.ok())
		return made.code();
	Owned<Bus> bus = made.take();
	Status started = bus->start();
	if (!started.ok())
		return started.code();
	write_once(the_bus, bus.release());
	return 0;
}

void xpv_bus_stop()
{
	Owned<Bus> bus(std::exchange(the_bus, nullptr));
}

int xpv_bus_hold(uint64_t deadline_ms)
{
	Bus *bus = read_once(the_bus);
	return bus ? bus->hold(deadline_ms).code() : 0;
}

void xpv_bus_rescan()
{
	if (Bus *bus = read_once(the_bus))
		bus->rescan();
}

void xpv_bus_go_on()
{
	if (Bus *bus = read_once(the_bus))
		bus->go_on();
}

void xpv_bus_restored()
{
	if (Bus *bus = read_once(the_bus))
		bus->restored();
}

void xpv_bus_prepare_unregister(const xpv_frontend_driver *driver)
{
	if (Bus *bus = read_once(the_bus))
		bus->prepare_unregister(*driver);
}
