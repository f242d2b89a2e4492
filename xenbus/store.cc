// SPDX-License-Identifier: GPL-2.0-only
/* The functions of store.h: each request in the form that docs/misc/xenstore.txt gives it. */
#include "xenbus/store.hh"

#include "lib/ordering.hh"
#include "xenbus/text.hh"

namespace xpv {

namespace {

constinit Store *the_store;

/* Far more than any quota lets a directory have, and a bound on what we allocate. */
constexpr std::size_t directory_limit = 128 * 1024;
constexpr unsigned int directory_attempts = 8;

Result<std::string_view> checked_path(const char *path)
{
	std::size_t length = __builtin_strlen(path);
	if (length == 0 || length > (path[0] == '/' ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX))
		return Error(XEN_EINVAL);
	return std::string_view(path, length + 1);
}

Result<Call> submit_read(xpv_store_transaction transaction, const char *path, std::size_t capacity)
{
	const std::string_view parts[] = { XPV_TRY(checked_path(path)) };
	return store().client.submit(XS_READ, transaction, parts, capacity);
}

Result<Call> submit_write(xpv_store_transaction transaction, const char *path, const char *value)
{
	const std::string_view parts[] = { XPV_TRY(checked_path(path)), value };
	return store().client.submit(XS_WRITE, transaction, parts, 0);
}

/* What xpv_store_read() returns. */
int finish_read(Call &call, char *value, std::size_t size)
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

Status perform_path(std::uint32_t type, xpv_store_transaction transaction, const char *path)
{
	const std::string_view parts[] = { XPV_TRY(checked_path(path)) };
	return store().client.perform(type, transaction, parts);
}

/* A list of names, each with its NUL, in memory for xpv_free(). */
struct Names {
	char *bytes;
	std::size_t size;
};

Result<Names> copy_names(std::string_view list)
{
	if (!list.empty() && list.back() != 0)
		return Error(XEN_EIO);
	auto *bytes = static_cast<char *>(xpv_alloc(list.size() + 1, XPV_MAY_SLEEP_NO_IO));
	if (!bytes)
		return Error(XEN_ENOMEM);
	__builtin_memcpy(bytes, list.data(), list.size());
	return Names{ bytes, list.size() };
}

Result<Names> whole_directory(xpv_store_transaction transaction, std::string_view path)
{
	const std::string_view parts[] = { path };
	Call call = XPV_TRY(store().client.submit(XS_DIRECTORY, transaction, parts, XENSTORE_PAYLOAD_MAX));
	return copy_names(XPV_TRY(call.wait()));
}

/*
 * One pass over all parts. EAGAIN when the directory changed meanwhile: its
 * generation is a number that only has to stay the same.
 */
Result<Names> directory_in_parts(xpv_store_transaction transaction, std::string_view path)
{
	auto names = XPV_TRY(Array<char>::make(directory_limit, XPV_MAY_SLEEP_NO_IO));
	std::size_t size = 0;
	FixedText<32> generation;
	for (;;) {
		char offset[24];
		int length = xpv_format(offset, sizeof(offset), "%zu", size);
		const std::string_view parts[] = { path, { offset, static_cast<std::size_t>(length) + 1 } };
		Call call = XPV_TRY(store().client.submit(XS_DIRECTORY_PART, transaction, parts, XENSTORE_PAYLOAD_MAX));
		std::string_view reply = XPV_TRY(call.wait());

		std::size_t end = reply.find('\0');
		if (end == reply.npos || end == 0)
			return Error(XEN_EIO);
		std::string_view its_generation(reply.data(), end);
		std::string_view list(reply.data() + end + 1, reply.size() - end - 1);
		if (size == 0)
			XPV_TRY(generation.assign({ its_generation }));
		else if (generation.view() != its_generation)
			return Error(XEN_EAGAIN);

		/* The last part ends with an empty name. An empty one before that would be no progress. */
		if (list.empty() || list.back() != 0)
			return Error(XEN_EIO);
		bool last = list.size() == 1 || list[list.size() - 2] == 0;
		if (last)
			list.remove_suffix(1);
		if (list.size() > names.size() - size)
			return Error(XEN_E2BIG);
		__builtin_memcpy(names.data() + size, list.data(), list.size());
		size += list.size();
		if (last)
			return copy_names({ names.data(), size });
	}
}

Result<Names> directory(xpv_store_transaction transaction, const char *path)
{
	std::string_view checked = XPV_TRY(checked_path(path));
	auto whole = whole_directory(transaction, checked);
	if (whole.ok() || !(whole.error() == XEN_E2BIG))
		return whole;
	for (unsigned int attempt = 0; attempt < directory_attempts; attempt++) {
		auto pieces = directory_in_parts(transaction, checked);
		if (pieces.ok() || !(pieces.error() == XEN_EAGAIN))
			return pieces;
	}
	return Error(XEN_EAGAIN);
}

/* Calls under way, for a list of items; those that could not be made are empty. */
class Calls {
public:
	Calls() = default;
	Calls(const Calls &) = delete;
	Calls &operator=(const Calls &) = delete;
	~Calls()
	{
		for (unsigned int i = 0; i < made_; i++)
			calls_[i].~Call();
		xpv_free(calls_);
	}
	[[nodiscard]] Status reserve(unsigned int count)
	{
		std::size_t bytes;
		if (__builtin_mul_overflow(static_cast<std::size_t>(count), sizeof(Call), &bytes))
			return Error(XEN_ENOMEM);
		calls_ = static_cast<Call *>(xpv_alloc(bytes, XPV_MAY_SLEEP_NO_IO));
		if (!calls_)
			return Error(XEN_ENOMEM);
		return {};
	}
	/* Returns 0 or a negative errno. */
	[[nodiscard]] int add(Result<Call> call)
	{
		int code = call.code();
		::new (static_cast<void *>(calls_ + made_)) Call(call.ok() ? call.take() : Call());
		made_++;
		return code;
	}
	Call &operator[](unsigned int i) { return calls_[i]; }

private:
	Call *calls_ = nullptr;
	unsigned int made_ = 0;
};

/* The item has no answer from the store, neither good nor bad. */
bool unanswered(int result)
{
	return result == -XEN_ETIMEDOUT || result == -XEN_EIO || result == -XEN_ENOMEM;
}

Result<xpv_store_transaction> start_transaction()
{
	/* The protocol wants one byte there. */
	const std::string_view parts[] = { std::string_view("", 1) };
	std::uint32_t restores = store().client.restores();
	Call call = XPV_TRY(store().client.submit(XS_TRANSACTION_START, XPV_STORE_NO_TRANSACTION, parts, 0));
	std::string_view reply = XPV_TRY(call.wait());
	if (reply.empty() || reply.back() != 0)
		return Error(XEN_EIO);
	reply.remove_suffix(1);
	auto id = parse_decimal(reply);
	/* 0 would mean: in no transaction. */
	if (!id.ok() || id.value() == 0)
		return Error(XEN_EIO);
	/* If a restore came between, it seems dead, and the store has one for nobody until that ends. */
	return xpv_store_transaction{ id.value(), restores };
}

} // namespace

void set_store(Store *store)
{
	write_once(the_store, store);
}

Store &store()
{
	return *read_once(the_store);
}

} // namespace xpv

using namespace xpv;

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

int xpv_store_mkdir(xpv_store_transaction transaction, const char *path)
{
	Status made = perform_path(XS_MKDIR, transaction, path);
	return !made.ok() && made.error() == XEN_EEXIST ? 0 : made.code();
}

int xpv_store_remove(xpv_store_transaction transaction, const char *path)
{
	Status removed = perform_path(XS_RM, transaction, path);
	return !removed.ok() && removed.error() == XEN_ENOENT ? 0 : removed.code();
}

int xpv_store_directory(xpv_store_transaction transaction, const char *path, char **names, size_t *length)
{
	auto list = directory(transaction, path);
	if (!list.ok())
		return list.code();
	*names = list.value().bytes;
	*length = list.value().size;
	return 0;
}

int xpv_store_read_many(xpv_store_transaction transaction, struct xpv_store_read_item *items, unsigned int count)
{
	if (count == 0)
		return 0;
	Calls calls;
	if (Status reserved = calls.reserve(count); !reserved.ok())
		return reserved.code();
	for (unsigned int i = 0; i < count; i++)
		items[i].result = calls.add(submit_read(transaction, items[i].path, items[i].size));
	int first = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (items[i].result == 0)
			items[i].result = finish_read(calls[i], items[i].value, items[i].size);
		if (first == 0 && unanswered(items[i].result))
			first = items[i].result;
	}
	return first;
}

int xpv_store_write_many(xpv_store_transaction transaction, struct xpv_store_write_item *items, unsigned int count)
{
	if (count == 0)
		return 0;
	Calls calls;
	if (Status reserved = calls.reserve(count); !reserved.ok())
		return reserved.code();
	/* In order without waiting: the store takes one connection's requests one after another. */
	for (unsigned int i = 0; i < count; i++)
		items[i].result = calls.add(submit_write(transaction, items[i].path, items[i].value));
	int first = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (items[i].result == 0)
			items[i].result = calls[i].wait().code();
		if (first == 0)
			first = items[i].result;
	}
	return first;
}

int xpv_store_transaction_start(struct xpv_store_transaction *transaction)
{
	auto started = start_transaction();
	if (!started.ok())
		return started.code();
	*transaction = started.value();
	return 0;
}

int xpv_store_transaction_end(xpv_store_transaction transaction, bool commit)
{
	const std::string_view parts[] = { std::string_view(commit ? "T" : "F", 2) };
	return store().client.perform(XS_TRANSACTION_END, transaction, parts).code();
}

int xpv_store_watch_register(const char *path, xpv_store_watch_callback *callback,
			     struct xpv_store_watch_context *context, struct xpv_store_watch **watch)
{
	auto checked = checked_path(path);
	if (!checked.ok())
		return checked.code();
	auto added = store().watches.add(path, callback, context);
	if (!added.ok())
		return added.code();
	*watch = added.value();
	return 0;
}

void xpv_store_watch_unregister(struct xpv_store_watch *watch)
{
	if (watch)
		store().watches.remove(watch);
}

void xpv_store_get_counts(struct xpv_store_counts *counts)
{
	store().client.counts(*counts);
	counts->watches = store().watches.count();
}
