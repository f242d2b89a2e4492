// SPDX-License-Identifier: GPL-2.0-only
/* The store client across a suspend. */
#include "lib/log.hh"
#include "xenbus/store.hh"

namespace xpv {

namespace {

constexpr unsigned int hold_patience_ms = 3000;
constexpr unsigned int look_again_ms = 10;

} // namespace

/* ---- The client ---- */

void Client::hold()
{
	{
		SpinGuard guard(lock_);
		holding_ = true;
		/* The store expects the rest of what is half written; the others go back behind nothing. */
		for (Request &request : queue_) {
			if (request.state != Request::State::queued)
				continue;
			request.unlink();
			held_.push_back(request);
		}
	}
	for (unsigned int waited = 0; !quiet_while_held(); waited += look_again_ms) {
		if (waited >= hold_patience_ms) {
			XPV_NOTICE("the store has not answered before the suspend; it will be asked again if it is another");
			return;
		}
		process(poll_limit);
		xpv_sleep_ms(look_again_ms);
	}
}

bool Client::quiet_while_held()
{
	MutexGuard receiving(receive_mutex_);
	SpinGuard guard(lock_);
	return !running_ || dead_ || (queue_.empty() && in_flight_count_ == 0 && reader_.at_boundary());
}

void Client::release()
{
	bool wrote = false;
	{
		SpinGuard guard(lock_);
		holding_ = false;
		away_ = false;
		/* Nobody could have answered them. */
		std::uint64_t deadline = xpv_now_ms() + read_once(timeout_ms_);
		for (Request &request : held_)
			write_once(request.deadline_ms, deadline);
		queue_.take_all(held_);
		if (running_)
			wrote = pump_locked();
	}
	if (wrote)
		ring_doorbell();
}

Status Client::restore(xenstore_domain_interface *shared)
{
	MutexGuard receiving(receive_mutex_);
	SpinGuard guard(lock_);
	write_once(restores_, restores_ + 1);
	reader_.reset();
	answered_ = false;
	progress_ = 0;
	Status attached = ring_.attach(shared);
	dead_ = !attached.ok();

	/* In the order in which they were made, before those that were held. */
	List<Request> again;
	again.take_all(in_flight_);
	again.take_all(queue_);
	again.take_all(held_);
	in_flight_count_ = 0;
	while (Request *request = again.front()) {
		request->unlink();
		request->state = Request::State::queued;
		request->message_written = 0;
		if (dead_ || transaction_is_dead_locked(*request))
			finish_locked(*request, dead_ ? XEN_EIO : XEN_EAGAIN);
		else
			held_.push_back(*request);
	}
	return attached;
}

} // namespace xpv
