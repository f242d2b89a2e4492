/* SPDX-License-Identifier: GPL-2.0-only */
/* Points in time on the clock of xpv_now_ms(), and waiting for a condition until one. */
#pragma once

#include <climits>
#include <concepts>
#include <cstdint>

#include "lib/shim.h"

namespace xpv {

class Deadline {
public:
	/* `milliseconds` from now. Any context. */
	[[nodiscard]] static Deadline after(std::uint64_t milliseconds)
	{
		std::uint64_t at;
		return Deadline(__builtin_add_overflow(xpv_now_ms(), milliseconds, &at) ? UINT64_MAX : at);
	}
	/* As a C contract hands it down: a time of xpv_now_ms(). */
	[[nodiscard]] static constexpr Deadline at(std::uint64_t time_ms) { return Deadline(time_ms); }

	[[nodiscard]] constexpr std::uint64_t at_ms() const { return at_ms_; }
	/* Any context. */
	[[nodiscard]] bool expired() const { return xpv_now_ms() >= at_ms_; }
	/* 0 once it expired; for functions that take a time to wait. Any context. */
	[[nodiscard]] unsigned int left_ms() const
	{
		std::uint64_t now = xpv_now_ms();
		std::uint64_t left = now < at_ms_ ? at_ms_ - now : 0;
		return left < UINT_MAX ? static_cast<unsigned int>(left) : UINT_MAX;
	}
	[[nodiscard]] constexpr Deadline earlier_of(Deadline other) const
	{
		return other.at_ms_ < at_ms_ ? other : *this;
	}

private:
	explicit constexpr Deadline(std::uint64_t at_ms) : at_ms_(at_ms) {}

	std::uint64_t at_ms_;
};

/*
 * Sleep until condition() holds, but not past the deadline; return whether it
 * holds. For conditions that no event announces: it is evaluated at once, then
 * after each sleep of 1, 2, 4, 8, 16 and from then on 20 ms, and once more
 * when the deadline has passed. Sleeping context.
 */
template <std::predicate Condition>
[[nodiscard]] bool poll_until(Deadline deadline, Condition condition)
{
	constexpr unsigned int longest_sleep_ms = 20;
	for (unsigned int sleep_ms = 1;; sleep_ms *= 2) {
		/* Read before the condition, which so is evaluated after the deadline too. */
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
