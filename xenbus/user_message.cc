// SPDX-License-Identifier: GPL-2.0-only
#include "xenbus/user_message.hh"

namespace xpv {

Result<Owned<UserMessage>> UserMessage::make(xsd_sockmsg header, std::initializer_list<std::string_view> parts,
					     xpv_allocation how)
{
	std::size_t length = 0;
	for (std::string_view part : parts) {
		if (part.size() > XENSTORE_PAYLOAD_MAX - length)
			return Error(XEN_E2BIG);
		length += part.size();
	}
	void *memory = xpv_alloc(sizeof(UserMessage) + sizeof(header) + length, how);
	if (!memory)
		return Error(XEN_ENOMEM);
	Owned<UserMessage> message(::new (memory) UserMessage);
	message->size = sizeof(header) + length;
	header.len = static_cast<std::uint32_t>(length);
	char *at = message->bytes();
	__builtin_memcpy(at, &header, sizeof(header));
	at += sizeof(header);
	for (std::string_view part : parts) {
		__builtin_memcpy(at, part.data(), part.size());
		at += part.size();
	}
	return message;
}

xsd_sockmsg UserMessage::header()
{
	xsd_sockmsg header;
	__builtin_memcpy(&header, bytes(), sizeof(header));
	return header;
}

Result<std::size_t> RequestStream::take(const char *bytes, std::size_t size)
{
	std::size_t taken = 0;
	while (!whole() && taken < size) {
		char *target;
		std::size_t wanted;
		if (received_ < sizeof(header_)) {
			target = reinterpret_cast<char *>(&header_) + received_;
			wanted = sizeof(header_) - received_;
		} else {
			target = body_ + (received_ - sizeof(header_));
			wanted = sizeof(header_) + header_.len - received_;
		}
		std::size_t part = wanted < size - taken ? wanted : size - taken;
		__builtin_memcpy(target, bytes + taken, part);
		taken += part;
		received_ += part;
		if (received_ == sizeof(header_) && header_.len > XENSTORE_PAYLOAD_MAX) {
			reset();
			return Error(XEN_E2BIG);
		}
	}
	return taken;
}

Result<WatchRequest> parse_watch_request(std::string_view body)
{
	std::size_t end_of_path = body.find('\0');
	if (end_of_path == body.npos)
		return Error(XEN_EINVAL);
	std::size_t end_of_token = body.find('\0', end_of_path + 1);
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
