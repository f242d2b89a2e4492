// SPDX-License-Identifier: GPL-2.0-only
/*
 * Start and stop of the connection, and suspends. While the link is closed or
 * paused, only start(), restart() and open() access the ring page.
 */
#include "lib/log.hh"
#include "xenbus/store/client.hh"

namespace xpv {

namespace {

constexpr unsigned int quiesce_timeout_ms = 5000;

} // namespace

Client::~Client()
{
	while (Request *request = queue_.pop_front())
		Owned<Request> last(request);
	while (Request *orphan = orphans_.pop_front())
		Owned<Request> last(orphan);
	while (OpenTransaction *transaction = transactions_.pop_front())
		Owned<OpenTransaction> last(transaction);
}

/* ---- Start and stop ---- */

bool Client::wait_for_reconnection()
{
	return poll_until(Deadline::after(reconnect_timeout_ms), [this] { return !ring_.reconnecting(); });
}

/* Attach to the ring, and reconnect if needed. The link must be closed or paused: no other task may use the ring. */
Status Client::open(xenstore_domain_interface *shared)
{
	Status attached = ring_.attach(shared);
	if (ring_.reconnecting()) {
		/* The toolstack sets the field before xenstored connects; no features are announced yet. */
		XPV_NOTICE("waiting for xenstored to connect");
		if (!wait_for_reconnection()) {
			XPV_ERR("xenstored did not connect in %u ms", reconnect_timeout_ms);
			return Error(XEN_ETIMEDOUT);
		}
		attached = ring_.attach(shared);
	}
	if (ring_.can_reconnect() && (!attached.ok() || !ring_.quiescent() || ring_.error())) {
		XPV_NOTICE("xenstore ring: not idle, reconnecting to xenstored");
		ring_.request_reconnect();
		ring_doorbell();
		if (!wait_for_reconnection()) {
			XPV_ERR("xenstored did not reconnect in %u ms", reconnect_timeout_ms);
			return Error(XEN_ETIMEDOUT);
		}
		attached = ring_.attach(shared);
	}
	if (!attached.ok()) {
		XPV_ERR("xenstore ring: inconsistent indices (%pe)", err_ptr(attached.code()));
		return attached;
	}
	if (uint32_t error = ring_.error()) {
		XPV_ERR("xenstore ring: xenstored set error %u and no longer serves this domain", error);
		return Error(XEN_EIO);
	}
	return {};
}

Status Client::start(xenstore_domain_interface *shared, Doorbell doorbell, WatchEventSink sink)
{
	doorbell_ = doorbell;
	sink_ = sink;
	shared_ = shared;
	XPV_TRY(open(shared));
	{
		SpinGuard guard(lock_);
		progress_ms_ = xpv_now_ms();
		/* Replies to an earlier user of the page must not match our requests. */
		next_id_ = static_cast<uint32_t>(progress_ms_) * 0x9e3779b1u;
		link_ = Link::up;
	}
	watchdog_.schedule(watchdog_ms_);
	return {};
}

bool Client::idle()
{
	MutexGuard receiving(receive_mutex_);
	SpinGuard guard(lock_);
	return link_ != Link::up ||
	       (queue_.empty() && in_flight_count_ == 0 && reader_.at_boundary() && ring_.quiescent());
}

void Client::stop()
{
	/* The next user of the page must find both streams at a message boundary. */
	bool is_idle = poll_until(Deadline::after(quiesce_timeout_ms), [this] {
		process(poll_limit);
		return idle();
	});
	if (!is_idle)
		XPV_WARNING("xenstore ring: unloading with messages left in it");
	{
		MutexGuard receiving(receive_mutex_);
		SpinGuard guard(lock_);
		link_ = Link::closed;
	}
	watchdog_.cancel();
}

void Client::close()
{
	MutexGuard receiving(receive_mutex_);
	SpinGuard guard(lock_);
	link_ = Link::closed;
	without_page_ = true;
	fail_all_locked();
}

/* ---- Suspend ---- */

/* Pause the link if both streams are at a message boundary. Later watch events can be read after the suspend. */
bool Client::drained()
{
	MutexGuard receiving(receive_mutex_);
	SpinGuard guard(lock_);
	if (link_ == Link::paused)
		return true;
	bool is = link_ != Link::up || (in_flight_count_ == 0 && reader_.at_boundary() && ring_.requests_taken());
	if (is) {
		before_pause_ = link_;
		link_ = Link::paused;
	}
	return is;
}

Status Client::pause(Deadline deadline)
{
	{
		SpinGuard guard(lock_);
		holding_ = true;
	}
	bool is_drained = poll_until(deadline, [this] {
		process(poll_limit);
		return drained();
	});
	if (is_drained)
		return {};
	bool wrote;
	unsigned int in_flight;
	{
		SpinGuard guard(lock_);
		in_flight = in_flight_count_;
		holding_ = false;
		wrote = pump_locked();
	}
	XPV_WARNING("xenstored did not reply to %u requests, refusing the suspend", in_flight);
	if (wrote)
		ring_doorbell();
	return Error(XEN_ETIMEDOUT);
}

void Client::unpause()
{
	{
		SpinGuard guard(lock_);
		if (link_ != Link::paused)
			return;
		holding_ = false;
		link_ = before_pause_;
	}
	process(poll_limit);
	ring_doorbell();
	watchdog_.reschedule();
}

Status Client::restart(xenstore_domain_interface *shared)
{
	{
		MutexGuard receiving(receive_mutex_);
		SpinGuard guard(lock_);
		link_ = Link::paused;
		holding_ = false;
		shared_ = shared;
		requeue_locked();
		for (Request &request : queue_)
			write_once(request.deadline_ms, xpv_now_ms() + read_once(timeout_ms_));
	}
	Status opened = open(shared);
	{
		MutexGuard receiving(receive_mutex_);
		SpinGuard guard(lock_);
		if (opened.ok()) {
			come_up_locked();
		} else {
			link_ = Link::dead;
			asked_ = ring_.reconnecting();
			gave_up_ = ring_.error() != 0;
			fail_all_locked();
		}
	}
	if (opened.ok()) {
		process(poll_limit);
		sink_.reconnected(sink_.context);
	}
	return opened;
}

} // namespace xpv
