// SPDX-License-Identifier: GPL-2.0-only
/* Watches of users: every event, their own tokens, and a reserve for what nobody reads. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/host/xenbus_user_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(Users, WatchesBringEveryEvent)
{
	serve();
	OpenNode node;
	EXPECT_EQ(node.ask(XS_WATCH, strings({ "/w", "token" })), ok);
	if (node.events.empty())
		node.events.push_back(node.next().payload);
	for (unsigned int i = 0; i < 50; i++)
		served.set("/w/" + std::to_string(i), "x");
	while (node.events.size() < 51) {
		Message message = node.next();
		ASSERT_EQ(message.header.type, static_cast<unsigned int>(XS_WATCH_EVENT));
		EXPECT_EQ(message.header.req_id, 0u);
		EXPECT_EQ(message.header.tx_id, 0u);
		node.events.push_back(message.payload);
	}
	EXPECT_EQ(node.events[0], strings({ "/w", "token" }));
	for (unsigned int i = 0; i < 50; i++)
		EXPECT_EQ(node.events[i + 1], strings({ "/w/" + std::to_string(i), "token" }));
}

TEST_F(Users, SameTokensDoNotClash)
{
	serve();
	OpenNode a, b;
	EXPECT_EQ(a.ask(XS_WATCH, strings({ "/a", "t" })), ok);
	EXPECT_EQ(b.ask(XS_WATCH, strings({ "/b", "t" })), ok);
	EXPECT_EQ(b.ask(XS_WATCH, strings({ "/c", "t" })), ok);
	EXPECT_EQ(served.watch_count(), 3u);
	while (b.events.size() < 2)
		b.events.push_back(b.next().payload);
	served.set("/b", "1");
	EXPECT_EQ(b.next().payload, strings({ "/b", "t" }));
	if (a.events.empty())
		a.events.push_back(a.next().payload);
	EXPECT_EQ(a.events[0], strings({ "/a", "t" }));
	EXPECT_FALSE(a.readable());
	/* One user's end of a watch is no end of the other's. */
	EXPECT_EQ(a.ask(XS_UNWATCH, strings({ "/b", "t" })), ok);
	EXPECT_EQ(served.watch_count(), 3u);
	EXPECT_EQ(b.ask(XS_UNWATCH, strings({ "/b", "t" })), ok);
	EXPECT_EQ(b.ask(XS_READ, strings({ "/none" })), "!" + strings({ "ENOENT" })); /* in the ring behind it */
	EXPECT_EQ(served.watch_count(), 2u);
	served.set("/b", "2");
	EXPECT_FALSE(b.readable());
}

TEST_F(Users, BadWatches)
{
	serve();
	OpenNode node;
	const std::string einval = "!" + strings({ "EINVAL" });
	EXPECT_EQ(node.ask(XS_WATCH, strings({ "/a" })), einval);
	EXPECT_EQ(node.ask(XS_WATCH, "/a"), einval);
	EXPECT_EQ(node.ask(XS_WATCH, ""), einval);
	EXPECT_EQ(node.ask(XS_WATCH, strings({ "", "t" })), einval);
	EXPECT_EQ(node.ask(XS_WATCH, strings({ "/" + std::string(3072, 'a'), "t" })), einval);
	EXPECT_EQ(node.ask(XS_UNWATCH, strings({ "/a" })), einval);
	served.refuse_watches = "E2BIG";
	EXPECT_EQ(node.ask(XS_WATCH, strings({ "/a", "t" })), "!" + strings({ "E2BIG" }));
	EXPECT_FALSE(node.readable());
}

TEST_F(Users, ResetIsTheUsersOwn)
{
	serve();
	OpenNode node, other;
	EXPECT_EQ(other.ask(XS_WATCH, strings({ "/b", "t" })), ok);
	EXPECT_EQ(node.ask(XS_WATCH, strings({ "/a", "t" })), ok);
	node.begin();
	EXPECT_EQ(node.ask(XS_RESET_WATCHES, strings({ "" })), ok);
	EXPECT_EQ(node.ask(XS_READ, strings({ "/none" })), "!" + strings({ "ENOENT" }));
	EXPECT_EQ(served.watch_count(), 1u);
	EXPECT_EQ(served.open_transactions(), 0u);
}

TEST_F(Users, EventsThatNobodyReads)
{
	serve();
	OpenNode node;
	EXPECT_EQ(node.ask(XS_WATCH, strings({ "/w", "t" })), ok);
	EXPECT_EQ(node.ask(XS_WATCH, strings({ "/v", "t" })), ok);
	std::string name(1000, 'n');
	for (unsigned int i = 0; i < 400; i++)
		served.set("/w/" + name + std::to_string(i), "x");
	served.set("/v/" + name, "x");
	/* Served after all these events were. */
	EXPECT_EQ(xpv_store_write(XPV_STORE_NO_TRANSACTION, "/sync", ""), 0);
	std::vector<std::string> seen = node.events;
	while (node.readable())
		seen.push_back(node.next().payload);
	EXPECT_LT(seen.size(), 300u);
	EXPECT_GT(seen.size(), 200u);
	/* The last of each watch says: look, at all of it. */
	EXPECT_EQ(seen[seen.size() - 2], strings({ "/w", "t" }));
	EXPECT_EQ(seen[seen.size() - 1], strings({ "/v", "t" }));
	/* And there is one in reserve again. */
	for (unsigned int i = 0; i < 400; i++)
		served.set("/w/" + name + std::to_string(i), "y");
	EXPECT_EQ(xpv_store_write(XPV_STORE_NO_TRANSACTION, "/sync", ""), 0);
	while (node.readable())
		seen.push_back(node.next().payload);
	EXPECT_EQ(seen.back(), strings({ "/w", "t" }));
	EXPECT_EQ(node.ask(XS_READ, strings({ "/v/" + name })), "x");
}

TEST_F(Users, AnEventOfAWatchThatEndedIsReadAllTheSame)
{
	serve();
	OpenNode node;
	EXPECT_EQ(node.ask(XS_WATCH, strings({ "/w", "t" })), ok);
	std::string name(1000, 'n');
	for (unsigned int i = 0; i < 300; i++)
		served.set("/w/" + name + std::to_string(i), "x");
	EXPECT_EQ(xpv_store_write(XPV_STORE_NO_TRANSACTION, "/sync", ""), 0);
	/* Ends it while its reserve waits to be read: the request is answered when there is room. */
	node.write(request(XS_UNWATCH, strings({ "/w", "t" })));
	Message message;
	do {
		message = node.next();
	} while (message.header.type == XS_WATCH_EVENT);
	EXPECT_EQ(message.payload, ok);
	EXPECT_FALSE(node.readable());
}

TEST_F(Users, WithoutMemoryForAnEventThereIsTheReserve)
{
	by_hand();
	OpenNode node;
	node.write(request(XS_WATCH, strings({ "/w", "t" })));
	auto asked = peer().receive();
	ASSERT_TRUE(asked);
	std::string token = asked->payload.substr(asked->payload.find('\0') + 1);
	token.pop_back();
	peer().reply(*asked, ok);
	EXPECT_EQ(node.answer().payload, ok);
	fake::fail_allocation(1);
	peer().event("/w/deep/down", token);
	EXPECT_EQ(node.next().payload, strings({ "/w", "t" }));
	peer().event("/w/deep/down", token);
	EXPECT_EQ(node.next().payload, strings({ "/w/deep/down", "t" }));
	node.close();
	auto last = peer().receive();
	ASSERT_TRUE(last);
	EXPECT_EQ(last->header.type, static_cast<unsigned int>(XS_UNWATCH));
	peer().reply(*last, ok);
}

TEST_F(Users, ClosingEndsWatches)
{
	serve();
	{
		OpenNode node;
		EXPECT_EQ(node.ask(XS_WATCH, strings({ "/a", "t" })), ok);
		EXPECT_EQ(node.ask(XS_WATCH, strings({ "/b", "t" })), ok);
		served.set("/a/x", "unread");
	}
	settle();
	EXPECT_EQ(xpv_store_write(XPV_STORE_NO_TRANSACTION, "/sync", ""), 0);
	EXPECT_EQ(served.watch_count(), 0u);
}

} // namespace
