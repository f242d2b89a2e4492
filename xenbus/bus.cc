// SPDX-License-Identifier: GPL-2.0-only
#include "xenbus/bus.hh"

#include "lib/log.hh"
#include "lib/ordering.hh"
#include "xenbus/store.hh"

namespace xpv {

namespace {

constinit xpv_lock_class bus_class;
constinit xpv_lock_class bus_queue_class;

constexpr unsigned int retry_ms = 1000;
constexpr unsigned int wait_slice_ms = 10000;
constexpr unsigned int hold_timeout_ms = 10000;
constexpr unsigned int hold_look_ms = 1;

/* The names in a directory of the store; none when there is no such directory. */
class Directory {
public:
	Directory(const Directory &) = delete;
	Directory &operator=(const Directory &) = delete;
	Directory(Directory &&other)
		: names_(std::exchange(other.names_, nullptr)), left_(other.left_), at_(other.at_)
	{
	}
	Directory &operator=(Directory &&) = delete;
	~Directory() { xpv_free(names_); }

	[[nodiscard]] static Result<Directory> read(const char *path)
	{
		char *names = nullptr;
		std::size_t length = 0;
		Status read = status(xpv_store_directory(XPV_STORE_NO_TRANSACTION, path, &names, &length));
		if (!read.ok() && !(read.error() == XEN_ENOENT))
			return read.error();
		return Directory(names, length);
	}
	/* The next name that a device, or a type, can have; empty past the last. */
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
	/* How many more next() will give. */
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
	Directory(char *names, std::size_t length) : names_(names), left_(length), at_(names) {}

	char *names_;
	std::size_t left_;
	const char *at_;
};

} // namespace

bool may_be_device_change(const char *path)
{
	/* "device", "device/vbd", "device/vbd/51712", and in the last only what identifies the backend. */
	std::string_view rest(path);
	for (unsigned int part = 0; part < 3; part++) {
		std::size_t slash = rest.find('/');
		if (slash == rest.npos)
			return true;
		rest = std::string_view(rest.data() + slash + 1, rest.size() - slash - 1);
	}
	return rest == "backend" || rest == "backend-id";
}

Bus::Bus()
{
	mutex_.init("xpv bus", bus_class);
	xpv_wait_queue_init(&wait_queue_, "xpv bus thread", &bus_queue_class);
}

Status Bus::start()
{
	thread_ = xpv_thread_run([](xpv_thread_context *bus) { reinterpret_cast<Bus *>(bus)->run(); },
				 reinterpret_cast<xpv_thread_context *>(this), "xpv-bus");
	if (!thread_)
		return Error(XEN_ENOMEM);
	/* The first event comes by itself, and is the first look. */
	watch_ = XPV_TRY(store().watches.add(
		"device",
		[](xpv_store_watch_context *context, const char *) {
			auto *bus = reinterpret_cast<Bus *>(context);
			write_once(bus->wanted_, true);
			xpv_wake_up_all(&bus->wait_queue_);
		},
		reinterpret_cast<xpv_store_watch_context *>(this), may_be_device_change));
	return {};
}

Bus::~Bus()
{
	xpv_store_watch_unregister(watch_);
	if (thread_) {
		write_once(stopping_, true);
		xpv_wake_up_all(&wait_queue_);
		xpv_thread_stop(thread_);
	}
	while (Device *device = devices_.front())
		remove(*device);
}

bool Bus::has_work()
{
	return read_once(stopping_) || (read_once(wanted_) && !gate_.closed());
}

void Bus::run()
{
	auto has_work = [](xpv_wait_context *bus) { return reinterpret_cast<Bus *>(bus)->has_work(); };
	auto stopping = [](xpv_wait_context *bus) { return read_once(reinterpret_cast<Bus *>(bus)->stopping_); };
	auto *self = reinterpret_cast<xpv_wait_context *>(this);

	while (!read_once(stopping_)) {
		if (!xpv_wait_event(&wait_queue_, has_work, self, wait_slice_ms))
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
		XPV_ERR_LIMITED("cannot read the list of devices (error %d), trying again", looked.error().number());
		write_once(wanted_, true);
		/* The outcome does not matter: the loop looks by itself. */
		static_cast<void>(xpv_wait_event(&wait_queue_, stopping, self, retry_ms));
	}
}

struct Bus::Found {
	FixedText<DeviceIdentity::name_capacity> type;
	FixedText<DeviceIdentity::name_capacity> id;
	FixedText<2 * DeviceIdentity::name_capacity + 24> backend_key;
	FixedText<2 * DeviceIdentity::name_capacity + 24> backend_id_key;
	char backend[256];
	char backend_id[8];

	[[nodiscard]] Status assign(std::string_view of_type, std::string_view with_id)
	{
		XPV_TRY(type.assign({ of_type }));
		XPV_TRY(id.assign({ with_id }));
		XPV_TRY(backend_key.assign({ "device/", of_type, "/", with_id, "/backend" }));
		return backend_id_key.assign({ "device/", of_type, "/", with_id, "/backend-id" });
	}
};

/* Compare what the store has with the list. An error leaves devices as they are. */
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

/* Adds the devices of this type. */
Status Bus::list_type(std::string_view type, Array<Found> &found)
{
	FixedText<DeviceIdentity::name_capacity + 8> path;
	XPV_TRY(path.assign({ "device/", type }));
	auto ids = XPV_TRY(Directory::read(path.get()));
	auto before = static_cast<unsigned int>(found.size());
	unsigned int count = ids.count();
	if (count > devices_limit - before) {
		XPV_ERR_LIMITED("%u devices in %s, ignoring all but %u", count, path.get(), devices_limit - before);
		count = devices_limit - before;
	}
	auto longer = XPV_TRY(Array<Found>::make(static_cast<std::size_t>(before) + count, XPV_MAY_SLEEP));
	for (unsigned int i = 0; i < before; i++)
		longer[i] = found[i];
	for (unsigned int i = before; i < before + count; i++)
		XPV_TRY(longer[i].assign(type, ids.next()));
	found = std::move(longer);
	return {};
}

/* The devices that were there before are most likely there still: they need not wait for the directories. */
Status Bus::relocate_restored()
{
	unsigned int count = 0;
	for (Device &device : devices_)
		count += device.waits_for_bus();
	if (count == 0)
		return {};
	auto found = XPV_TRY(Array<Found>::make(count, XPV_MAY_SLEEP));
	unsigned int i = 0;
	/* Only this thread ends their waiting, and none begins to wait while it looks. */
	for (Device &device : devices_)
		if (device.waits_for_bus())
			XPV_TRY(found[i++].assign(device.identity().type.view(), device.identity().id.view()));
	return scan_devices(found);
}

/* Where each device's backend is: one round trip for all. */
Status Bus::scan_devices(Array<Found> &found)
{
	auto count = static_cast<unsigned int>(found.size());
	auto items = XPV_TRY(Array<xpv_store_read_item>::make(2 * static_cast<std::size_t>(count), XPV_MAY_SLEEP));
	for (unsigned int i = 0; i < count; i++) {
		Found &device = found[i];
		items[2 * i] = { device.backend_key.get(), device.backend, sizeof(device.backend), 0 };
		items[2 * i + 1] = { device.backend_id_key.get(), device.backend_id, sizeof(device.backend_id), 0 };
	}
	XPV_TRY(status(xpv_store_read_many(XPV_STORE_NO_TRANSACTION, items.data(), 2 * count)));

	for (unsigned int i = 0; i < count; i++) {
		int path_length = items[2 * i].result;
		int domain_length = items[2 * i + 1].result;
		/* Half made or half removed; or no device at all, as device/suspend. */
		if (path_length < 0 || domain_length < 0)
			continue;
		DeviceIdentity identity;
		identity.type = found[i].type;
		identity.id = found[i].id;
		std::string_view path(found[i].backend, static_cast<std::size_t>(path_length));
		auto domain = parse_decimal({ found[i].backend_id, static_cast<std::size_t>(domain_length) }, 0x7fef);
		if (domain.ok())
			identity.backend = Domid{ static_cast<std::uint16_t>(domain.value()) };
		if (!domain.ok() || !acceptable_backend_path(path, identity.backend) ||
		    !identity.backend_path.assign({ path }).ok()) {
			XPV_ERR_LIMITED("%s: no such backend can be", found[i].backend_key.get());
			continue;
		}
		consider(identity);
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

void Bus::consider(const DeviceIdentity &identity)
{
	if (Device *known = find(identity.type.view(), identity.id.view())) {
		/* The same device, with a backend of the new domain's. */
		if (known->relocate(identity)) {
			known->seen = true;
			return;
		}
		if (known->identity().same_backend(identity)) {
			known->seen = true;
			return;
		}
		/* Another device in the same place. */
		remove(*known);
	}
	auto made = make<Device>(XPV_MAY_SLEEP, identity);
	if (!made.ok()) {
		XPV_ERR_LIMITED("no memory for device %s/%s", identity.type.get(), identity.id.get());
		return;
	}
	Owned<Device> device = made.take();
	device->seen = true;
	Device *added = device.get();
	{
		MutexGuard guard(mutex_);
		devices_.push_back(*device.release());
	}
	Status created = added->create();
	if (!created.ok()) {
		XPV_ERR_LIMITED("cannot create device %s/%s (error %d)", identity.type.get(), identity.id.get(),
				created.error().number());
		MutexGuard guard(mutex_);
		added->unlink();
		device.reset(added);
	}
}

void Bus::remove(Device &device)
{
	{
		MutexGuard guard(mutex_);
		device.unlink();
	}
	device.destroy();
	Owned<Device> last(&device);
}

bool Bus::devices_busy()
{
	MutexGuard guard(mutex_);
	for (Device &device : devices_)
		if (device.busy())
			return true;
	return false;
}

Status Bus::hold()
{
	unsigned int waited = 0;
	auto wait_while = [&](auto busy) {
		while (busy() && waited < hold_timeout_ms) {
			xpv_sleep_ms(hold_look_ms);
			waited += hold_look_ms;
		}
	};
	/* The thread first: it waits for devices that it removes, and no other adds any. */
	gate_.close();
	wait_while([&] { return gate_.occupied(); });
	{
		MutexGuard guard(mutex_);
		for (Device &device : devices_)
			device.hold();
	}
	wait_while([&] { return devices_busy(); });
	if (waited < hold_timeout_ms)
		return {};
	XPV_WARNING("devices are busy for %u ms, no suspend", waited);
	go_on();
	return Error(XEN_ETIMEDOUT);
}

void Bus::go_on()
{
	{
		MutexGuard guard(mutex_);
		for (Device &device : devices_)
			device.go_on();
	}
	gate_.open();
	xpv_wake_up_all(&wait_queue_);
}

void Bus::restored()
{
	MutexGuard guard(mutex_);
	for (Device &device : devices_)
		device.restored();
	write_once(wanted_, true);
	xpv_wake_up_all(&wait_queue_);
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

using namespace xpv;

int xpv_bus_start(void)
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

void xpv_bus_stop(void)
{
	Owned<Bus> bus(std::exchange(the_bus, nullptr));
}

int xpv_bus_hold(void)
{
	Bus *bus = read_once(the_bus);
	return bus ? bus->hold().code() : 0;
}

void xpv_bus_go_on(void)
{
	if (Bus *bus = read_once(the_bus))
		bus->go_on();
}

void xpv_bus_restored(void)
{
	if (Bus *bus = read_once(the_bus))
		bus->restored();
}

void xpv_bus_prepare_unregister(const struct xpv_frontend_driver *driver)
{
	if (Bus *bus = read_once(the_bus))
		bus->prepare_unregister(*driver);
}
