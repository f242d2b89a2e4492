/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The requests that a toolstack can make through control/shutdown
 * (docs/misc/xenstore-paths.pandoc), and one table with the answer to each
 * request in each situation.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace xpv {

enum class Request : uint8_t {
	none, /* empty, or no such node: no request, or it was acknowledged */
	poweroff,
	halt, /* handled as poweroff: a halted domain is of no use */
	reboot,
	suspend,
	unknown,
};
inline constexpr unsigned int request_count = 6;

/* What the domain is doing about earlier requests. */
enum class Activity : uint8_t {
	running, /* nothing */
	suspending,
	powering_off, /* user space was asked to */
	rebooting, /* user space was asked to */
	going_down, /* Linux shuts down, for whatever reason; this cannot be undone */
};
inline constexpr unsigned int activity_count = 5;

enum class Answer : uint8_t {
	nothing,
	start, /* acknowledge and do it */
	again, /* acknowledge and ask user space once more; its deadline does not change */
	instead, /* acknowledge and do this instead of what is going on */
	later, /* leave it in xenstore and read it again after the suspend */
	refuse, /* leave it in xenstore for good: the toolstack sees that it is not acknowledged */
	complain, /* unknown request: log one line and leave it in xenstore */
};

/* Parse the whole content of the node. */
[[nodiscard]] Request parse_request(std::string_view text);

[[nodiscard]] Answer answer_to(Request request, Activity activity);

/* Return whether the answer acknowledges the request. */
[[nodiscard]] constexpr bool acknowledges(Answer answer)
{
	return answer == Answer::start || answer == Answer::again || answer == Answer::instead;
}

/* Return the request's name for log lines. */
[[nodiscard]] const char *name_of(Request request);
/* Return the activity's name for log lines. */
[[nodiscard]] const char *name_of(Activity activity);

/* Make `text` safe to log: truncate it, and replace all but printable ASCII by '?'. The result has a NUL. */
template <size_t Capacity>
void make_printable(std::string_view text, char (&printable)[Capacity])
{
	size_t size = text.size() < Capacity ? text.size() : Capacity - 1;
	for (size_t i = 0; i < size; i++)
		printable[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	printable[size] = 0;
}

} // namespace xpv
