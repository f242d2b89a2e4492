// SPDX-License-Identifier: GPL-2.0-only
/* Transactions of users: their own, ended with them, and lost in a restore. */
#include <gtest/gtest.h>

#include "tests/host/xenbus_user_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(Users, Transactions)
{
	serve();
	OpenNode node;
	std::uint32_t id = node.begin();
	EXPECT_EQ(node.ask(XS_WRITE, strings({ "/a" }) + "1", id), ok);
	EXPECT_EQ(served.get("/a"), std::nullopt);
	EXPECT_EQ(node.ask(XS_TRANSACTION_END, strings({ "X" }), id), "!" + strings({ "EINVAL" }));
	EXPECT_EQ(node.ask(XS_TRANSACTION_END, strings({ "T" }), id), ok);
	EXPECT_TRUE(served.becomes("/a", "1"));
	EXPECT_EQ(node.ask(XS_TRANSACTION_END, strings({ "T" }), id), "!" + strings({ "ENOENT" }));
	served.interfere = 1;
	id = node.begin();
	EXPECT_EQ(node.ask(XS_TRANSACTION_END, strings({ "T" }), id), "!" + strings({ "EAGAIN" }));
	EXPECT_EQ(node.ask(XS_READ, strings({ "/a" }), id), "!" + strings({ "ENOENT" }));
	EXPECT_EQ(served.open_transactions(), 0u);
}

TEST_F(Users, AnothersTransactionIsOutOfReach)
{
	serve();
	OpenNode mine, other;
	std::uint32_t id = other.begin();
	unsigned int before = served.requests;
	EXPECT_EQ(mine.ask(XS_WRITE, strings({ "/a" }) + "1", id), "!" + strings({ "ENOENT" }));
	EXPECT_EQ(mine.ask(XS_TRANSACTION_END, strings({ "F" }), id), "!" + strings({ "ENOENT" }));
	EXPECT_EQ(mine.ask(XS_TRANSACTION_START, strings({ "" }), id), "!" + strings({ "ENOENT" }));
	EXPECT_EQ(served.requests, before);
	EXPECT_EQ(other.ask(XS_TRANSACTION_END, strings({ "T" }), id), ok);
}

TEST_F(Users, ClosingEndsTransactions)
{
	serve();
	OpenNode stays;
	std::uint32_t id = stays.begin();
	{
		OpenNode node;
		node.begin();
		node.begin();
		EXPECT_EQ(served.open_transactions(), 3u);
	}
	auto deadline = fake::Clock::now() + std::chrono::seconds(10);
	while (served.open_transactions() != 1 && fake::Clock::now() < deadline)
		fake::advance(std::chrono::milliseconds(1));
	EXPECT_EQ(served.open_transactions(), 1u);
	EXPECT_EQ(stays.ask(XS_TRANSACTION_END, strings({ "F" }), id), ok);
}

TEST_F(Users, TransactionsOfAFormerStore)
{
	serve();
	OpenNode node;
	std::uint32_t first = node.begin(), second = node.begin();
	xpv::Store &store = harness->store;
	ASSERT_TRUE(store.client.pause(xpv::Deadline::after(20000)).ok());
	served.become_new();
	served.go_on();
	ASSERT_TRUE(store.client.restart(&served.page).ok());
	unsigned int before = served.requests;
	EXPECT_EQ(node.ask(XS_READ, strings({ "/a" }), first), "!" + strings({ "EAGAIN" }));
	EXPECT_EQ(node.ask(XS_TRANSACTION_END, strings({ "T" }), first), "!" + strings({ "EAGAIN" }));
	EXPECT_EQ(node.ask(XS_TRANSACTION_END, strings({ "F" }), second), ok);
	EXPECT_EQ(served.requests, before);
	EXPECT_EQ(node.ask(XS_TRANSACTION_END, strings({ "T" }), first), "!" + strings({ "ENOENT" }));
}

TEST_F(Users, NonsenseAsATransaction)
{
	by_hand();
	OpenNode node;
	for (const char *nonsense : { "", "0", "x", "99999999999" }) {
		node.write(request(XS_TRANSACTION_START, strings({ "" })));
		peer().reply(*peer().receive(), strings({ nonsense }));
		Message message = node.answer();
		EXPECT_EQ(message.header.type, static_cast<unsigned int>(XS_ERROR)) << nonsense;
	}
}

} // namespace
