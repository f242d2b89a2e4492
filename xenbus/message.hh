/* SPDX-License-Identifier: GPL-2.0-only */
/* xenstore messages (io/xs_wire.h): taken from the byte stream, checked, and taken apart. */
#pragma once

#include <span>
#include <string_view>

#include "lib/address.hh"
#include "xenbus/ring.hh"

namespace xpv {

/*
 * Puts messages together from a stream of bytes, in whatever pieces it comes.
 * The message under way is in a private buffer of fixed size, so a length
 * that the other end claims never decides an allocation or an address.
 */
class MessageAssembler {
public:
	/*
	 * Take bytes from the stream until a message is whole (true; it is valid
	 * until the next call, which begins another) or there are no more
	 * (false). `take(char *to, std::size_t size)` gives a Result of how many
	 * bytes it had, at most `size`; its errors are passed on. EBADMSG: the
	 * header is not acceptable to `check(header)`, or its length is more
	 * than a message may have; the message is forgotten.
	 */
	template <typename Take, typename Check>
	[[nodiscard]] Result<bool> fill(Take take, Check check)
	{
		if (whole())
			reset();
		do {
			std::span<char> part = missing();
			std::size_t size = XPV_TRY(take(part.data(), part.size()));
			if (size == 0)
				return false;
			received_ += size;
			if (received_ == sizeof(header_) && (header_.len > XENSTORE_PAYLOAD_MAX || !check(header_))) {
				reset();
				return Error(XEN_EBADMSG);
			}
		} while (!whole());
		return true;
	}

	[[nodiscard]] bool whole() const
	{
		return received_ >= sizeof(header_) && received_ == sizeof(header_) + header_.len;
	}
	[[nodiscard]] const xsd_sockmsg &header() const { return header_; }
	[[nodiscard]] std::string_view payload() const { return { payload_, header_.len }; }
	/* No message is half read. */
	[[nodiscard]] bool at_boundary() const { return received_ == 0 || whole(); }
	/* Forget a message that is half read: the next byte begins another. */
	void reset() { received_ = 0; }

private:
	/* Of the header first, then of the payload, whose length it says. */
	[[nodiscard]] std::span<char> missing()
	{
		if (received_ < sizeof(header_))
			return { bytes_of(header_) + received_, sizeof(header_) - received_ };
		std::size_t have = received_ - sizeof(header_);
		return { payload_ + have, header_.len - have };
	}

	xsd_sockmsg header_ = {};
	std::size_t received_ = 0; /* of header and payload */
	char payload_[XENSTORE_PAYLOAD_MAX];
};

/* Messages from the response ring. */
class MessageReader : public MessageAssembler {
public:
	/*
	 * Go on reading, as fill(). EBADMSG: where the next message starts is
	 * unknown. EIO: the ring is broken. `was_full` is set, never cleared, as
	 * StoreRing::read() says.
	 */
	[[nodiscard]] Result<bool> read(StoreRing &ring, bool &was_full);
};

/* What a message of these parts carries, in bytes. E2BIG for what no message can. */
[[nodiscard]] Result<std::size_t> payload_length(std::span<const std::string_view> parts);
/* Write a message of that length to `to`; the header's length is set here. */
void write_message(char *to, xsd_sockmsg header, std::span<const std::string_view> parts, std::size_t length);

/* "XS_READ"; for diagnosis. */
[[nodiscard]] const char *operation_name(std::uint32_t type);

/* What an XS_ERROR says; EIO for anything unknown. */
[[nodiscard]] Error store_error(std::string_view payload);
/* The other way round: an XS_ERROR's payload. EIO for what the protocol has no name for. */
[[nodiscard]] std::string_view store_error_name(Error error);

/* XS_WATCH_EVENT: exactly two strings. */
struct WatchEvent {
	std::string_view path;
	std::string_view token;
};
[[nodiscard]] Result<WatchEvent> parse_watch_event(std::string_view payload);

} // namespace xpv
