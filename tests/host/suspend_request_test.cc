// SPDX-License-Identifier: GPL-2.0-only
/* Every request in every situation; the answers written down once more, by what they mean. */
#include <gtest/gtest.h>

#include <iterator>

#include "suspend/request.hh"

namespace {

using namespace xpv;
using namespace std::string_view_literals;

constexpr Request all_requests[] = { Request::none,   Request::poweroff, Request::halt,
				     Request::reboot, Request::suspend,	 Request::unknown };
constexpr Activity all_activities[] = { Activity::running, Activity::suspending, Activity::powering_off,
					Activity::rebooting, Activity::going_down };

TEST(Request, EveryAnswer)
{
	static_assert(std::size(all_requests) == request_count && std::size(all_activities) == activity_count);
	auto expected = [](Request request, Activity activity) {
		if (request == Request::none)
			return Answer::nothing;
		if (activity == Activity::suspending)
			return Answer::later;
		if (request == Request::unknown)
			return Answer::complain;
		if (activity == Activity::running)
			return Answer::start;
		if (activity == Activity::going_down || request == Request::suspend)
			return Answer::refuse;
		if (activity == Activity::powering_off)
			return request == Request::reboot ? Answer::refuse : Answer::again;
		return request == Request::reboot ? Answer::again : Answer::instead;
	};
	for (Activity activity : all_activities)
		for (Request request : all_requests)
			EXPECT_EQ(answer_to(request, activity), expected(request, activity))
				<< name_of(request) << " while " << name_of(activity);
}

TEST(Request, AcknowledgedIsWhatIsDone)
{
	for (Answer answer : { Answer::start, Answer::again, Answer::instead })
		EXPECT_TRUE(acknowledges(answer));
	for (Answer answer : { Answer::nothing, Answer::later, Answer::refuse, Answer::complain })
		EXPECT_FALSE(acknowledges(answer));
}

TEST(Request, HaltIsPoweroff)
{
	for (Activity activity : all_activities)
		EXPECT_EQ(answer_to(Request::halt, activity), answer_to(Request::poweroff, activity));
}

TEST(Request, Parse)
{
	EXPECT_EQ(parse_request(""), Request::none);
	EXPECT_EQ(parse_request("poweroff"), Request::poweroff);
	EXPECT_EQ(parse_request("halt"), Request::halt);
	EXPECT_EQ(parse_request("reboot"), Request::reboot);
	EXPECT_EQ(parse_request("suspend"), Request::suspend);
	for (std::string_view nonsense :
	     { "Poweroff"sv, "poweroff "sv, " poweroff"sv, "power"sv, "poweroff\n"sv, "poweroff\0"sv,
	       "poweroff\0reboot"sv, "\0"sv, "s3"sv, "crash"sv, "1"sv, "\xff\xfe"sv, "nothing"sv, "something unknown"sv })
		EXPECT_EQ(parse_request(nonsense), Request::unknown) << nonsense;
}

TEST(Request, Printable)
{
	char text[8];
	make_printable("ab\n\0\x7f\xff~ beyond"sv, text);
	EXPECT_STREQ(text, "ab????~");
	make_printable("", text);
	EXPECT_STREQ(text, "");
}

} // namespace
