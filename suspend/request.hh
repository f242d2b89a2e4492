/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a toolstack can ask of the domain through control/shutdown
 * (docs/misc/xenstore-paths.pandoc), and one table with the answer to each
 * request in each situation.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace xpv {

enum class Request : std::uint8_t {
	none, /* empty, or no such node: nothing is asked, or it was acknowledged */
	poweroff,
	halt, /* for us the same as poweroff: nobody could do anything with a halted domain */
	reboot,
	suspend,
	unknown,
};
inline constexpr unsigned int request_count = 6;

/* What the domain is doing about the requests so far. */
enum class Activity : std::uint8_t {
	running, /* nothing */
	suspending,
	powering_off, /* user space was asked to */
	rebooting, /* user space was asked to */
	going_down, /* Linux is on its way, whoever asked; there is no way back */
};
inline constexpr unsigned int activity_count = 5;

enum class Answer : std::uint8_t {
	nothing,
	start, /* acknowledge and do it */
	again, /* acknowledge and ask user space once more; the time it has stays as it was */
	instead, /* acknowledge and do this instead of what is going on */
	later, /* leave it in the store and look again when the suspend is over */
	refuse, /* leave it in the store for good: the toolstack sees that nobody answers */
	complain, /* we do not know what is meant: one log line, and leave it in the store */
};

/* The content of the node, all of it. */
[[nodiscard]] Request parse_request(std::string_view text);

[[nodiscard]] Answer answer_to(Request request, Activity activity);

/* Whether the toolstack is told that the request was taken. */
[[nodiscard]] constexpr bool acknowledges(Answer answer)
{
	return answer == Answer::start || answer == Answer::again || answer == Answer::instead;
}

/* For log lines. */
[[nodiscard]] const char *name_of(Request request);
[[nodiscard]] const char *name_of(Activity activity);

/* `text` as it may be logged: cut, and nothing in it but printable ASCII. The result has a NUL. */
template <std::size_t Capacity>
void make_printable(std::string_view text, char (&printable)[Capacity])
{
	std::size_t size = text.size() < Capacity ? text.size() : Capacity - 1;
	for (std::size_t i = 0; i < size; i++)
		printable[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	printable[size] = 0;
}

} // namespace xpv
