// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a user's requests are handled: most are passed on unchanged; those on
 * watches and transactions must not affect other users.
 */
#include "xenbus/store_owned.h"
#include "xenbus/node/user.hh"
#include "xenbus/store/text.hh"
#include "xenbus/node/users.hh"

using namespace xpv;

namespace {

constexpr std::string_view ok("OK", 3);

Result<Array<char>> copy(std::string_view text)
{
	auto made = XPV_TRY(Array<char>::make(text.size(), XPV_MAY_SLEEP));
	__builtin_memcpy(made.data(), text.data(), text.size());
	return made;
}

bool same(const Array<char> &a, std::string_view b)
{
	return std::string_view(a.data(), a.size()) == b;
}

/* Return whether the length of the path is allowed, as in store.h. `path` has its NUL. */
bool acceptable_path(std::string_view path)
{
	size_t length = path.size() - 1;
	return length != 0 && length <= (path[0] == '/' ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX);
}

bool is_a_request(uint32_t type)
{
	return type < XS_TYPE_COUNT && type != XS_WATCH_EVENT && type != XS_ERROR;
}

} // namespace

void xpv_store_user::answer(UserMessage &request)
{
	xsd_sockmsg header = request.header();
	std::string_view body = request.body();
	Status done;
	switch (header.type) {
	case XS_WATCH:
		done = watch(body);
		break;
	case XS_UNWATCH:
		done = unwatch(body);
		break;
	case XS_RESET_WATCHES:
		/* Reset only this user's watches and transactions. Passed on, the request would drop everyone's. */
		end_all();
		break;
	default:
		done = serve(header, body);
		if (!done.ok())
			break;
		reply(header, answer_type_, { answer_, answer_length_ });
		return;
	}
	if (done.ok())
		reply(header, header.type, ok);
	else
		reply(header, XS_ERROR, store_error_name(done.error()));
}

/* Handle a request. On success answer_ has xenstored's reply, perhaps an XS_ERROR; as in the next functions. */
Status xpv_store_user::serve(const xsd_sockmsg &header, std::string_view body)
{
	if (!is_a_request(header.type))
		return Error(XEN_ENOSYS);
	/* Check the owner here: xenstored sees only our one connection, and cannot separate users. */
	UserTransaction *transaction = find(header.tx_id);
	if (header.tx_id != 0 && !transaction)
		return Error(XEN_ENOENT);
	if (header.type == XS_TRANSACTION_END && transaction)
		return end_transaction(header, body, *transaction);
	if (header.type == XS_TRANSACTION_START)
		return begin_transaction(header, body);
	return pass_on(header, body);
}

Status xpv_store_user::pass_on(const xsd_sockmsg &header, std::string_view body)
{
	return status(xpv_store_request(header.type, header.tx_id, body.data(), static_cast<unsigned int>(body.size()),
					&answer_type_, answer_, &answer_length_));
}

/* ---- Transactions ---- */

UserTransaction *xpv_store_user::find(uint32_t id)
{
	for (UserTransaction &transaction : transactions_)
		if (transaction.id == id)
			return &transaction;
	return nullptr;
}

Status xpv_store_user::begin_transaction(const xsd_sockmsg &header, std::string_view body)
{
	auto begun = XPV_TRY(make<UserTransaction>(XPV_MAY_SLEEP));
	XPV_TRY(pass_on(header, body));
	if (answer_type_ == XS_ERROR)
		return {};
	std::string_view text(answer_, answer_length_);
	if (!text.empty() && text.back() == 0)
		text.remove_suffix(1);
	begun->id = XPV_TRY(parse_decimal(text));
	if (begun->id == 0)
		return Error(XEN_EIO);
	transactions_.push_back(*begun.release());
	return {};
}

Status xpv_store_user::end_transaction(const xsd_sockmsg &header, std::string_view body, UserTransaction &transaction)
{
	bool commit = XPV_TRY(parse_transaction_end(body));
	Status ended = pass_on(header, body);
	bool lost = !ended.ok() && ended.error() == XEN_EAGAIN;
	/* Without a reply the transaction may still be open: end_all() retries. */
	if (!ended.ok() && !lost)
		return ended;
	transaction.unlink();
	Owned<UserTransaction> last(&transaction);
	if (lost && commit)
		return Error(XEN_EAGAIN);
	if (lost) {
		answer_type_ = header.type;
		answer_length_ = ok.size();
		__builtin_memcpy(answer_, ok.data(), ok.size());
	}
	return {};
}

/* ---- Watches ---- */

Status xpv_store_user::watch(std::string_view body)
{
	auto asked = XPV_TRY(parse_watch_request(body));
	if (!acceptable_path(asked.path))
		return Error(XEN_EINVAL);
	auto made = XPV_TRY(make<UserWatch>(XPV_MAY_SLEEP));
	made->user = this;
	made->path = XPV_TRY(copy(asked.path));
	made->token = XPV_TRY(copy(asked.token));
	xsd_sockmsg header = {};
	header.type = XS_WATCH_EVENT;
	made->reserve = XPV_TRY(UserMessage::make(header, { asked.path, asked.token }, XPV_MAY_SLEEP));
	made->reserve->reserve_of = made.get();
	/* Events may come before this returns; after an error no event comes. */
	auto added = store().watches.add(made->path.data(), nullptr, made.get(), nullptr,
					 [](xpv_store_watch_context *context, std::string_view path) {
						 auto &watch = *static_cast<UserWatch *>(context);
						 watch.user->event(watch, path);
					 });
	if (!added.ok()) {
		end_watch(*made.release());
		return added.error();
	}
	made->watch = added.value();
	watches_.push_back(*made.release());
	return {};
}

/* Remove the first watch that matches. Not an error if no watch matches: the user gets no events either way. */
Status xpv_store_user::unwatch(std::string_view body)
{
	auto asked = XPV_TRY(parse_watch_request(body));
	for (UserWatch &watch : watches_) {
		if (same(watch.path, asked.path) && same(watch.token, asked.token)) {
			end_watch(watch);
			break;
		}
	}
	return {};
}

void xpv_store_user::end_watch(UserWatch &watch)
{
	Owned<UserWatch> last(&watch);
	watch.unlink();
	xpv_store_watch_unregister(watch.watch);
	/* No more events come. Unread ones stay queued, and are freed once read. */
	SpinGuard guard(lock_);
	for (UserMessage &message : replies_)
		if (message.reserve_of == &watch)
			message.reserve_of = nullptr;
}

/* End all watches and transactions, without waiting for xenstored's replies. */
void xpv_store_user::end_all()
{
	while (UserWatch *watch = watches_.front())
		end_watch(*watch);
	while (UserTransaction *transaction = transactions_.pop_front()) {
		Owned<UserTransaction> last(transaction);
		const std::string_view parts[] = { std::string_view("F", 2) };
		auto call = store().client.submit(XS_TRANSACTION_END, { transaction->id }, parts, 0);
		if (call.ok())
			call.value().forget();
	}
}
