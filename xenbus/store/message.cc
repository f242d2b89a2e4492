// SPDX-License-Identifier: GPL-2.0-only
/* Read messages from the ring, write them, and parse errors and watch events; the names of operations and errors. */
#include "xenbus/store/message.hh"

namespace xpv {

namespace {

constexpr const char *operation_names[] = {
	"XS_CONTROL",
	"XS_DIRECTORY",
	"XS_READ",
	"XS_GET_PERMS",
	"XS_WATCH",
	"XS_UNWATCH",
	"XS_TRANSACTION_START",
	"XS_TRANSACTION_END",
	"XS_INTRODUCE",
	"XS_RELEASE",
	"XS_GET_DOMAIN_PATH",
	"XS_WRITE",
	"XS_MKDIR",
	"XS_RM",
	"XS_SET_PERMS",
	"XS_WATCH_EVENT",
	"XS_ERROR",
	"XS_IS_DOMAIN_INTRODUCED",
	"XS_RESUME",
	"XS_SET_TARGET",
	nullptr,
	"XS_RESET_WATCHES",
	"XS_DIRECTORY_PART",
};
static_assert(sizeof(operation_names) / sizeof(operation_names[0]) == XS_TYPE_COUNT);

struct NamedError {
	std::string_view name;
	int number;
};

/* As xsd_errors in io/xs_wire.h, whose errno values a freestanding build does not define. */
constexpr NamedError named_errors[] = {
	{ "EINVAL", XEN_EINVAL },
	{ "EACCES", XEN_EACCES },
	{ "EEXIST", XEN_EEXIST },
	{ "EISDIR", XEN_EISDIR },
	{ "ENOENT", XEN_ENOENT },
	{ "ENOMEM", XEN_ENOMEM },
	{ "ENOSPC", XEN_ENOSPC },
	{ "EIO", XEN_EIO },
	{ "ENOTEMPTY", XEN_ENOTEMPTY },
	{ "ENOSYS", XEN_ENOSYS },
	{ "EROFS", XEN_EROFS },
	{ "EBUSY", XEN_EBUSY },
	{ "EAGAIN", XEN_EAGAIN },
	{ "EISCONN", XEN_EISCONN },
	{ "E2BIG", XEN_E2BIG },
	{ "EPERM", XEN_EPERM },
	/* oxenstored's name for ENOSPC; not in xsd_errors. */
	{ "EQUOTA", XEN_ENOSPC },
};

} // namespace

Result<bool> MessageReader::read(StoreRing &ring, bool &was_full)
{
	return fill(
		[&](char *to, size_t size) -> Result<size_t> {
			auto taken = XPV_TRY(ring.read(to, size));
			was_full |= taken.was_full;
			return taken.size;
		},
		[](const xsd_sockmsg &header) { return header.type < XS_TYPE_COUNT; });
}

Result<size_t> payload_length(std::span<const std::string_view> parts)
{
	size_t length = 0;
	for (std::string_view part : parts) {
		if (part.size() > XENSTORE_PAYLOAD_MAX - length)
			return Error(XEN_E2BIG);
		length += part.size();
	}
	return length;
}

void write_message(char *to, xsd_sockmsg header, std::span<const std::string_view> parts, size_t length)
{
	header.len = static_cast<uint32_t>(length);
	__builtin_memcpy(to, &header, sizeof(header));
	to += sizeof(header);
	for (std::string_view part : parts) {
		__builtin_memcpy(to, part.data(), part.size());
		to += part.size();
	}
}

const char *operation_name(uint32_t type)
{
	const char *name = type < XS_TYPE_COUNT ? operation_names[type] : nullptr;
	return name ? name : "an unknown request";
}

Error store_error(std::string_view payload)
{
	if (payload.empty() || payload.back() != 0)
		return Error(XEN_EIO);
	payload.remove_suffix(1);
	for (const NamedError &candidate : named_errors)
		if (payload == candidate.name)
			return Error(candidate.number);
	return Error(XEN_EIO);
}

std::string_view store_error_name(Error error)
{
	std::string_view name = "EIO";
	for (const NamedError &candidate : named_errors) {
		if (error == candidate.number) {
			name = candidate.name; /* the first one: EQUOTA has the same number as ENOSPC */
			break;
		}
	}
	/* Include the NUL, which each of these literals has. */
	return { name.data(), name.size() + 1 };
}

Result<WatchEvent> parse_watch_event(std::string_view payload)
{
	size_t end_of_path = payload.find('\0');
	if (end_of_path == payload.npos)
		return Error(XEN_EBADMSG);
	std::string_view path(payload.data(), end_of_path);
	std::string_view rest(payload.data() + end_of_path + 1, payload.size() - end_of_path - 1);
	if (rest.empty() || rest.find('\0') != rest.size() - 1)
		return Error(XEN_EBADMSG);
	return WatchEvent{ path, std::string_view(rest.data(), rest.size() - 1) };
}

} // namespace xpv
