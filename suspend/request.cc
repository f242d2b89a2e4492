// SPDX-License-Identifier: GPL-2.0-only
/* The names of requests, and the table of answers: a row for each activity, a column for each request. */
#include "suspend/request.hh"

namespace xpv {

namespace {

struct Named {
	const char *name;
	Request request;
};

constexpr Named commands[] = {
	{ "poweroff", Request::poweroff },
	{ "halt", Request::halt },
	{ "reboot", Request::reboot },
	{ "suspend", Request::suspend },
};

using enum Answer;

/*
 * The toolstack may rely on a request that is acknowledged. So one that cannot
 * be met stays in xenstore: a toolstack that requests a suspend of a domain
 * that is going down sees no acknowledgement, and withdraws the request. A
 * domain that was asked to stop must not come back, so a poweroff overrides a
 * reboot, and not the reverse. Columns in the order of Request.
 */
constexpr Answer answers[activity_count][request_count] = {
	/*                  none     poweroff  halt     reboot  suspend unknown */
	/* running      */ { nothing, start, start, start, start, complain },
	/* suspending   */ { nothing, later, later, later, later, later },
	/* powering_off */ { nothing, again, again, refuse, refuse, complain },
	/* rebooting    */ { nothing, instead, instead, again, refuse, complain },
	/* going_down   */ { nothing, refuse, refuse, refuse, refuse, complain },
};

} // namespace

Request parse_request(std::string_view text)
{
	if (text.empty())
		return Request::none;
	for (const Named &command : commands)
		if (text == command.name)
			return command.request;
	return Request::unknown;
}

Answer answer_to(Request request, Activity activity)
{
	return answers[static_cast<unsigned int>(activity)][static_cast<unsigned int>(request)];
}

const char *name_of(Request request)
{
	for (const Named &command : commands)
		if (command.request == request)
			return command.name;
	return request == Request::none ? "nothing" : "something unknown";
}

const char *name_of(Activity activity)
{
	switch (activity) {
	case Activity::running:
		break;
	case Activity::suspending:
		return "suspending";
	case Activity::powering_off:
		return "powering off";
	case Activity::rebooting:
		return "rebooting";
	case Activity::going_down:
		return "going down";
	}
	return "running";
}

} // namespace xpv
