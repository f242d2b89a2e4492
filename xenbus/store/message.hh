/* SPDX-License-Identifier: GPL-2.0-only */
/* xenstore messages (io/xs_wire.h): assembled from a byte stream, checked and parsed. */
#pragma once

#include <span>
#include <string_view>

#include "lib/address.hh"
#include "xenbus/store/ring.hh"

namespace xpv {

/*
 * Assembles messages from a stream of bytes that may be split in any way. The
 * message being assembled is in a private buffer of fixed size, so a length
 * from the other end never determines an allocation or an address.
 */
class MessageAssembler {
public:
	/*
	 * Take bytes from the stream until a message is complete. Returns true when
	 * it is; the message stays valid until the next call, which begins another.
	 * Returns false when the stream has no more bytes. `take(char *to,
	 * size_t size)` returns a Result of how many bytes it copied, at most
	 * `size`; its errors are passed on. EBADMSG, with the message dropped, if
	 * `check(header)` fails or the length is above XENSTORE_PAYLOAD_MAX.
	 */
	template <typename Take, typename Check>
	[[nodiscard]] Result<bool> fill(Take take, Check check)
	{
		if (whole())
			reset();
		do {
			std::span<char> part = missing();
			size_t size = XPV_TRY(take(part.data(), part.size()));
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
	/* Return whether the stream is at a message boundary: no message is partly read. */
	[[nodiscard]] bool at_boundary() const { return received_ == 0 || whole(); }
	/* Drop a partly read message: the next byte begins another. */
	void reset() { received_ = 0; }

private:
	/* Return the missing part of the header, then that of the payload, with the length from the header. */
	[[nodiscard]] std::span<char> missing()
	{
		if (received_ < sizeof(header_))
			return { bytes_of(header_) + received_, sizeof(header_) - received_ };
		size_t have = received_ - sizeof(header_);
		return { payload_ + have, header_.len - have };
	}

	xsd_sockmsg header_ = {};
	size_t received_ = 0; /* of header and payload */
	char payload_[XENSTORE_PAYLOAD_MAX];
};

/* Messages from the response ring. */
class MessageReader : public MessageAssembler {
public:
	/*
	 * Read from the ring, as fill(). EBADMSG: the start of the next message is
	 * unknown. EIO: the ring is broken. `was_full` is set as by
	 * StoreRing::read(), and never cleared.
	 */
	[[nodiscard]] Result<bool> read(StoreRing &ring, bool &was_full);
};

/* Return the payload length of a message of these parts, in bytes. E2BIG if they do not fit one message. */
[[nodiscard]] Result<size_t> payload_length(std::span<const std::string_view> parts);
/* Write a message to `to`, with payload `length`; this sets the header's length. */
void write_message(char *to, xsd_sockmsg header, std::span<const std::string_view> parts, size_t length);

/* Return the name of a request type, e.g. "XS_READ", for diagnostics. */
[[nodiscard]] const char *operation_name(uint32_t type);

/* Parse the payload of an XS_ERROR. EIO for an unknown name. */
[[nodiscard]] Error store_error(std::string_view payload);
/* Return an XS_ERROR's payload for an error: "EIO" if the protocol has no name for it. */
[[nodiscard]] std::string_view store_error_name(Error error);

/* The payload of an XS_WATCH_EVENT: exactly two strings. */
struct WatchEvent {
	std::string_view path;
	std::string_view token;
};
[[nodiscard]] Result<WatchEvent> parse_watch_event(std::string_view payload);

} // namespace xpv
