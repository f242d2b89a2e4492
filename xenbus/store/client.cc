// SPDX-License-Identifier: GPL-2.0-only
/* Write requests to the ring, and read replies from it. */
#include "xenbus/store/client.hh"

#include "lib/log.hh"

namespace xpv {

namespace {

/* Enough for any XS_ERROR and for a transaction's number. */
constexpr size_t least_reply_capacity = 32;

void trace_request(Request &request)
{
	std::string_view path = request.path();
	xpv_trace_store_request(request.type, request.transaction.value, request.id, path.data(), path.size());
}

void trace_reply(Request &request, int error)
{
	std::string_view path = request.path();
	xpv_trace_store_reply(request.type, request.transaction.value, request.id, path.data(), path.size(), -error,
			      xpv_store_clock_ns() - request.since_ns);
}

} // namespace

Result<Owned<Request>> Client::prepare(uint32_t type, xpv_store_transaction transaction,
				       std::span<const std::string_view> parts, size_t reply_capacity)
{
	/* XS_RESET_WATCHES in a transaction crashes C xenstored up to 4.17.6 (XSA-484). */
	if (type == XS_RESET_WATCHES && transaction.value)
		return Error(XEN_EINVAL);
	size_t payload_size = XPV_TRY(payload_length(parts));
	if (reply_capacity < least_reply_capacity)
		reply_capacity = least_reply_capacity;
	if (reply_capacity > XENSTORE_PAYLOAD_MAX)
		reply_capacity = XENSTORE_PAYLOAD_MAX;

	size_t message_size = sizeof(xsd_sockmsg) + payload_size;
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
	write_message(request->message(), header, parts, payload_size);
	if (type == XS_TRANSACTION_START) {
		request->opens = XPV_TRY(make<OpenTransaction>(XPV_MAY_SLEEP_NO_IO));
		const std::string_view drop[] = { std::string_view("F", 2) };
		request->opens->drop = XPV_TRY(prepare(XS_TRANSACTION_END, XPV_STORE_NO_TRANSACTION, drop, 0));
	}
	return request;
}

Result<Call> Client::submit(uint32_t type, xpv_store_transaction transaction, std::span<const std::string_view> parts,
			    size_t reply_capacity)
{
	return submit(XPV_TRY(prepare(type, transaction, parts, reply_capacity)));
}

Result<Call> Client::submit(Owned<Request> request)
{
	request->deadline_ms = xpv_now_ms() + read_once(timeout_ms_);
	request->since_ns = xpv_store_clock_ns();
	bool wrote;
	{
		SpinGuard guard(lock_);
		if (link_ == Link::closed || link_ == Link::dead)
			return Error(XEN_EIO);
		XPV_TRY(resolve_transaction_locked(*request));
		if (++next_id_ == 0)
			++next_id_;
		request->id = next_id_;
		__builtin_memcpy(request->message() + offsetof(xsd_sockmsg, req_id), &request->id, sizeof(request->id));
		trace_request(*request);
		queue_.push_back(*request);
		wrote = pump_locked();
	}
	if (wrote)
		ring_doorbell();
	return Call(this, std::move(request));
}

Status Client::perform(uint32_t type, xpv_store_transaction transaction, std::span<const std::string_view> parts)
{
	Call call = XPV_TRY(submit(type, transaction, parts, 0));
	XPV_TRY(call.wait());
	return {};
}

/* Write as many requests as there is room for. Returns true if xenstored must be notified. */
bool Client::pump_locked()
{
	bool wrote = false;
	while (link_ == Link::up) {
		Request *request = queue_.front();
		if (!request)
			break;
		if (request->state == Request::State::queued) {
			if (holding_ || in_flight_count_ >= in_flight_limit)
				break;
			request->state = Request::State::writing;
			in_flight_count_++;
		}
		auto written = ring_.write(request->message() + request->message_written,
					   request->message_size - request->message_written);
		if (!written.ok()) {
			lose_locked("invalid request index in the xenstore ring");
			break;
		}
		if (written.value() == 0)
			break;
		wrote = true;
		request->message_written += written.value();
		if (request->message_written < request->message_size)
			continue;
		written_locked(*request);
	}
	return wrote;
}

/* Update a request after its whole message was written to the ring. */
void Client::written_locked(Request &request)
{
	request.unlink();
	counts_.sent++;
	if (!request.abandoned) {
		request.state = Request::State::in_flight;
		in_flight_.push_back(request);
		return;
	}
	in_flight_count_--;
	if (request.type == XS_TRANSACTION_START)
		orphan_locked(request);
	else
		Owned<Request> last(&request);
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
	trace_reply(request, error);
	request.state = Request::State::finished;
	request.error = error;
	xpv_complete_all(&request.done);
}

/* ---- Answers ---- */

bool Client::on_event()
{
	bool progress = true;
	bool reconnect = false;
	{
		SpinGuard guard(lock_);
		if (link_ == Link::up) {
			uint32_t now = ring_.progress();
			progress = now != event_progress_;
			event_progress_ = now;
		}
		reconnect = link_ == Link::lost || link_ == Link::dead;
	}
	if (reconnect) {
		/* It may be the new connection. Return false, so that many such events count as spurious. */
		watchdog_.reschedule();
		return false;
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
		ring_it |= pump_locked();
	}
	if (ring_it)
		ring_doorbell();
}

/* Receive one message. Takes the mutex for each message, so that an endless stream does not monopolise a CPU. */
bool Client::receive_one(bool &was_full)
{
	MutexGuard receiving(receive_mutex_);
	{
		SpinGuard guard(lock_);
		if (link_ != Link::up)
			return false;
	}
	auto whole = reader_.read(ring_, was_full);
	if (whole.ok()) {
		if (whole.value())
			handle_message();
		return whole.value();
	}
	if (whole.error() == XEN_EBADMSG && !answered_) {
		/* The rest of a message whose beginning an earlier user of the page read. */
		XPV_NOTICE("xenstore ring: dropping responses to an earlier user of the ring");
		reader_.reset();
		ring_.discard_responses();
		was_full = true;
		return false;
	}
	SpinGuard guard(lock_);
	lose_locked(whole.error() == XEN_EBADMSG ? "malformed message" : "invalid response index in the xenstore ring");
	return false;
}

void Client::handle_message()
{
	const xsd_sockmsg &header = reader_.header();
	std::string_view payload = reader_.payload();

	if (header.type == XS_WATCH_EVENT) {
		auto event = parse_watch_event(payload);
		if (event.ok())
			xpv_trace_store_watch(event.value().path.data(), event.value().path.size(),
					      event.value().token.data(), event.value().token.size());
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
		answer_locked(request, header, payload);
		return;
	}
	counts_.dropped++;
	for (Request &request : orphans_) {
		if (request.id != header.req_id)
			continue;
		answer_orphan_locked(request, header, payload);
		return;
	}
}

void Client::answer_locked(Request &request, const xsd_sockmsg &header, std::string_view payload)
{
	if (header.type != request.type && header.type != XS_ERROR) {
		XPV_ERR_LIMITED("xenstored replied to %s with unexpected message type %u", operation_name(request.type),
				header.type);
		finish_locked(request, XEN_EIO);
		return;
	}
	request.reply_type = header.type;
	if (header.type == XS_ERROR && !request.raw) {
		finish_locked(request, store_error(payload).number());
		return;
	}
	size_t kept = payload.size() < request.reply_capacity ? payload.size() : request.reply_capacity;
	__builtin_memcpy(request.reply(), payload.data(), kept);
	request.reply()[kept] = 0;
	request.reply_size = payload.size();
	if (header.type == XS_TRANSACTION_START)
		open_transaction_locked(request, payload);
	finish_locked(request, request.error);
}

bool Client::dead()
{
	SpinGuard guard(lock_);
	return link_ == Link::dead || without_page_;
}

void Client::counts(xpv_store_counts &counts)
{
	SpinGuard guard(lock_);
	uint32_t queued = 0;
	for (Request &request : queue_)
		queued += request.state == Request::State::queued;
	static constexpr const char *names[] = { "closed", "up", "paused", "lost", "dead" };
	counts = counts_;
	counts.in_flight = in_flight_count_;
	counts.queued = queued;
	counts.dead = link_ == Link::dead;
	counts.link = names[static_cast<unsigned int>(link_)];
	if (link_ == Link::up || link_ == Link::lost || link_ == Link::dead) {
		StoreRing::Snapshot now = ring_.snapshot();
		counts.request_consumed = now.request_consumed;
		counts.request_produced = now.request_produced;
		counts.response_consumed = now.response_consumed;
		counts.response_produced = now.response_produced;
		counts.server_features = now.server_features;
		counts.connection = now.connection;
		counts.error = now.error;
	}
}

} // namespace xpv
