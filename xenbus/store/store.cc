// SPDX-License-Identifier: GPL-2.0-only
/* The functions of store.h for one node, transactions and watches. Requests as in docs/misc/xenstore.txt of Xen. */
#include "xenbus/store/store.hh"

#include "lib/ordering.hh"
#include "xenbus/store/text.hh"

using namespace xpv;

namespace xpv {

namespace {

constinit Store *the_store;

Status remove(xpv_store_transaction transaction, const char *path)
{
	const std::string_view parts[] = { XPV_TRY(checked_path(path)) };
	return store().client.perform(XS_RM, transaction, parts);
}

Result<xpv_store_transaction> start_transaction()
{
	/* The protocol requires a body of one NUL. */
	const std::string_view parts[] = { std::string_view("", 1) };
	Call call = XPV_TRY(store().client.submit(XS_TRANSACTION_START, XPV_STORE_NO_TRANSACTION, parts, 0));
	std::string_view reply = XPV_TRY(call.wait());
	if (reply.empty() || reply.back() != 0)
		return Error(XEN_EIO);
	reply.remove_suffix(1);
	auto id = parse_decimal(reply);
	/* 0 means no transaction. */
	if (!id.ok() || id.value() == 0)
		return Error(XEN_EIO);
	return xpv_store_transaction{ id.value() };
}

} // namespace

Result<std::string_view> checked_path(const char *path)
{
	size_t length = __builtin_strlen(path);
	if (length == 0 || length > (path[0] == '/' ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX))
		return Error(XEN_EINVAL);
	return std::string_view(path, length + 1);
}

Result<Call> submit_read(xpv_store_transaction transaction, const char *path, size_t capacity)
{
	const std::string_view parts[] = { XPV_TRY(checked_path(path)) };
	return store().client.submit(XS_READ, transaction, parts, capacity);
}

Result<Call> submit_write(xpv_store_transaction transaction, const char *path, const char *value)
{
	const std::string_view parts[] = { XPV_TRY(checked_path(path)), value };
	return store().client.submit(XS_WRITE, transaction, parts, 0);
}

/* Wait for the reply to an XS_READ. Returns the same as xpv_store_read(). */
int finish_read(Call &call, char *value, size_t size)
{
	auto reply = call.wait();
	if (!reply.ok())
		return reply.code();
	if (reply.value().size() >= size)
		return Error(XEN_EMSGSIZE).negative();
	__builtin_memcpy(value, reply.value().data(), reply.value().size());
	value[reply.value().size()] = 0;
	return static_cast<int>(reply.value().size());
}

void set_store(Store *store)
{
	write_once(the_store, store);
}

Store &store()
{
	return *read_once(the_store);
}

} // namespace xpv

int xpv_store_read(xpv_store_transaction transaction, const char *path, char *value, size_t size)
{
	auto call = submit_read(transaction, path, size);
	return call.ok() ? finish_read(call.value(), value, size) : call.code();
}

int xpv_store_write(xpv_store_transaction transaction, const char *path, const char *value)
{
	auto call = submit_write(transaction, path, value);
	return call.ok() ? call.value().wait().code() : call.code();
}

int xpv_store_remove(xpv_store_transaction transaction, const char *path)
{
	Status removed = remove(transaction, path);
	return !removed.ok() && removed.error() == XEN_ENOENT ? 0 : removed.code();
}

int xpv_store_transaction_start(xpv_store_transaction *transaction)
{
	return hand_out(start_transaction(), transaction);
}

int xpv_store_transaction_end(xpv_store_transaction transaction, bool commit)
{
	const std::string_view parts[] = { std::string_view(commit ? "T" : "F", 2) };
	return store().client.perform(XS_TRANSACTION_END, transaction, parts).code();
}

int xpv_store_watch_register(const char *path, xpv_store_watch_callback *callback, xpv_store_watch_context *context,
			     xpv_store_watch **watch)
{
	auto checked = checked_path(path);
	if (!checked.ok())
		return checked.code();
	return hand_out(store().watches.add(path, callback, context), watch);
}

bool xpv_store_watch_registered(xpv_store_watch *watch)
{
	return store().watches.registered(*watch);
}

void xpv_store_watch_unregister(xpv_store_watch *watch)
{
	if (watch)
		store().watches.remove(watch);
}

void xpv_store_get_counts(xpv_store_counts *counts)
{
	store().client.counts(*counts);
	counts->watches = store().watches.count();
}
