// SPDX-License-Identifier: GPL-2.0-only
/* The lifetime of a device: Linux's device, its driver, suspends. */
#include "xenbus/bus/device.hh"

#include "lib/log.hh"
#include "xenbus/store/store.hh"

using namespace xpv;

namespace {

/* How long an unbind keeps retrying xenstore when nothing else is left to do. */
constexpr unsigned int unbind_patience_ms = 30000;
constexpr unsigned int unbind_slice_ms = 500;
/* Pages parked over all connections of a device. A well-behaved backend leaves fewer mapped. */
constexpr unsigned int parked_limit = 64;

bool letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

} // namespace

bool xpv::acceptable_name(std::string_view name)
{
	if (name.empty() || name.size() >= DeviceIdentity::name_capacity)
		return false;
	for (char c : name)
		if (!letter_or_digit(c) && c != '-' && c != '_')
			return false;
	return true;
}

bool xpv::acceptable_backend_path(std::string_view path, Domid backend)
{
	char prefix[48];
	int length = xpv_format(prefix, sizeof(prefix), "/local/domain/%u/backend/", backend.value);
	if (!path.starts_with(std::string_view(prefix, static_cast<size_t>(length))))
		return false;
	/* The characters that xenstored allows in paths. */
	char before = 0;
	for (char c : path) {
		if (!letter_or_digit(c) && c != '-' && c != '_' && c != '@' && c != '/')
			return false;
		if (c == '/' && before == '/')
			return false;
		before = c;
	}
	return before != '/';
}

/* ---- Linux's device ---- */

xpv_device::xpv_device(const DeviceIdentity &identity)
    : mutex_("xpv device"_lock), failure_lock_("xpv device failure"_lock), identities_{ identity, identity },
      work_(*this, XPV_WORK_RECOVERY, "xpv device work"_lock), quiet_queue_("xpv device quiet"_lock)
{
	/* Cannot fail: both names were checked to be short. */
	ignore(path_.assign({ "device/", identity.type.view(), "/", identity.id.view() }));
}

xpv_device::~xpv_device() = default;

Status xpv_device::make_linux_device()
{
	FixedText<2 * DeviceIdentity::name_capacity + 2> name;
	XPV_TRY(name.assign({ identity().type.view(), "-", identity().id.view() }));
	return status(xpv_linux_device_make(this, name.get(), &linux_device_));
}

Status xpv_device::add()
{
	return status(xpv_linux_device_add(linux_device_));
}

void xpv_device::destroy(bool added)
{
	write_once(marks_.vanished, true);
	schedule();
	if (added)
		xpv_linux_device_del(linux_device_);
	work_.cancel();
	/* Frees this object, unless Linux still holds a reference. */
	xpv_linux_device_put(linux_device_);
}

void xpv_device_release(xpv_device *device)
{
	Owned<xpv_device> last(device);
}

/* ---- The driver ---- */

int xpv_device::bind(const xpv_frontend_driver &driver)
{
	/*
	 * If this fails, the keys are read when the driver needs them. Allocate
	 * without the mutex: memory reclaim may wait for a disk whose engine needs it.
	 */
	auto room = Array<CachedValue>::make(keys(driver), XPV_MAY_SLEEP);
	{
		MutexGuard guard(mutex_);
		phase_ = Phase::initialising;
		aim_ = postponed_ = Aim::connect;
		held_ = {};
		begun_ = failed_ = false;
		attempts_ = restarts_ = 0;
		limit_at_ms_ = 0;
		write_once(closing_since_ms_, 0);
		write_once(tagged_, false);
		char tag[tag_capacity];
		xpv_format(tag, sizeof(tag), "%llx", static_cast<unsigned long long>(xpv_store_clock_ns()));
		tag_.assign_cut(tag);
		write_once(marks_.unbind, false);
		write_once(marks_.silenced, false);
		write_once(marks_.retired, false);
		write_once(marks_.reconnect, false);
		write_once(marks_.quiet, false);
		{
			SpinGuard failure(failure_lock_);
			failure_pending_ = false;
			parked_ = 0;
		}
		write_once(driver_, &driver);
		cached_ = room.ok() ? room.take() : Array<CachedValue>();
	}
	/* Called without the mutex, so that a suspend need not wait for the driver's requests to xenstore. */
	int code = driver.probe(this);
	MutexGuard guard(mutex_);
	if (code < 0) {
		write_once(driver_, nullptr);
		context = nullptr;
		return code;
	}
	probed_ = true;
	schedule();
	return 0;
}

void xpv_device::unbind()
{
	write_once(marks_.unbind, true);
	schedule();
	while (!quiet_queue_.wait_ms(unbind_slice_ms, [&] { return read_once(marks_.quiet); })) {
		if (!read_once(marks_.silenced)) {
			/* While the driver retires, the engine applies its own time limit. */
			uint64_t since = read_once(closing_since_ms_);
			if (since == 0 || (!store().client.dead() && xpv_now_ms() - since < unbind_patience_ms))
				continue;
			XPV_WARNING("%s: xenstored does not respond, closing the device without it", path());
			write_once(marks_.silenced, true);
		}
		/* From here the engine waits only for requests, which have deadlines, or for the driver's own work. */
		schedule();
	}
	xpv_store_watch *watch;
	{
		/* From here on a run does nothing, so it cannot register a watch that would leak. */
		MutexGuard guard(mutex_);
		probed_ = false;
		driver_held_ = false;
		watch = std::exchange(watch_, nullptr);
	}
	xpv_store_watch_unregister(watch);
	work_.cancel();

	MutexGuard guard(mutex_);
	if (driver_->remove)
		driver_->remove(this);
	write_once(driver_, nullptr);
	context = nullptr;
}

void xpv_device::prepare_unbind(const xpv_frontend_driver &driver)
{
	if (read_once(driver_) != &driver)
		return;
	write_once(marks_.unbind, true);
	schedule();
}

void xpv_device::fail(int error, const char *text)
{
	{
		SpinGuard guard(failure_lock_);
		if (failure_pending_)
			return;
		failure_pending_ = true;
		failure_error_ = error < 0 ? -error : error;
		failure_text_.assign_cut(text);
	}
	XPV_ERR_LIMITED("%s: %s (%pe)", path(), text, err_ptr(error));
	schedule();
}

void xpv_device::retired()
{
	write_once(marks_.retired, true);
	schedule();
}

void xpv_device::reconnect()
{
	write_once(marks_.reconnect, true);
	schedule();
}

void xpv_device::parked(unsigned int pages)
{
	bool too_many;
	{
		SpinGuard guard(failure_lock_);
		parked_ += pages;
		too_many = parked_ > parked_limit;
	}
	if (too_many)
		fail(XEN_EIO, "backend keeps too many pages mapped");
}

xenbus_state xpv_device::state() const
{
	return state_in(read_once(phase_));
}

/* What our state node says in a phase. */
xenbus_state xpv_device::state_in(Phase phase) const
{
	const xpv_frontend_driver *driver = read_once(driver_);
	if (phase == Phase::initialised && driver && driver->connects_first)
		return XenbusStateConnected;
	return published_state(phase);
}

bool xpv_device::read_cached(xpv_store_read_item *items, unsigned int count) const
{
	if (!cache_valid_)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		size_t at = 0;
		while (at < cached_.size() && std::string_view(driver_->backend_keys[at]) != items[i].path)
			at++;
		/* A value that was too large for our buffer may fit the driver's. */
		if (at == cached_.size() || cached_[at].result == -XEN_EMSGSIZE)
			return false;
		const CachedValue &value = cached_[at];
		items[i].result = value.result;
		if (value.result < 0)
			continue;
		if (static_cast<size_t>(value.result) >= items[i].size)
			items[i].result = -XEN_EMSGSIZE;
		else
			__builtin_memcpy(items[i].value, value.value, static_cast<size_t>(value.result) + 1);
	}
	return true;
}

/* ---- Suspends ---- */

void xpv_device::hold()
{
	MutexGuard guard(mutex_);
	driver_held_ = probed_ && driver_->hold;
	if (driver_held_)
		driver_->hold(this);
}

int xpv_device::drain(uint64_t deadline_ms)
{
	MutexGuard guard(mutex_);
	return driver_held_ ? driver_->drain(this, deadline_ms) : 0;
}

void xpv_device::release_hold(xpv_resume_kind kind)
{
	/* Read without the mutex, which a stuck engine may hold. Only the suspend path and unbind() write it. */
	if (!driver_held_)
		return;
	MutexGuard guard(mutex_);
	if (std::exchange(driver_held_, false))
		driver_->go_on(this, kind);
}

void xpv_device::open_gate()
{
	gate_.open();
	schedule();
}

void xpv_device::restored()
{
	/* The toolstack created our directory again, as for a new device. */
	write_once(tagged_, false);
	write_once(restore_, Restore::waits_for_bus);
}

void xpv_device::relocate(const DeviceIdentity &identity)
{
	unsigned int other = 1 - current_identity_;
	{
		MutexGuard guard(mutex_);
		identities_[other] = identity;
		write_once(current_identity_, other);
		write_once(restore_, Restore::relocated);
	}
	schedule();
}
