/* SPDX-License-Identifier: GPL-2.0-only */
/* xenstore messages (io/xs_wire.h): taken from the byte stream, checked, and taken apart. */
#pragma once

#include <string_view>

#include "xenbus/ring.hh"

namespace xpv {

/*
 * Puts messages together from the pieces that the ring gives. The message
 * lives in a private buffer of fixed size, so a length that the store claims
 * never decides an allocation or an address.
 */
class MessageReader {
public:
	/*
	 * Go on reading. True: message is whole, and valid until the next call.
	 * False: the ring is empty. EBADMSG: what came cannot be a message, and
	 * where the next one starts is unknown; EIO: the ring is broken.
	 * `was_full` is set, never cleared, as StoreRing::read() says.
	 */
	[[nodiscard]] Result<bool> read(StoreRing &ring, bool &was_full);

	[[nodiscard]] const xsd_sockmsg &header() const { return header_; }
	[[nodiscard]] std::string_view payload() const { return { payload_, header_.len }; }
	/* No message is half read. */
	[[nodiscard]] bool at_boundary() const { return whole_ || received_ == 0; }
	/* Forget a message that is half read. */
	void reset();

private:
	xsd_sockmsg header_ = {};
	std::size_t received_ = 0; /* of header and payload */
	bool whole_ = false;
	char payload_[XENSTORE_PAYLOAD_MAX];
};

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
