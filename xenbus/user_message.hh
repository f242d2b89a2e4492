/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages (io/xs_wire.h) as user space writes and reads them on /dev/xen/xenbus. */
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "lib/address.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "xenbus/message.hh"

namespace xpv {

struct UserWatch;

/* One message, header and body in the same allocation behind it. */
struct UserMessage : ListLink<> {
	std::size_t size = 0; /* of header and body */
	std::size_t taken = 0; /* by the reader */
	UserWatch *reserve_of = nullptr; /* goes back there when it has been read */

	/* The header's length is set here. ENOMEM; E2BIG for what no message can hold. */
	[[nodiscard]] static Result<Owned<UserMessage>> make(
		xsd_sockmsg header, std::initializer_list<std::string_view> parts, xpv_allocation how);

	[[nodiscard]] char *bytes() { return bytes_behind(*this); }
	[[nodiscard]] xsd_sockmsg header();
	[[nodiscard]] std::string_view body() { return { bytes() + sizeof(xsd_sockmsg), size - sizeof(xsd_sockmsg) }; }
};

/* Requests from what a user writes. */
class RequestStream : public MessageAssembler {
public:
	/*
	 * Take, of `bytes`, what belongs to the message under way, or to the next
	 * one after a whole one; returns how many that were. E2BIG: its length is
	 * more than a message may have, and all of it is forgotten.
	 */
	[[nodiscard]] Result<std::size_t> take(const char *bytes, std::size_t size);
};

/* The path and the token of XS_WATCH and XS_UNWATCH, both with their NUL. EINVAL when they are not there. */
struct WatchRequest {
	std::string_view path;
	std::string_view token;
};
[[nodiscard]] Result<WatchRequest> parse_watch_request(std::string_view body);

/* What XS_TRANSACTION_END says. EINVAL for all but "T" and "F". */
[[nodiscard]] Result<bool> parse_transaction_end(std::string_view body);

} // namespace xpv
