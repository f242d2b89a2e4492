// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocate messages, assemble requests from the bytes that user space wrote, and
 * parse the bodies of watch and transaction requests.
 */
#include "xenbus/node/user_message.hh"

namespace xpv {

Result<Owned<UserMessage>> UserMessage::make(xsd_sockmsg header, std::initializer_list<std::string_view> parts,
					     xpv_allocation how)
{
	std::span<const std::string_view> all(parts.begin(), parts.size());
	size_t length = XPV_TRY(payload_length(all));
	void *memory = xpv_alloc(sizeof(UserMessage) + sizeof(header) + length, how);
	if (!memory)
		return Error(XEN_ENOMEM);
	Owned<UserMessage> message(::new (memory) UserMessage);
	message->size = sizeof(header) + length;
	write_message(message->bytes(), header, all, length);
	return message;
}

xsd_sockmsg UserMessage::header()
{
	xsd_sockmsg header;
	__builtin_memcpy(&header, bytes(), sizeof(header));
	return header;
}

Result<size_t> RequestStream::take(const char *bytes, size_t size)
{
	size_t taken = 0;
	auto filled = fill(
		[&](char *to, size_t most) -> Result<size_t> {
			size_t part = most < size - taken ? most : size - taken;
			__builtin_memcpy(to, bytes + taken, part);
			taken += part;
			return part;
		},
		/* Accept any type: answer() replies with an error to an unknown one. */
		[](const xsd_sockmsg &) { return true; });
	if (!filled.ok())
		return Error(XEN_E2BIG);
	return taken;
}

Result<WatchRequest> parse_watch_request(std::string_view body)
{
	size_t end_of_path = body.find('\0');
	if (end_of_path == body.npos)
		return Error(XEN_EINVAL);
	size_t end_of_token = body.find('\0', end_of_path + 1);
	if (end_of_token == body.npos)
		return Error(XEN_EINVAL);
	return WatchRequest{ { body.data(), end_of_path + 1 },
			     { body.data() + end_of_path + 1, end_of_token - end_of_path } };
}

Result<bool> parse_transaction_end(std::string_view body)
{
	if (body.size() != 2 || body[1] != 0 || (body[0] != 'T' && body[0] != 'F'))
		return Error(XEN_EINVAL);
	return body[0] == 'T';
}

} // namespace xpv
