// SPDX-License-Identifier: GPL-2.0-only
#include "xenbus/client.hh"

#include "lib/log.hh"

namespace xpv {

namespace {

constinit xpv_lock_class receive_class;
constinit xpv_lock_class client_class;

constexpr unsigned int reconnect_timeout_ms = 10000;
constexpr unsigned int quiesce_timeout_ms = 5000;
constexpr unsigned int look_again_ms = 10;
/* An XS_ERROR must always fit. */
constexpr std::size_t least_reply_capacity = 32;

} // namespace

/* ---- Call ---- */

Result<std::string_view> Call::wait()
{
	if (!request_)
		return Error(XEN_EINVAL);
	Request &request = *request_;
	for (;;) {
		std::uint64_t now = xpv_now_ms();
		std::uint64_t left = request.deadline_ms > now ? request.deadline_ms - now : 0;
		unsigned int slice = left < Client::poll_interval_ms ? static_cast<unsigned int>(left) :
								       Client::poll_interval_ms;
		if (xpv_wait_for_completion(&request.done, slice))
			break;
		/* Perhaps the answer is there, and only the event was lost. */
		client_->process(Client::poll_limit);
		client_->ring_doorbell();
		client_->check_server_error();
		if (xpv_now_ms() < request.deadline_ms)
			continue;
		auto abandoned = client_->abandon(request);
		if (abandoned == Client::Abandoned::was_finished)
			break;
		if (abandoned == Client::Abandoned::is_clients)
			static_cast<void>(request_.release());
		return Error(XEN_ETIMEDOUT);
	}
	/* Whoever finished the request did so under the lock, and may not have let go of it yet. */
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
		static_cast<void>(request_.release());
	request_.reset();
}

void Call::give_up()
{
	if (request_ && client_->abandon(*request_) == Client::Abandoned::is_clients)
		static_cast<void>(request_.release());
	request_.reset();
}

/* ---- Start and stop ---- */

Client::Client()
{
	receive_mutex_.init("xpv store receive", receive_class);
	lock_.init("xpv store client", client_class);
}

Client::~Client()
{
	queue_.take_all(held_);
	while (Request *request = queue_.pop_front())
		Owned<Request> last(request);
}

bool Client::wait_for_reconnection()
{
	for (unsigned int waited = 0; ring_.reconnecting(); waited += look_again_ms) {
		if (waited >= reconnect_timeout_ms)
			return false;
		xpv_sleep_ms(look_again_ms);
	}
	return true;
}

Status Client::reconnect(xenstore_domain_interface *shared)
{
	ring_.request_reconnect();
	ring_doorbell();
	if (!wait_for_reconnection())
		return Error(XEN_ETIMEDOUT);
	return ring_.attach(shared);
}

Status Client::start(xenstore_domain_interface *shared, Doorbell doorbell, WatchEventSink sink)
{
	doorbell_ = doorbell;
	sink_ = sink;
	/* Answers to a former user of the page must not look like answers to us. */
	next_id_ = static_cast<std::uint32_t>(xpv_now_ms()) * 0x9e3779b1u;

	Status attached = ring_.attach(shared);
	if (ring_.can_reconnect()) {
		if (ring_.reconnecting()) {
			if (!wait_for_reconnection())
				return Error(XEN_ETIMEDOUT);
			attached = ring_.attach(shared);
		}
		if (!attached.ok() || !ring_.quiescent() || ring_.error()) {
			XPV_NOTICE("the store's ring is not idle, reconnecting");
			attached = reconnect(shared);
		}
	}
	if (!attached.ok()) {
		XPV_ERR("the store's ring makes no sense (error %d)", attached.error().number());
		return attached;
	}
	if (std::uint32_t error = ring_.error()) {
		XPV_ERR("the store has given up on this domain (error %u)", error);
		return Error(XEN_EIO);
	}
	SpinGuard guard(lock_);
	running_ = true;
	return {};
}

bool Client::idle()
{
	MutexGuard receiving(receive_mutex_);
	SpinGuard guard(lock_);
	return !running_ || dead_ ||
	       (queue_.empty() && held_.empty() && in_flight_count_ == 0 && reader_.at_boundary() && ring_.quiescent());
}

void Client::stop()
{
	/* The next user of the page must find both streams between two messages. */
	for (unsigned int waited = 0; !idle(); waited += look_again_ms) {
		if (waited >= quiesce_timeout_ms) {
			XPV_WARNING("the store's ring is left with messages in it");
			break;
		}
		process(poll_limit);
		xpv_sleep_ms(look_again_ms);
	}
	MutexGuard receiving(receive_mutex_);
	SpinGuard guard(lock_);
	running_ = false;
}

/* ---- Requests ---- */

Result<Owned<Request>> Client::prepare(std::uint32_t type, xpv_store_transaction transaction,
				       std::span<const std::string_view> parts, std::size_t reply_capacity)
{
	std::size_t payload_size = 0;
	for (std::string_view part : parts) {
		if (part.size() > XENSTORE_PAYLOAD_MAX - payload_size)
			return Error(XEN_E2BIG);
		payload_size += part.size();
	}
	if (reply_capacity < least_reply_capacity)
		reply_capacity = least_reply_capacity;
	if (reply_capacity > XENSTORE_PAYLOAD_MAX)
		reply_capacity = XENSTORE_PAYLOAD_MAX;

	std::size_t message_size = sizeof(xsd_sockmsg) + payload_size;
	/* Block I/O may be waiting for this, so it must not wait for block I/O. */
	void *memory = xpv_alloc(sizeof(Request) + message_size + reply_capacity + 1, XPV_MAY_SLEEP_NO_IO);
	if (!memory)
		return Error(XEN_ENOMEM);
	Owned<Request> request(::new (memory) Request);
	request->type = type;
	request->transaction = transaction;
	request->message_size = message_size;
	request->reply_capacity = reply_capacity;
	xpv_completion_init(&request->done);

	xsd_sockmsg header = {};
	header.type = type;
	header.tx_id = transaction.value;
	header.len = static_cast<std::uint32_t>(payload_size);
	char *at = request->message();
	__builtin_memcpy(at, &header, sizeof(header));
	at += sizeof(header);
	for (std::string_view part : parts) {
		__builtin_memcpy(at, part.data(), part.size());
		at += part.size();
	}
	return request;
}

Result<Call> Client::submit(std::uint32_t type, xpv_store_transaction transaction,
			    std::span<const std::string_view> parts, std::size_t reply_capacity)
{
	return submit(XPV_TRY(prepare(type, transaction, parts, reply_capacity)));
}

Result<Call> Client::submit(Owned<Request> request)
{
	return submit_to(false, std::move(request));
}

Result<Call> Client::submit_to(bool first, Owned<Request> request)
{
	request->deadline_ms = xpv_now_ms() + read_once(timeout_ms_);
	bool wrote;
	{
		SpinGuard guard(lock_);
		if (!running_ || dead_)
			return Error(XEN_EIO);
		if (transaction_is_dead_locked(*request))
			return Error(XEN_EAGAIN);
		if (++next_id_ == 0)
			++next_id_;
		request->id = next_id_;
		__builtin_memcpy(request->message() + offsetof(xsd_sockmsg, req_id), &request->id, sizeof(request->id));
		(holding_ && !first ? held_ : queue_).push_back(*request);
		wrote = pump_locked();
	}
	if (wrote)
		ring_doorbell();
	return Call(this, std::move(request));
}

Status Client::perform(std::uint32_t type, xpv_store_transaction transaction, std::span<const std::string_view> parts)
{
	Call call = XPV_TRY(submit(type, transaction, parts, 0));
	XPV_TRY(call.wait());
	return {};
}

/* Write what there is room for. True when the store must be told. */
bool Client::pump_locked()
{
	bool wrote = false;
	while (!dead_ && !away_) {
		Request *request = queue_.front();
		if (!request)
			break;
		if (request->state == Request::State::queued) {
			if (in_flight_count_ >= in_flight_limit)
				break;
			request->state = Request::State::writing;
			in_flight_count_++;
		}
		auto written = ring_.write(request->message() + request->message_written,
					   request->message_size - request->message_written);
		if (!written.ok()) {
			die_locked("bad index in the request ring");
			break;
		}
		if (written.value() == 0)
			break;
		wrote = true;
		request->message_written += written.value();
		if (request->message_written < request->message_size)
			continue;
		request->unlink();
		counts_.sent++;
		if (request->abandoned) {
			in_flight_count_--;
			Owned<Request> last(request);
		} else {
			request->state = Request::State::in_flight;
			in_flight_.push_back(*request);
		}
	}
	return wrote;
}

void Client::finish_locked(Request &request, int error)
{
	request.unlink();
	if (request.state != Request::State::queued)
		in_flight_count_--;
	if (request.abandoned) {
		Owned<Request> last(&request);
		return;
	}
	request.state = Request::State::finished;
	request.error = error;
	xpv_complete_all(&request.done);
}

void Client::die_locked(const char *reason)
{
	/* What is seen while away is not the connection's. */
	if (dead_ || away_)
		return;
	dead_ = true;
	XPV_ERR("connection to the store lost: %s", reason);
	while (Request *request = in_flight_.front())
		finish_locked(*request, XEN_EIO);
	queue_.take_all(held_);
	while (Request *request = queue_.front())
		finish_locked(*request, XEN_EIO);
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
			/* The store expects the rest of the message. */
			request.abandoned = true;
			counts_.timed_out++;
			return Abandoned::is_clients;
		case Request::State::queued:
		case Request::State::in_flight:
			break;
		}
		counts_.timed_out++;
		finish_locked(request, XEN_ETIMEDOUT);
		wrote = pump_locked();
	}
	if (wrote)
		ring_doorbell();
	return Abandoned::is_callers;
}

/* True when the request is the client's from now on. */
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

/* ---- Answers ---- */

bool Client::on_event()
{
	bool progress = true;
	{
		SpinGuard guard(lock_);
		if (running_) {
			std::uint32_t now = ring_.progress();
			progress = now != progress_;
			progress_ = now;
		}
	}
	process(UINT_MAX);
	return progress;
}

void Client::process(unsigned int limit)
{
	bool ring_it = false;
	while (limit-- && receive_one(ring_it)) {
	}
	{
		SpinGuard guard(lock_);
		if (running_)
			ring_it |= pump_locked();
	}
	if (ring_it)
		ring_doorbell();
}

/* Takes the mutex anew for each message: a store that never stops talking must not hold a CPU. */
bool Client::receive_one(bool &was_full)
{
	MutexGuard receiving(receive_mutex_);
	{
		SpinGuard guard(lock_);
		if (!running_ || dead_ || away_)
			return false;
	}
	auto whole = reader_.read(ring_, was_full);
	if (whole.ok()) {
		if (whole.value())
			handle_message();
		return whole.value();
	}
	if (whole.error() == XEN_EBADMSG && !answered_) {
		/* The end of a message whose beginning a former user of the page took. */
		XPV_NOTICE("dropping what is left in the store's ring from earlier");
		reader_.reset();
		ring_.discard_responses();
		was_full = true;
		return false;
	}
	SpinGuard guard(lock_);
	die_locked(whole.error() == XEN_EBADMSG ? "malformed message" : "bad index in the response ring");
	return false;
}

void Client::handle_message()
{
	const xsd_sockmsg &header = reader_.header();
	std::string_view payload = reader_.payload();

	if (header.type == XS_WATCH_EVENT) {
		auto event = parse_watch_event(payload);
		if (event.ok())
			sink_.event(sink_.context, event.value());
		SpinGuard guard(lock_);
		if (event.ok())
			counts_.watch_events++;
		else
			counts_.dropped++;
		return;
	}

	SpinGuard guard(lock_);
	for (Request &request : in_flight_) {
		if (request.id != header.req_id)
			continue;
		answered_ = true;
		counts_.answered++;
		int error = 0;
		if (header.type == XS_ERROR) {
			error = store_error(payload).number();
		} else if (header.type != request.type) {
			XPV_ERR_LIMITED("the store answered request type %u with type %u", request.type, header.type);
			error = XEN_EIO;
		} else {
			std::size_t kept = payload.size() < request.reply_capacity ? payload.size() :
										     request.reply_capacity;
			__builtin_memcpy(request.reply(), payload.data(), kept);
			request.reply()[kept] = 0;
			request.reply_size = payload.size();
		}
		finish_locked(request, error);
		return;
	}
	counts_.dropped++;
}

void Client::check_server_error()
{
	SpinGuard guard(lock_);
	if (!running_ || dead_ || away_)
		return;
	/* C xenstored writes the field without saying that it offers it. */
	if (ring_.error())
		die_locked("the store has given up on this domain");
}

bool Client::dead()
{
	SpinGuard guard(lock_);
	return dead_;
}

void Client::counts(xpv_store_counts &counts)
{
	SpinGuard guard(lock_);
	std::uint32_t queued = 0;
	for (Request &request : queue_)
		queued += request.state == Request::State::queued;
	counts = counts_;
	counts.in_flight = in_flight_count_;
	counts.queued = queued;
	counts.dead = dead_;
}

} // namespace xpv
