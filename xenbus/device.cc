// SPDX-License-Identifier: GPL-2.0-only
#include "xenbus/device.hh"

#include "lib/log.hh"
#include "lib/ordering.hh"
#include "xenbus/below.hh"
#include "xenbus/store.hh"
#include "xenbus/transaction.hh"

using namespace xpv;

namespace {

constinit xpv_lock_class device_class;
constinit xpv_lock_class failure_class;
constinit xpv_lock_class quiet_class;
constinit xpv_lock_class work_class;

/* Steps in one run; more wait for the next, so that a flapping backend holds no worker. */
constexpr unsigned int steps_limit = 16;
constexpr unsigned int retry_ms = 5000;
/* Instead of a watch, where the store grants no more of them. */
constexpr unsigned int poll_ms = 2000;
/* After this, unbinding goes on without the store. */
constexpr unsigned int unbind_patience_ms = 30000;
constexpr unsigned int unbind_slice_ms = 500;
constexpr unsigned int attempts_limit = 5;
/* Restarts that the other end may cause before it counts as broken. */
constexpr unsigned int restarts_limit = 10;
constexpr unsigned int restarts_window_ms = 60000;
constexpr unsigned int complaint_interval_most_ms = 600000;

/* The store did not say anything about the matter: it may do so later. */
bool store_trouble(int error)
{
	return error == XEN_ETIMEDOUT || error == XEN_EIO || error == XEN_ENOMEM || error == XEN_EAGAIN;
}

/* `read` is what xpv_store_read() gave. */
Theirs state_from(int read, const char *value)
{
	if (read >= 0)
		return parse_state({ value, static_cast<std::size_t>(read) });
	return read == -XEN_EMSGSIZE ? Theirs::nonsense : Theirs::missing;
}

bool letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

using StorePath = FixedText<384>;
/* A key of a device's own directory; small, as several share a stack frame. */
using OwnKey = FixedText<2 * DeviceIdentity::name_capacity + 32>;

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
	if (!path.starts_with(std::string_view(prefix, static_cast<std::size_t>(length))))
		return false;
	/* As the store itself wants paths. */
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

/* ---- Life ---- */

xpv_device::xpv_device(const DeviceIdentity &identity) : identities_{ identity, identity }
{
	/* Both names are checked to be short. */
	ignore(path_.assign({ "device/", identity.type.view(), "/", identity.id.view() }));
	mutex_.init("xpv device", device_class);
	failure_lock_.init("xpv device failure", failure_class);
	xpv_wait_queue_init(&quiet_queue_, "xpv device quiet", &quiet_class);
	xpv_work_init(
		&work_, [](xpv_work_context *work) { reinterpret_cast<xpv_device *>(work)->run(); },
		reinterpret_cast<xpv_work_context *>(this), "xpv device work", &work_class);
}

xpv_device::~xpv_device()
{
	xpv_work_cancel(&work_);
}

Status xpv_device::create()
{
	FixedText<2 * DeviceIdentity::name_capacity + 2> name;
	XPV_TRY(name.assign({ identity().type.view(), "-", identity().id.view() }));
	return status(xpv_linux_device_create(this, name.get(), &linux_device_));
}

void xpv_device::destroy()
{
	write_once(vanished_, true);
	schedule();
	xpv_linux_device_destroy(linux_device_);
	linux_device_ = nullptr;
}

int xpv_device::bind(const xpv_frontend_driver &driver)
{
	MutexGuard guard(mutex_);
	phase_ = Phase::initialising;
	begun_ = negotiated_ = reopen_wanted_ = failed_ = retry_ = false;
	attempts_ = restarts_ = 0;
	limit_at_ms_ = 0;
	write_once(stop_, false);
	write_once(silenced_, false);
	write_once(quiet_, false);
	{
		SpinGuard failure(failure_lock_);
		failure_pending_ = false;
	}
	write_once(driver_, &driver);
	/* Without memory they are read when they are wanted. */
	auto room = Array<Known>::make(keys(), XPV_MAY_SLEEP);
	known_ = room.ok() ? room.take() : Array<Known>();
	int code = driver.probe(this);
	if (code < 0) {
		write_once(driver_, nullptr);
		context = nullptr;
		return code;
	}
	schedule();
	return 0;
}

void xpv_device::unbind()
{
	auto is_quiet = [](xpv_wait_context *device) {
		return read_once(reinterpret_cast<xpv_device *>(device)->quiet_);
	};
	write_once(stop_, true);
	schedule();
	auto *self = reinterpret_cast<xpv_wait_context *>(this);
	std::uint64_t begin = xpv_now_ms();
	while (!xpv_wait_event(&quiet_queue_, is_quiet, self, unbind_slice_ms)) {
		if (!read_once(silenced_)) {
			if (!store().client.dead() && xpv_now_ms() - begin < unbind_patience_ms)
				continue;
			XPV_WARNING("%s: closing without the store, which does not answer", path());
			write_once(silenced_, true);
		}
		/* What the engine waits for now has the deadline of a request, or is the driver's own work. */
		schedule();
	}
	xpv_store_watch_unregister(std::exchange(watch_, nullptr));
	xpv_work_cancel(&work_);

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
	write_once(stop_, true);
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
	XPV_ERR_LIMITED("%s: %s (error %d)", path(), text, error);
	schedule();
}

void xpv_device::retired()
{
	write_once(retired_, true);
	schedule();
}

void xpv_device::go_on()
{
	gate_.open();
	schedule();
}

void xpv_device::restored()
{
	write_once(restore_, Restore::waits_for_bus);
}

bool xpv_device::relocate(const DeviceIdentity &identity)
{
	if (read_once(restore_) == Restore::none)
		return false;
	if (read_once(restore_) == Restore::relocated && this->identity().same_backend(identity))
		return true;
	unsigned int other = 1 - current_identity_;
	{
		/* The engine does not look while it waits; only if there were two restores in short order. */
		MutexGuard guard(mutex_);
		identities_[other] = identity;
		write_once(current_identity_, other);
		write_once(restore_, Restore::relocated);
	}
	schedule();
	return true;
}

xenbus_state xpv_device::state() const
{
	return published_state(read_once(phase_));
}

/* ---- The engine ---- */

void xpv_device::schedule()
{
	xpv_work_reschedule(&work_, 0);
}

void xpv_device::run()
{
	MutexGuard guard(mutex_);
	Gate::Pass pass(gate_);
	if (!driver_ || !pass)
		return;
	retry_ = looked_ = false;
	unsigned int steps = 0;
	while (advance()) {
		if (++steps == steps_limit) {
			schedule();
			return;
		}
	}
	if (read_once(quiet_)) {
		xpv_wake_up_all(&quiet_queue_);
		return;
	}

	/* An event that came meanwhile keeps its earlier time. */
	unsigned int delay = retry_ ? retry_ms : watch_ ? UINT32_MAX : poll_ms;
	if (limit_at_ms_) {
		std::uint64_t now = xpv_now_ms();
		std::uint64_t left = limit_at_ms_ > now ? limit_at_ms_ - now : 0;
		/* Past its limit and without the store: not at once again. */
		if (left == 0 && retry_)
			left = retry_ms;
		if (left < delay)
			delay = static_cast<unsigned int>(left);
	}
	if (delay != UINT32_MAX)
		xpv_work_schedule(&work_, delay);
}

/* The store is in trouble; the timer tries again. Always false: no further step now. */
bool xpv_device::retry_later()
{
	retry_ = true;
	return false;
}

/* One step. True when there may be another. */
bool xpv_device::advance()
{
	bool stop = read_once(stop_);
	if (read_once(vanished_) || read_once(silenced_)) {
		release();
		enter(Phase::closed);
		write_once(quiet_, true);
		return false;
	}
	if (waits_for_bus())
		/* The bus calls relocate(), or finds that the device is gone. */
		return false;
	if (read_once(restore_) == Restore::relocated)
		lose_connection();
	if (!begun_) {
		if (stop) {
			write_once(quiet_, true);
			return false;
		}
		Status begun = begin();
		if (!begun.ok())
			return retry_later();
	}
	take_failure();
	if (stop || failed_)
		leave_for_stop();

	bool announced = announce().ok();
	if (phase_ == Phase::closed && (stop || failed_)) {
		if (!announced)
			return retry_later();
		write_once(quiet_, stop);
		return false;
	}

	/* Without the store there is nothing to see and nobody to tell, but limits still hold. */
	Look backend = { Theirs::missing, Theirs::missing, false, false };
	Transition answer = { Action::wait, phase_ };
	if (announced && (!looked_ || !watch_ || read_once(backend_event_))) {
		auto looked = look();
		announced = looked_ = looked.ok();
		if (looked.ok())
			last_ = looked.value();
	}
	if (announced) {
		backend = last_;
		last_.event = false;
		answer = transition(phase_, backend.theirs);
	}
	if ((answer.action == Action::wait || answer.action == Action::ignore) && limit_at_ms_ &&
	    xpv_now_ms() >= limit_at_ms_)
		answer = late_transition(phase_);
	if (!announced)
		retry_ = true;
	return perform(answer, backend);
}

bool xpv_device::perform(Transition answer, const Look &backend)
{
	switch (answer.action) {
	case Action::wait:
	case Action::ignore:
		return false;
	case Action::complain:
		complain(backend.theirs);
		return false;
	case Action::negotiate:
		/* It goes right away: do not begin what has to be taken back. */
		if (!backend.online)
			return false;
		if (!driver_succeeded(driver_->negotiate(this), "cannot negotiate with the backend"))
			return failed_;
		negotiated_ = true;
		break;
	case Action::connect: {
		int code = driver_->connect(this);
		is_known_ = false;
		if (!driver_succeeded(code, "cannot connect to the backend"))
			return failed_;
		break;
	}
	case Action::recheck:
		if (backend.event && driver_->backend_changed)
			driver_->backend_changed(this);
		return false;
	case Action::close:
		reopen_wanted_ = false;
		break;
	case Action::restart: {
		std::uint64_t now = xpv_now_ms();
		if (now - restarts_since_ms_ > restarts_window_ms) {
			restarts_since_ms_ = now;
			restarts_ = 0;
		}
		if (++restarts_ > restarts_limit) {
			fail(XEN_EIO, "the backend starts again and again");
			return true;
		}
		reopen_wanted_ = true;
		break;
	}
	case Action::proceed:
		break;
	case Action::release:
		release();
		break;
	case Action::reopen_if_wanted:
		if (!reopen_wanted_)
			return false;
		[[fallthrough]];
	case Action::reopen:
		if (!backend.online)
			return false;
		reopen_wanted_ = false;
		break;
	}
	enter(answer.next);
	return true;
}

/* Find out where an earlier load, or nobody yet, left the device. */
Status xpv_device::begin()
{
	auto watching = begin_watching();
	auto looked = look();
	end_watching(std::move(watching));
	Look both = XPV_TRY(std::move(looked));
	last_ = both;
	looked_ = true;

	Phase first = first_phase(both.ours, both.theirs);
	reopen_wanted_ = first != Phase::initialising;
	if (first == Phase::closing || first == Phase::draining || both.ours == Theirs::nonsense)
		/* Say it even if the node says so already: the backend may have missed it, and only a write wakes it. */
		published_ = -1;
	else if (both.ours == Theirs::missing)
		/* The toolstack makes the node with the device; without it the device is on its way out. */
		published_ = XenbusStateInitialising;
	else
		published_ = static_cast<int>(both.ours);
	begun_ = true;
	enter(first);
	return {};
}

/*
 * One round trip. While we are Initialised it brings also what the driver will
 * want to know of a backend that is Connected: not older than that state.
 */
Result<xpv_device::Look> xpv_device::look()
{
	is_known_ = false;
	bool learn = begun_ && phase_ == Phase::initialised;
	auto learned = learn ? static_cast<unsigned int>(known_.size()) : 0;
	char state[16];
	char online[4];
	char own[16];
	xpv_store_read_item items[2 + known_limit + 1] = {
		{ "state", state, sizeof(state), 0 },
		{ "online", online, sizeof(online), 0 },
	};
	unsigned int count = 2;
	for (unsigned int i = 0; i < learned; i++)
		items[count++] = { driver_->backend_keys[i], known_[i].value, sizeof(known_[i].value), 0 };
	Below<xpv_store_read_item> below(items, count);
	XPV_TRY(below.place(identity().backend_path.view()));
	OwnKey own_path;
	XPV_TRY(own_path.assign({ path_.view(), "/state" }));
	/* Our own node matters only once. */
	if (!begun_)
		items[count++] = { own_path.get(), own, sizeof(own), 0 };

	/* Before the look: what happens during it makes another one. */
	bool event = exchange(backend_event_, false);
	Status asked = status(xpv_store_read_many(XPV_STORE_NO_TRANSACTION, items, count));
	if (!asked.ok()) {
		write_once(backend_event_, event || read_once(backend_event_));
		return asked.error();
	}
	Theirs theirs = state_from(items[0].result, state);
	/* Not every backend has the node. */
	bool offline = items[1].result == 1 && online[0] == '0';
	for (unsigned int i = 0; i < learned; i++)
		known_[i].result = items[2 + i].result;
	is_known_ = learned != 0 && theirs == Theirs::connected;
	return Look{ theirs, begun_ ? Theirs::missing : state_from(items[2].result, own), !offline, event };
}

unsigned int xpv_device::keys() const
{
	unsigned int count = 0;
	while (driver_->backend_keys && driver_->backend_keys[count] && count < known_limit)
		count++;
	return count;
}

bool xpv_device::known(xpv_store_read_item *items, unsigned int count) const
{
	if (!is_known_)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		std::size_t at = 0;
		while (at < known_.size() && std::string_view(driver_->backend_keys[at]) != items[i].path)
			at++;
		/* What was too large for us may not be for the driver. */
		if (at == known_.size() || known_[at].result == -XEN_EMSGSIZE)
			return false;
		const Known &value = known_[at];
		items[i].result = value.result;
		if (value.result < 0)
			continue;
		if (static_cast<std::size_t>(value.result) >= items[i].size)
			items[i].result = -XEN_EMSGSIZE;
		else
			__builtin_memcpy(items[i].value, value.value, static_cast<std::size_t>(value.result) + 1);
	}
	return true;
}

/* Until the watch is there nobody wakes us: what is read after it was asked for is new enough. */
Result<WatchTable::Adding> xpv_device::begin_watching()
{
	if (watch_)
		return WatchTable::Adding(); /* nothing to end */
	StorePath state_path;
	XPV_TRY(state_path.assign({ identity().backend_path.view(), "/state" }));
	return store().watches.begin(
		state_path.get(),
		[](xpv_store_watch_context *device, const char *) {
			auto *self = reinterpret_cast<xpv_device *>(device);
			write_once(self->backend_event_, true);
			self->schedule();
		},
		reinterpret_cast<xpv_store_watch_context *>(this));
}

void xpv_device::end_watching(Result<WatchTable::Adding> begun)
{
	if (watch_)
		return;
	auto watch = begun.ok() ? store().watches.end(begun.value()) : Result<Watch *>(begun.error());
	if (watch.ok())
		watch_ = watch.value();
	else
		XPV_ERR_LIMITED("%s: cannot watch the backend (error %d), polling it", path(), watch.error().number());
}

void xpv_device::enter(Phase phase)
{
	unsigned int limit = time_limit_ms(phase);
	write_once(phase_, phase);
	limit_at_ms_ = limit ? xpv_now_ms() + limit : 0;
	complaint_interval_ms_ = limit;
}

/* The driver takes back whatever it shares. */
void xpv_device::release()
{
	if (!std::exchange(negotiated_, false))
		return;
	driver_->disconnect(this);
}

/* A new beginning, with a backend that has never seen us. */
void xpv_device::lose_connection()
{
	write_once(restore_, Restore::none);
	/* Of the old backend's state; the store has it again since the restore. */
	xpv_store_watch_unregister(std::exchange(watch_, nullptr));
	if (negotiated_) {
		if (driver_->connection_lost)
			driver_->connection_lost(this);
		else
			release();
	}
	if (!begun_)
		return;
	auto watching = begin_watching();
	looked_ = false;
	/* The toolstack wrote that already; it may be another one. */
	published_ = -1;
	reopen_wanted_ = false;
	attempts_ = restarts_ = 0;
	enter(Phase::initialising);
	/* In the watch's round trip. What fails here is done again before anything else. */
	ignore(announce());
	end_watching(std::move(watching));
}

/* The device is to end in Closed. */
void xpv_device::leave_for_stop()
{
	switch (phase_) {
	case Phase::initialising:
		release(); /* of what outlived a restore */
		enter(Phase::closed);
		break;
	case Phase::initialised:
	case Phase::connected:
		enter(Phase::closing);
		break;
	case Phase::closing:
	case Phase::draining:
	case Phase::closed:
		break;
	}
}

/* What fail() left: said in the store where toolstacks look, and the end of the connection. */
void xpv_device::take_failure()
{
	char text[160];
	{
		SpinGuard guard(failure_lock_);
		if (failed_ || !failure_pending_)
			return;
		xpv_format(text, sizeof(text), "%d %s", failure_error_, failure_text_.get());
	}
	failed_ = true;
	/* The other end cannot be trusted with an orderly end. */
	release();
	OwnKey path_in_store;
	Status written = path_in_store.assign({ "error/", path_.view(), "/error" });
	if (written.ok())
		written = status(xpv_store_write(XPV_STORE_NO_TRANSACTION, path_in_store.get(), text));
	/* The log has it. */
	ignore(written);
}

/* A driver's function returned `code`. */
bool xpv_device::driver_succeeded(int code, const char *what)
{
	if (code >= 0) {
		attempts_ = 0;
		return true;
	}
	/* A store that stalls must not cost the device. */
	if ((code == -XEN_ETIMEDOUT || code == -XEN_EAGAIN) && ++attempts_ < attempts_limit)
		return retry_later();
	fail(code, what);
	take_failure();
	return false;
}

void xpv_device::complain(Theirs theirs)
{
	XPV_NOTICE("%s: waiting for the backend in domain %u, which is in state %s", path(), identity().backend.value,
		   state_name(theirs));
	if (complaint_interval_ms_ < complaint_interval_most_ms)
		complaint_interval_ms_ *= 4;
	limit_at_ms_ = xpv_now_ms() + complaint_interval_ms_;
}

/* ---- Our state node ---- */

/*
 * Make the node say what phase_ wants it to say. An error: the store is in
 * trouble, try again.
 */
Status xpv_device::announce()
{
	xenbus_state wanted = published_state(phase_);
	/* Not to a backend that knows nothing of this connection. */
	if (restoring())
		return Error(XEN_EAGAIN);
	if (published_ == static_cast<int>(wanted))
		return {};
	bool end = wanted == XenbusStateClosing || wanted == XenbusStateClosed;
	Status written;
	if (end) {
		written = announce_end(wanted);
	} else {
		OwnKey state_path;
		char text[4];
		xpv_format(text, sizeof(text), "%d", static_cast<int>(wanted));
		XPV_TRY(state_path.assign({ path_.view(), "/state" }));
		written = status(xpv_store_write(XPV_STORE_NO_TRANSACTION, state_path.get(), text));
	}
	/* The device is gone, or another has its place: the bus will find out. */
	bool not_ours = !written.ok() && (written.error() == XEN_ENODEV || written.error() == XEN_ENOENT);
	if (!written.ok() && !not_ours) {
		if (store_trouble(written.error().number()))
			return written;
		/* Trying again would not help; the other end's own limits, or the toolstack's, have to. */
		XPV_ERR_LIMITED("%s: cannot set the state to %d (error %d)", path(), static_cast<int>(wanted),
				written.error().number());
	}
	published_ = static_cast<int>(wanted);
	return {};
}

/*
 * The end is when the toolstack is at work too: it may have removed the
 * device, or put another in its place, that must not be told to close. So
 * the node is written only while it is still ours, in one transaction.
 */
Status xpv_device::announce_end(xenbus_state state)
{
	OwnKey state_path;
	OwnKey backend_path;
	OwnKey backend_id_path;
	XPV_TRY(state_path.assign({ path_.view(), "/state" }));
	XPV_TRY(backend_path.assign({ path_.view(), "/backend" }));
	XPV_TRY(backend_id_path.assign({ path_.view(), "/backend-id" }));
	char text[4];
	xpv_format(text, sizeof(text), "%d", static_cast<int>(state));

	return in_transaction([&](xpv_store_transaction transaction) -> Status {
		char backend[256];
		char backend_id[8];
		char ours[16];
		xpv_store_read_item items[] = {
			{ backend_path.get(), backend, sizeof(backend), 0 },
			{ backend_id_path.get(), backend_id, sizeof(backend_id), 0 },
			{ state_path.get(), ours, sizeof(ours), 0 },
		};
		XPV_TRY(status(xpv_store_read_many(transaction, items, 3)));
		for (const xpv_store_read_item &item : items)
			if (item.result < 0)
				return Error(item.result);
		auto its_backend = parse_decimal({ backend_id, static_cast<std::size_t>(items[1].result) });
		std::string_view its_path(backend, static_cast<std::size_t>(items[0].result));
		if (!its_backend.ok() || its_backend.value() != identity().backend.value ||
		    its_path != identity().backend_path.view())
			return Error(XEN_ENODEV);
		return status(xpv_store_write(transaction, state_path.get(), text));
	});
}
