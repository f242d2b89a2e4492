// SPDX-License-Identifier: GPL-2.0-only
/* XS_DIRECTORY, and XS_DIRECTORY_PART for lists that do not fit one message. */
#include "xenbus/store/store.hh"
#include "xenbus/store/text.hh"

using namespace xpv;

namespace xpv {

namespace {

/* Far more than any quota allows for a directory. Bounds our allocation. */
constexpr size_t directory_limit = 128 * 1024;
constexpr unsigned int directory_attempts = 8;

/* A list of names, each with its NUL. The owner frees `bytes` with xpv_free(). */
struct Names {
	char *bytes;
	size_t size;
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
 * Read all parts once. EAGAIN if the directory changed meanwhile: then its
 * generation number differs between parts.
 */
Result<Names> directory_in_parts(xpv_store_transaction transaction, std::string_view path)
{
	auto names = XPV_TRY(Array<char>::make(directory_limit, XPV_MAY_SLEEP_NO_IO));
	size_t size = 0;
	FixedText<32> generation;
	for (;;) {
		char offset[24];
		int length = xpv_format(offset, sizeof(offset), "%zu", size);
		const std::string_view parts[] = { path, { offset, static_cast<size_t>(length) + 1 } };
		Call call = XPV_TRY(store().client.submit(XS_DIRECTORY_PART, transaction, parts, XENSTORE_PAYLOAD_MAX));
		std::string_view reply = XPV_TRY(call.wait());

		size_t end = reply.find('\0');
		if (end == reply.npos || end == 0)
			return Error(XEN_EIO);
		std::string_view its_generation(reply.data(), end);
		std::string_view list(reply.data() + end + 1, reply.size() - end - 1);
		if (size == 0)
			XPV_TRY(generation.assign({ its_generation }));
		else if (generation.view() != its_generation)
			return Error(XEN_EAGAIN);

		/* The last part ends with an empty name. An empty part would make no progress. */
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

} // namespace

} // namespace xpv

int xpv_store_directory(xpv_store_transaction transaction, const char *path, char **names, size_t *length)
{
	auto list = directory(transaction, path);
	if (!list.ok())
		return list.code();
	*names = list.value().bytes;
	*length = list.value().size;
	return 0;
}
