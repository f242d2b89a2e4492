/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages (io/xs_wire.h) as user space writes and reads them on /dev/xen/xenbus. */
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "lib/address.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "xenbus/store/message.hh"

namespace xpv {

struct UserWatch;

/* One message. Header and body follow it in the same allocation. */
struct UserMessage : ListLink<> {
	size_t size = 0; /* of header and body */
	size_t taken = 0; /* by the reader */
	UserWatch *reserve_of = nullptr; /* the watch that it returns to once it has been read */

	/* Allocate a message, and set the header's length. ENOMEM; E2BIG if the parts do not fit one message. */
	[[nodiscard]] static Result<Owned<UserMessage>> make(
		xsd_sockmsg header, std::initializer_list<std::string_view> parts, xpv_allocation how);

	[[nodiscard]] char *bytes() { return bytes_behind(*this); }
	[[nodiscard]] xsd_sockmsg header();
	[[nodiscard]] std::string_view body() { return { bytes() + sizeof(xsd_sockmsg), size - sizeof(xsd_sockmsg) }; }
};

/* Assembles requests from what a user writes. */
class RequestStream : public MessageAssembler {
public:
	/*
	 * Take those of `bytes` that belong to the message being assembled, or to
	 * the next one after a complete message. Returns how many were taken.
	 * E2BIG, with the message dropped, if its length is above
	 * XENSTORE_PAYLOAD_MAX.
	 */
	[[nodiscard]] Result<size_t> take(const char *bytes, size_t size);
};

/* The path and the token of XS_WATCH or XS_UNWATCH, both with their NUL. */
struct WatchRequest {
	std::string_view path;
	std::string_view token;
};
/* Parse the body of XS_WATCH or XS_UNWATCH. EINVAL if path or token is missing. */
[[nodiscard]] Result<WatchRequest> parse_watch_request(std::string_view body);

/* Parse the body of XS_TRANSACTION_END: true to commit. EINVAL unless it is "T" or "F". */
[[nodiscard]] Result<bool> parse_transaction_end(std::string_view body);

} // namespace xpv
