// SPDX-License-Identifier: GPL-2.0-only
/* Requests from the caller's side: wait for the reply, give up, or let them complete alone. */
#include "lib/log.hh"
#include "xenbus/store/client.hh"

namespace xpv {

Request::~Request() = default;

std::string_view Request::path()
{
	std::string_view payload(message() + sizeof(xsd_sockmsg), message_size - sizeof(xsd_sockmsg));
	size_t end = payload.find('\0');
	return { payload.data(), end == payload.npos ? payload.size() : end };
}

bool Request::repeatable() const
{
	if (transaction.value)
		return false;
	switch (type) {
	case XS_DIRECTORY:
	case XS_DIRECTORY_PART:
	case XS_READ:
	case XS_GET_PERMS:
	case XS_GET_DOMAIN_PATH:
	case XS_IS_DOMAIN_INTRODUCED:
	/* Repeated in their original order. */
	case XS_WRITE:
	case XS_MKDIR:
	case XS_RM:
	case XS_SET_PERMS:
	/* A transaction that the first request may have started was lost with the connection. */
	case XS_TRANSACTION_START:
		return true;
	default:
		return false;
	}
}

Result<std::string_view> Call::wait()
{
	if (!request_)
		return Error(XEN_EINVAL);
	Request &request = *request_;
	uint64_t begun_ms = xpv_now_ms();
	for (;;) {
		uint64_t now = xpv_now_ms();
		uint64_t deadline = read_once(request.deadline_ms);
		uint64_t left = deadline > now ? deadline - now : 0;
		unsigned int slice = left < Client::poll_interval_ms ? static_cast<unsigned int>(left) :
								       Client::poll_interval_ms;
		if (xpv_wait_for_completion(&request.done, slice))
			break;
		/* The reply may be in the ring, and only the event was lost. */
		client_->process(Client::poll_limit);
		client_->check_server();
		if (xpv_now_ms() < read_once(request.deadline_ms)) {
			client_->ring_doorbell();
			continue;
		}
		client_->log_unanswered(request, static_cast<unsigned int>(xpv_now_ms() - begun_ms));
		auto abandoned = client_->abandon(request);
		if (abandoned == Client::Abandoned::was_finished)
			break;
		if (abandoned == Client::Abandoned::is_clients)
			ignore(request_.release());
		return Error(XEN_ETIMEDOUT);
	}
	/* The request was completed with the lock held; take it to wait until the lock is released. */
	SpinGuard guard(client_->lock_);
	if (request.error)
		return Error(request.error);
	if (request.reply_size > request.reply_capacity)
		return Error(XEN_EMSGSIZE);
	return std::string_view(request.reply(), request.reply_size);
}

void Call::forget()
{
	if (request_ && client_->forget(*request_))
		ignore(request_.release());
	request_.reset();
}

void Call::give_up()
{
	if (request_ && client_->abandon(*request_) == Client::Abandoned::is_clients)
		ignore(request_.release());
	request_.reset();
}

void Client::log_unanswered(Request &request, unsigned int milliseconds)
{
	StoreRing::Snapshot now = {};
	{
		SpinGuard guard(lock_);
		if (request.state == Request::State::finished)
			return;
		if (link_ == Link::up)
			now = ring_.snapshot();
	}
	std::string_view path = request.path();
	XPV_ERR_LIMITED(
		"no reply from xenstored to %s %.*s for %u ms (requests %u/%u, responses %u/%u, connection %u, error %u)",
		operation_name(request.type), static_cast<int>(path.size()), path.data(), milliseconds,
		now.request_consumed, now.request_produced, now.response_consumed, now.response_produced,
		now.connection, now.error);
}

Client::Abandoned Client::abandon(Request &request)
{
	bool wrote = false;
	{
		SpinGuard guard(lock_);
		switch (request.state) {
		case Request::State::finished:
			return Abandoned::was_finished;
		case Request::State::writing:
			/* xenstored expects the rest of the message. */
			request.abandoned = true;
			counts_.timed_out++;
			return Abandoned::is_clients;
		case Request::State::queued:
			counts_.timed_out++;
			if (request.type == XS_TRANSACTION_END) {
				/* Send it anyway, or the transaction stays open and counts against the quota. */
				request.abandoned = true;
				return Abandoned::is_clients;
			}
			break;
		case Request::State::in_flight:
			counts_.timed_out++;
			if (request.type == XS_TRANSACTION_START) {
				in_flight_count_--;
				orphan_locked(request);
				return Abandoned::is_clients;
			}
			break;
		}
		finish_locked(request, XEN_ETIMEDOUT);
		wrote = pump_locked();
	}
	if (wrote)
		ring_doorbell();
	return Abandoned::is_callers;
}

/* Give up on the reply, but let the request complete. Returns true if the client owns the request now. */
bool Client::forget(Request &request)
{
	SpinGuard guard(lock_);
	switch (request.state) {
	case Request::State::queued:
	case Request::State::writing:
		request.abandoned = true;
		return true;
	case Request::State::in_flight:
		finish_locked(request, XEN_ETIMEDOUT);
		return false;
	case Request::State::finished:
		break;
	}
	return false;
}

} // namespace xpv
