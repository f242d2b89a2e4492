/* SPDX-License-Identifier: GPL-2.0-only */
/* Deadlines on the clock of xpv_now_ms(), and waiting for a condition until a deadline. */
#pragma once

#include <climits>
#include <concepts>
#include <cstdint>

#include "lib/shim.h"

namespace xpv {

class Deadline {
public:
	/* Return the deadline `milliseconds` from now. Any context. */
	[[nodiscard]] static Deadline after(uint64_t milliseconds)
	{
		uint64_t at;
		return Deadline(__builtin_add_overflow(xpv_now_ms(), milliseconds, &at) ? UINT64_MAX : at);
	}
	/* Return the deadline at a time of xpv_now_ms(), as C interfaces pass it. */
	[[nodiscard]] static constexpr Deadline at(uint64_t time_ms) { return Deadline(time_ms); }

	[[nodiscard]] constexpr uint64_t at_ms() const { return at_ms_; }
	/* Any context. */
	[[nodiscard]] bool expired() const { return xpv_now_ms() >= at_ms_; }
	/* Return the milliseconds that are left, 0 once expired: for functions that take a timeout. Any context. */
	[[nodiscard]] unsigned int left_ms() const
	{
		uint64_t now = xpv_now_ms();
		uint64_t left = now < at_ms_ ? at_ms_ - now : 0;
		return left < UINT_MAX ? static_cast<unsigned int>(left) : UINT_MAX;
	}
	[[nodiscard]] constexpr Deadline earlier_of(Deadline other) const
	{
		return other.at_ms_ < at_ms_ ? other : *this;
	}

private:
	explicit constexpr Deadline(uint64_t at_ms) : at_ms_(at_ms) {}

	uint64_t at_ms_;
};

/*
 * Sleep until condition() holds, but not past the deadline; return whether it
 * holds. For conditions that have no wakeup: poll at once, then after sleeps of
 * 1, 2, 4, 8, 16 and from then on 20 ms, and once more when the deadline has
 * passed. Sleeping context.
 */
template <std::predicate Condition>
[[nodiscard]] bool poll_until(Deadline deadline, Condition condition)
{
	constexpr unsigned int longest_sleep_ms = 20;
	for (unsigned int sleep_ms = 1;; sleep_ms *= 2) {
		/* Read the time before the condition, so that the condition is tested once more after the deadline. */
		unsigned int left_ms = deadline.left_ms();
		if (condition())
			return true;
		if (left_ms == 0)
			return false;
		if (sleep_ms > longest_sleep_ms)
			sleep_ms = longest_sleep_ms;
		xpv_sleep_ms(sleep_ms < left_ms ? sleep_ms : left_ms);
	}
}

} // namespace xpv
