// SPDX-License-Identifier: GPL-2.0-only
/* Open transactions: their numbers, their loss with the connection, and the end of those without a caller. */
#include "xenbus/store/client.hh"
#include "xenbus/store/text.hh"

namespace xpv {

namespace {

/* Parse the reply to XS_TRANSACTION_START. Returns 0, which is not a valid number, if it is malformed. */
uint32_t parse_transaction(std::string_view payload)
{
	if (payload.empty() || payload.back() != 0)
		return 0;
	payload.remove_suffix(1);
	return parse_decimal(payload).value_or(0);
}

void set_wire_transaction(Request &request, uint32_t id)
{
	__builtin_memcpy(request.message() + offsetof(xsd_sockmsg, tx_id), &id, sizeof(id));
}

} // namespace

/* Put xenstored's number of the transaction into the message. EAGAIN if it is lost, ENOENT if it is unknown. */
Status Client::resolve_transaction_locked(Request &request)
{
	if (request.transaction.value == 0)
		return {};
	for (OpenTransaction &open : transactions_) {
		if (open.handle != request.transaction.value)
			continue;
		bool lost = open.lost;
		set_wire_transaction(request, open.id);
		if (request.type == XS_TRANSACTION_END) {
			open.unlink();
			Owned<OpenTransaction> last(&open);
		}
		return lost ? Status(Error(XEN_EAGAIN)) : Status();
	}
	return Error(XEN_ENOENT);
}

/* Record a new transaction, and replace the number in the reply with ours. */
void Client::open_transaction_locked(Request &request, std::string_view payload)
{
	uint32_t id = parse_transaction(payload);
	if (id == 0) {
		request.error = XEN_EIO;
		return;
	}
	OpenTransaction &open = *request.opens.release();
	if (++next_transaction_ == 0)
		++next_transaction_;
	open.handle = next_transaction_;
	open.id = id;
	open.since_ms = xpv_now_ms();
	transactions_.push_back(open);
	request.reply_size = static_cast<size_t>(xpv_format(request.reply(), request.reply_capacity, "%u", open.handle)) +
			     1;
}

/* Keep an XS_TRANSACTION_START in flight whose caller has given up, so that the transaction can be ended. */
void Client::orphan_locked(Request &request)
{
	request.unlink();
	request.abandoned = true;
	request.state = Request::State::in_flight;
	if (orphans_count_ == orphans_limit)
		Owned<Request> oldest(orphans_.pop_front());
	else
		orphans_count_++;
	orphans_.push_back(request);
}

void Client::answer_orphan_locked(Request &request, const xsd_sockmsg &header, std::string_view payload)
{
	request.unlink();
	orphans_count_--;
	Owned<Request> last(&request);
	uint32_t id = header.type == XS_TRANSACTION_START ? parse_transaction(payload) : 0;
	if (id == 0)
		return;
	Request &drop = *request.opens->drop.release();
	set_wire_transaction(drop, id);
	/* Makes requeue_locked() end it: over another connection the number may be another transaction's. */
	drop.transaction.value = id;
	drop.abandoned = true;
	if (++next_id_ == 0)
		++next_id_;
	drop.id = next_id_;
	__builtin_memcpy(drop.message() + offsetof(xsd_sockmsg, req_id), &drop.id, sizeof(drop.id));
	queue_.push_back(drop);
}

void Client::lose_transactions_locked()
{
	for (OpenTransaction &open : transactions_)
		open.lost = true;
	while (Request *orphan = orphans_.pop_front())
		Owned<Request> last(orphan);
	orphans_count_ = 0;
}

void Client::forget_transactions()
{
	SpinGuard guard(lock_);
	lose_transactions_locked();
}

} // namespace xpv
