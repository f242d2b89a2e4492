// SPDX-License-Identifier: GPL-2.0-only
/* Loss of the connection, reconnection, and the watchdog that detects both. */
#include "lib/log.hh"
#include "xenbus/store/client.hh"

namespace xpv {

namespace {

constexpr unsigned int watchdog_poll_ms = 10;
/* Least time between reconnections, in case each new connection breaks at once. */
constexpr unsigned int reconnect_interval_ms = 10000;

constexpr bool power_of_two(unsigned int number)
{
	return number != 0 && (number & (number - 1)) == 0;
}

} // namespace

/* ---- Loss and return ---- */

/* Return whether xenstored can reconnect and the last reconnection is long enough ago. */
bool Client::may_reconnect_locked(uint64_t now)
{
	return ring_.can_reconnect() && (reconnected_ms_ == 0 || now - reconnected_ms_ >= reconnect_interval_ms);
}

void Client::lose_locked(const char *reason)
{
	if (link_ != Link::up)
		return;
	lost_ms_ = xpv_now_ms();
	/* If the other end has begun a reconnection, wait for that one. */
	asked_ = ring_.can_reconnect() && ring_.reconnecting();
	gave_up_ = !asked_ && ring_.error() != 0;
	link_ = asked_ || may_reconnect_locked(lost_ms_) ? Link::lost : Link::dead;
	counts_.losses++;
	XPV_ERR_LIMITED("connection to xenstored lost: %s%s", reason, link_ == Link::lost ? ", reconnecting" : "");
	if (link_ == Link::lost)
		requeue_locked();
	else
		fail_all_locked();
	watchdog_.reschedule(link_ == Link::lost ? 0 : watchdog_ms_);
}

/* Requeue all requests, to be sent (again); end those that cannot be repeated. */
void Client::requeue_locked()
{
	List<Request> all;
	all.take_all(in_flight_);
	all.take_all(queue_);
	while (Request *request = all.pop_front()) {
		bool begun = request->state != Request::State::queued;
		if (begun)
			in_flight_count_--;
		/* A partly written request that the client owns: its caller has given up. */
		bool unwanted = begun && request->abandoned;
		request->state = Request::State::queued;
		request->message_written = 0;
		if (request->transaction.value || unwanted || (begun && !request->repeatable()))
			/* XS_UNWATCH succeeds: xenstored has dropped all our watches. */
			finish_locked(*request, request->type == XS_UNWATCH ? 0 : XEN_EAGAIN);
		else
			queue_.push_back(*request);
	}
	lose_transactions_locked();
}

void Client::fail_all_locked()
{
	while (Request *request = in_flight_.front())
		finish_locked(*request, XEN_EIO);
	while (Request *request = queue_.front())
		finish_locked(*request, XEN_EIO);
	lose_transactions_locked();
}

/* Mark the link as up. ring_ must be attached to the new connection. */
void Client::come_up_locked()
{
	reader_.reset();
	link_ = Link::up;
	asked_ = gave_up_ = false;
	stalled_runs_ = 0;
	reconnected_ms_ = progress_ms_ = xpv_now_ms();
	counts_.reconnections++;
}

void Client::check_server()
{
	SpinGuard guard(lock_);
	if (link_ != Link::up)
		return;
	/* Check the field without a feature bit: C xenstored writes it but does not announce it. */
	if (ring_.error())
		lose_locked("xenstored set an error in the xenstore ring");
	else if (ring_.can_reconnect() && ring_.reconnecting())
		lose_locked("xenstored resets the connection");
}

/* ---- The watchdog ---- */

void Client::run_watchdog()
{
	NoIoScope no_io;
	watchdog_.schedule(check_link());
}

unsigned int Client::check_link()
{
	check_server();
	Link link;
	{
		SpinGuard guard(lock_);
		link = link_;
	}
	switch (link) {
	case Link::up:
		return check_progress();
	case Link::lost:
	case Link::dead:
		return try_to_reconnect();
	case Link::closed:
	case Link::paused:
		break;
	}
	return watchdog_ms_;
}

/* Receive what a lost event did not announce, and warn if xenstored makes no progress. */
unsigned int Client::check_progress()
{
	process(poll_limit);
	StoreRing::Snapshot ring;
	unsigned int runs;
	unsigned int waiting;
	unsigned int stalled_ms;
	bool stalled;
	{
		SpinGuard guard(lock_);
		if (link_ != Link::up)
			return 0;
		ring = ring_.snapshot();
		waiting = in_flight_count_;
		uint32_t progress = ring_.progress();
		stalled = waiting != 0 && progress == watched_progress_;
		watched_progress_ = progress;
		uint64_t now = xpv_now_ms();
		stalled_ms = static_cast<unsigned int>(now - progress_ms_);
		if (!stalled)
			progress_ms_ = now;
		runs = stalled ? ++stalled_runs_ : std::exchange(stalled_runs_, 0);
	}
	if (!stalled) {
		if (runs)
			XPV_NOTICE("xenstored makes progress again after %u ms", stalled_ms);
		return watchdog_ms_;
	}
	if (power_of_two(runs))
		XPV_WARNING("xenstored made no progress for %u ms: %u requests in flight, "
			    "requests %u/%u, responses %u/%u, connection %u, error %u",
			    stalled_ms, waiting, ring.request_consumed, ring.request_produced, ring.response_consumed,
			    ring.response_produced, ring.connection, ring.error);
	ring_doorbell();
	return watchdog_ms_;
}

/* Ask for a new connection, or check whether it is ready. The link is lost or dead. */
unsigned int Client::try_to_reconnect()
{
	bool up = false;
	bool ask = false;
	unsigned int again_ms = watchdog_poll_ms;
	{
		MutexGuard receiving(receive_mutex_);
		SpinGuard guard(lock_);
		uint64_t now = xpv_now_ms();
		if (link_ != Link::lost && link_ != Link::dead)
			return 0;
		if (!asked_ && may_reconnect_locked(now)) {
			asked_ = ask = true;
			lost_ms_ = now;
			ring_.request_reconnect();
		} else if (asked_ ? !ring_.reconnecting() : gave_up_ && ring_.error() == 0) {
			/* xenstored has reconnected; or, if it cannot, the toolstack introduced the domain again. */
			up = ring_.attach(shared_).ok() && ring_.error() == 0;
			if (up) {
				come_up_locked();
			} else {
				asked_ = false;
				reconnected_ms_ = now;
			}
		}
		if (link_ == Link::lost && (!asked_ || now - lost_ms_ >= reconnect_timeout_ms)) {
			link_ = Link::dead;
			fail_all_locked();
			XPV_ERR_LIMITED("xenstored does not reconnect, failing all requests");
		}
		if (link_ == Link::dead)
			again_ms = watchdog_ms_;
	}
	if (ask)
		ring_doorbell();
	if (!up)
		return again_ms;
	XPV_NOTICE("reconnected to xenstored");
	process(poll_limit);
	sink_.reconnected(sink_.context);
	return watchdog_ms_;
}

} // namespace xpv
