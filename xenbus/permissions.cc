// SPDX-License-Identifier: GPL-2.0-only
/* XS_GET_PERMS and XS_SET_PERMS: each entry is a letter and a domain. */
#include "xenbus/store.hh"
#include "xenbus/text.hh"

namespace xpv {

namespace {

/* "b65535" and its NUL. */
constexpr std::size_t entry_size = 7;
/* As many as a message can carry. */
constexpr unsigned int entries_limit = XENSTORE_PAYLOAD_MAX / entry_size;

Result<xpv_store_permission> parse_permission(std::string_view text)
{
	if (text.empty())
		return Error(XEN_EIO);
	bool read = text[0] == 'r' || text[0] == 'b';
	bool write = text[0] == 'w' || text[0] == 'b';
	if (!read && !write && text[0] != 'n')
		return Error(XEN_EIO);
	text.remove_prefix(1);
	auto domain = parse_decimal(text, UINT16_MAX);
	if (!domain.ok())
		return Error(XEN_EIO);
	return xpv_store_permission{ { static_cast<std::uint16_t>(domain.value()) }, read, write };
}

Result<unsigned int> get(xpv_store_transaction transaction, const char *path, xpv_store_permission *permissions,
			 unsigned int count)
{
	const std::string_view parts[] = { XPV_TRY(checked_path(path)) };
	Call call = XPV_TRY(store().client.submit(XS_GET_PERMS, transaction, parts, XENSTORE_PAYLOAD_MAX));
	std::string_view list = XPV_TRY(call.wait());
	unsigned int found = 0;
	while (!list.empty()) {
		std::size_t end = list.find('\0');
		if (end == list.npos)
			return Error(XEN_EIO);
		xpv_store_permission permission = XPV_TRY(parse_permission({ list.data(), end }));
		if (found < count)
			permissions[found] = permission;
		found++;
		list.remove_prefix(end + 1);
	}
	if (found == 0)
		return Error(XEN_EIO);
	if (found > count)
		return Error(XEN_EMSGSIZE);
	return found;
}

Status set(xpv_store_transaction transaction, const char *path, const xpv_store_permission *permissions,
	   unsigned int count)
{
	if (count == 0)
		return Error(XEN_EINVAL);
	if (count > entries_limit)
		return Error(XEN_E2BIG);
	std::string_view checked = XPV_TRY(checked_path(path));
	auto text = XPV_TRY(Array<char>::make(count * entry_size, XPV_MAY_SLEEP_NO_IO));
	std::size_t size = 0;
	for (unsigned int i = 0; i < count; i++) {
		const xpv_store_permission &permission = permissions[i];
		char letter = permission.read ? (permission.write ? 'b' : 'r') : (permission.write ? 'w' : 'n');
		size += static_cast<std::size_t>(xpv_format(text.data() + size, text.size() - size, "%c%u", letter,
							    permission.domain.value)) + 1;
	}
	const std::string_view parts[] = { checked, { text.data(), size } };
	return store().client.perform(XS_SET_PERMS, transaction, parts);
}

} // namespace

} // namespace xpv

using namespace xpv;

int xpv_store_get_permissions(xpv_store_transaction transaction, const char *path, xpv_store_permission *permissions,
			      unsigned int count)
{
	auto found = get(transaction, path, permissions, count);
	return found.ok() ? static_cast<int>(found.value()) : found.code();
}

int xpv_store_set_permissions(xpv_store_transaction transaction, const char *path,
			      const xpv_store_permission *permissions, unsigned int count)
{
	return set(transaction, path, permissions, count).code();
}
