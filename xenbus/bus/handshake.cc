// SPDX-License-Identifier: GPL-2.0-only
/* The engine of a device, which executes the state table (state.cc). */
#include "xenbus/bus/device.hh"

#include "lib/log.hh"

using namespace xpv;

namespace {

/* Steps per run. Further steps wait for the next run, so that a flapping backend does not occupy a worker. */
constexpr unsigned int steps_limit = 16;
constexpr unsigned int retry_ms = 5000;
constexpr unsigned int retry_busy_ms = 250;
/* Longest retry delay for a driver that has a device: starts at retry_ms and doubles. */
constexpr unsigned int retry_most_ms = 60000;
/* Poll interval if xenstored refuses the watch. */
constexpr unsigned int poll_ms = 2000;
/* Retries for a driver that has no device yet. */
constexpr unsigned int attempts_limit = 5;
/* Connections per window; the next one waits for the end of the window. */
constexpr unsigned int restarts_limit = 10;
constexpr unsigned int restarts_window_ms = 60000;
constexpr unsigned int complaint_interval_most_ms = 600000;
/* How long a driver may write back dirty data: with a connection, and without one. */
constexpr unsigned int retire_connected_ms = 600000;
constexpr unsigned int retire_unconnected_ms = 30000;

} // namespace

void xpv_device::schedule()
{
	work_.reschedule();
}

void xpv_device::run()
{
	/* Memory reclaim must not write to a disk that waits for this work. */
	NoIoScope no_io;
	MutexGuard guard(mutex_);
	Gate::Pass pass(gate_);
	if (!probed_ || !pass)
		return;
	retry_ms_ = 0;
	snapshot_valid_ = false;
	unsigned int steps = 0;
	while (advance()) {
		check();
		if (++steps == steps_limit) {
			schedule();
			return;
		}
	}
	check();
	if (read_once(marks_.quiet))
		quiet_queue_.wake_all();
	else
		wait_for_next_run();
}

void xpv_device::wait_for_next_run()
{
	uint64_t now = xpv_now_ms();
	uint64_t delay = retry_ms_ ? retry_ms_ : is_watching() ? UINT32_MAX : poll_ms;
	uint64_t limits[] = { limit_at_ms_, postponed_ != Aim::connect ? retire_until_ms_ : 0 };
	for (uint64_t at : limits) {
		uint64_t left = at > now ? at - now : 0;
		/* This run has handled the expired limit: do not run again immediately. */
		if (left == 0)
			left = retry_ms_ ? retry_ms_ : poll_ms;
		if (at && left < delay)
			delay = left;
	}
	/* If an event has scheduled an earlier run meanwhile, that one stays. */
	if (delay != UINT32_MAX)
		work_.schedule(static_cast<unsigned int>(delay));
}

/* Schedule another run after the delay. Always returns false: no further step in this run. */
bool xpv_device::retry_later(unsigned int delay_ms)
{
	retry_ms_ = delay_ms;
	return false;
}

void xpv_device::check()
{
	if (begun_ && !possible(phase_, aim_, held_))
		fail(XEN_EINVAL, "impossible state of the handshake");
}

/* Take one step. Returns true if another one may follow. */
bool xpv_device::advance()
{
	bool unbind = read_once(marks_.unbind);
	if (read_once(marks_.vanished) || read_once(marks_.silenced)) {
		finish();
		aim_ = Aim::end;
		postponed_ = Aim::connect;
		enter(Phase::closed);
		write_once(marks_.quiet, true);
		return false;
	}
	if (unbind && !begun_) {
		write_once(marks_.quiet, true);
		return false;
	}
	if (unbind)
		leave(Aim::end, Phase::closing);
	if (retire_is_over())
		close(postponed_, Phase::closing);
	if (waits_for_bus() || replaced())
		/* The bus calls relocate(), or removes the device. */
		return false;
	if (read_once(restore_) == Restore::relocated)
		change_backend();
	if (!begun_ && !begin().ok())
		return retry_later(retry_ms);
	take_failure();
	if (read_once(marks_.reconnect) && phase_ == Phase::connected && aim_ == Aim::connect &&
	    postponed_ == Aim::connect) {
		aim_ = Aim::restart;
		enter(Phase::closing);
	}

	bool is_published = publish_state().ok();
	if (phase_ == Phase::closed && aim_ == Aim::end) {
		if (!is_published)
			return retry_later(retry_ms);
		write_once(marks_.quiet, unbind);
		return false;
	}

	/* If xenstore fails there is nothing to read or write, but the time limits still apply. */
	Snapshot snapshot = { NodeState::missing, NodeState::missing, Online::unsaid, false };
	Transition answer = { Action::wait, phase_ };
	if (is_published && (!snapshot_valid_ || !watch_ || read_once(marks_.event))) {
		auto watching = begin_watching();
		auto read = read_snapshot();
		end_watching(std::move(watching));
		if (replaced())
			return false;
		is_published = snapshot_valid_ = read.ok();
		if (read.ok())
			snapshot_ = read.value();
	}
	if (is_published) {
		snapshot = snapshot_;
		snapshot_.event = false;
		answer = transition(phase_, snapshot.backend);
	}
	if ((answer.action == Action::wait || answer.action == Action::ignore) && limit_at_ms_ &&
	    xpv_now_ms() >= limit_at_ms_)
		answer = late_transition(phase_);
	if (!is_published)
		retry_ms_ = retry_ms;
	return perform(answer, snapshot);
}

bool xpv_device::perform(Transition answer, const Snapshot &snapshot)
{
	switch (answer.action) {
	case Action::wait:
	case Action::ignore:
		return false;
	case Action::complain:
		complain(snapshot.backend);
		return false;
	case Action::negotiate:
		/* The toolstack detaches the device: do not create a connection. */
		if (snapshot.online == Online::no)
			return false;
		write_once(marks_.reconnect, false);
		if (!driver_succeeded(driver_->negotiate(this), "cannot negotiate with the backend"))
			return failed_;
		held_.connection = true;
		break;
	case Action::connect: {
		int code = driver_->connect(this);
		cache_valid_ = false;
		if (!driver_succeeded(code, "cannot connect to the backend"))
			return failed_;
		held_.device = true;
		break;
	}
	case Action::recheck:
		if (snapshot.event && driver_->backend_changed)
			driver_->backend_changed(this);
		return false;
	case Action::close:
		if (survives(snapshot)) {
			restart(answer.next);
			return true;
		}
		/* A backend in Closing still serves requests. */
		if (phase_ == Phase::connected && snapshot.backend == NodeState::closing) {
			leave(Aim::detach, answer.next);
			return postponed_ == Aim::connect;
		}
		close(Aim::detach, answer.next);
		return true;
	case Action::restart:
		restart(answer.next);
		return true;
	case Action::proceed:
		break;
	case Action::release:
		if (aim_ == Aim::restart)
			drop_connection();
		else
			finish();
		break;
	case Action::reopen_if_wanted:
		return aim_ == Aim::restart && reopen(snapshot);
	case Action::reopen:
		return reopen(snapshot);
	case Action::confirm:
		if (snapshot.online != Online::no || !snapshot.event)
			return false;
		end_kept_device();
		published_ = -1;
		return true;
	}
	enter(answer.next);
	return true;
}

/* Return whether the device survives the end of its connection. Only the toolstack ends a device, by "online". */
bool xpv_device::survives(const Snapshot &snapshot) const
{
	return held_.device && driver_->connection_lost && snapshot.online == Online::yes;
}

/* Switch from Closed to Initialising. Returns false if not now. */
bool xpv_device::reopen(const Snapshot &snapshot)
{
	if (snapshot.online == Online::no) {
		end_kept_device();
		return false;
	}
	uint64_t now = xpv_now_ms();
	if (now - restarts_since_ms_ > restarts_window_ms) {
		restarts_since_ms_ = now;
		restarts_ = 0;
	}
	if (restarts_ == restarts_limit) {
		XPV_WARNING_LIMITED("%s: backend closed %u connections in %u s, waiting before the next", path(),
				    restarts_, restarts_window_ms / 1000);
		limit_at_ms_ = restarts_since_ms_ + restarts_window_ms + 1;
		return false;
	}
	restarts_++;
	aim_ = Aim::connect;
	write_once(closing_since_ms_, 0);
	enter(Phase::initialising);
	return true;
}

/* End a device that was kept for another connection, because the toolstack detaches it. */
void xpv_device::end_kept_device()
{
	finish();
	aim_ = Aim::detach;
}

/* Find the phase to start in: an earlier load may have left the device in any state. */
Status xpv_device::begin()
{
	auto watching = begin_watching();
	auto read = read_snapshot();
	end_watching(std::move(watching));
	Snapshot both = XPV_TRY(std::move(read));
	snapshot_ = both;
	snapshot_valid_ = true;

	Phase first = first_phase(both.own, both.backend);
	aim_ = first == Phase::initialising ? Aim::connect : Aim::restart;
	if (first == Phase::closing || first == Phase::draining || both.own == NodeState::nonsense)
		/* Write the node even if unchanged: the backend may have missed it, and only a write wakes it. */
		published_ = -1;
	else if (both.own == NodeState::missing)
		/* Do not create the node. The toolstack creates it with the device, so the device is being removed. */
		published_ = XenbusStateInitialising;
	else
		published_ = static_cast<int>(both.own);
	begun_ = true;
	enter(first);
	return {};
}

void xpv_device::enter(Phase phase)
{
	unsigned int limit = time_limit_ms(phase);
	uint64_t now = xpv_now_ms();
	write_once(phase_, phase);
	limit_at_ms_ = limit ? now + limit : 0;
	complaint_interval_ms_ = limit;
	if (phase == Phase::connected)
		retire_until_ms_ = now + retire_connected_ms;
	else if (postponed_ != Aim::connect && retire_until_ms_ > now + retire_unconnected_ms)
		retire_until_ms_ = now + retire_unconnected_ms;
}

/* ---- The end of a device, and of a connection ---- */

/* End the device in an orderly way: if the driver has retire(), once it has retired. */
void xpv_device::leave(Aim aim, Phase next)
{
	if (aim_ == Aim::end || aim_ == aim)
		return;
	if (aim_ == Aim::detach || !held_.device || !driver_->retire) {
		close(aim, next);
		return;
	}
	if (postponed_ == Aim::connect) {
		bool connected = phase_ == Phase::connected && !restoring();
		retire_until_ms_ = xpv_now_ms() + (connected ? retire_connected_ms : retire_unconnected_ms);
		write_once(marks_.retired, false);
		driver_->retire(this);
	}
	if (postponed_ != Aim::end)
		postponed_ = aim;
}

bool xpv_device::retire_is_over() const
{
	if (postponed_ == Aim::connect)
		return false;
	if (read_once(marks_.retired))
		return true;
	if (xpv_now_ms() < retire_until_ms_)
		return false;
	XPV_WARNING("%s: dirty data is not written yet, closing the device nevertheless", path());
	return true;
}

/* End device and connection without waiting for the driver to retire. */
void xpv_device::close(Aim aim, Phase next)
{
	aim_ = aim;
	postponed_ = Aim::connect;
	if (!closing_since_ms_)
		write_once(closing_since_ms_, xpv_now_ms());
	switch (phase_) {
	case Phase::initialising:
		finish(); /* a device that outlived its connection */
		enter(Phase::closed);
		break;
	case Phase::initialised:
	case Phase::connected:
		enter(next);
		break;
	case Phase::closed:
		finish();
		break;
	case Phase::closing:
	case Phase::draining:
		break;
	}
}

/* End the connection, and make another. */
void xpv_device::restart(Phase next)
{
	if (held_.device)
		XPV_NOTICE_LIMITED("%s: backend in domain %u closed the connection, reconnecting", path(),
				   identity().backend.value);
	aim_ = Aim::restart;
	enter(next);
}

/* Make the driver give up the connection. It keeps its device if it has connection_lost(). */
void xpv_device::drop_connection()
{
	if (!held_.connection)
		return;
	if (!driver_->connection_lost) {
		finish();
		return;
	}
	held_.connection = false;
	driver_->connection_lost(this);
}

/* Make the driver give up device and connection. */
void xpv_device::finish()
{
	if (!held_.connection && !held_.device)
		return;
	held_ = {};
	driver_->disconnect(this);
	/* disconnect() also ended a retire() in progress. */
	write_once(marks_.retired, true);
}

/* Start the handshake again, with a backend that has never seen us. */
void xpv_device::change_backend()
{
	write_once(restore_, Restore::none);
	/* The watch on the old backend's state; after a restore it was registered again. */
	stop_watching();
	bool ends = aim_ == Aim::end;
	if (ends)
		finish();
	else
		drop_connection();
	if (!begun_)
		return;
	auto watching = begin_watching();
	snapshot_valid_ = false;
	/* The toolstack may have written our state node. */
	published_ = -1;
	write_once(tagged_, false);
	attempts_ = restarts_ = 0;
	if (aim_ == Aim::detach)
		finish();
	if (!ends) {
		aim_ = Aim::connect;
		write_once(closing_since_ms_, 0);
	}
	enter(ends ? Phase::closed : Phase::initialising);
	/* Shares the round trip of the watch. If it fails, the next step repeats it first. */
	ignore(publish_state());
	end_watching(std::move(watching));
}

/* Handle a failure that fail() recorded: end the device, and write the message to error/, where toolstacks read it. */
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
	/* Do not trust the backend to complete an orderly end. */
	finish();
	close(Aim::end, Phase::closing);
	OwnKey path_in_store;
	Status written = path_in_store.assign({ "error/", path_.view(), "/error" });
	if (written.ok())
		written = status(xpv_store_write(XPV_STORE_NO_TRANSACTION, path_in_store.get(), text));
	/* The message is in the log. */
	ignore(written);
}

/* Handle the result of negotiate() or connect(): on an error schedule a retry or fail the device. True on success. */
bool xpv_device::driver_succeeded(int code, const char *what)
{
	if (code >= 0) {
		attempts_ = 0;
		return true;
	}
	attempts_++;
	if (held_.device) {
		/* Busy: the last connection's backend still maps pages, which it may unmap at any moment. */
		unsigned int delay = code == -XEN_EBUSY ? retry_busy_ms : retry_ms;
		for (unsigned int i = 1; i < attempts_ && delay < retry_most_ms; i++)
			delay *= 2;
		if (delay > retry_most_ms)
			delay = retry_most_ms;
		XPV_WARNING_LIMITED("%s: %s (%pe), retrying in %u ms", path(), what, err_ptr(code), delay);
		return retry_later(delay);
	}
	/* A stalled xenstored must not fail the device. */
	if ((code == -XEN_ETIMEDOUT || code == -XEN_EAGAIN) && attempts_ < attempts_limit)
		return retry_later(retry_ms);
	fail(code, what);
	take_failure();
	return false;
}

void xpv_device::complain(NodeState backend)
{
	XPV_NOTICE("%s: waiting for the backend in domain %u, its state is %s", path(), identity().backend.value,
		   state_name(backend));
	if (complaint_interval_ms_ < complaint_interval_most_ms)
		complaint_interval_ms_ *= 4;
	limit_at_ms_ = xpv_now_ms() + complaint_interval_ms_;
}
