// SPDX-License-Identifier: GPL-2.0-only
/* Requests of users of /dev/xen/xenbus: read, write, wait, fail, and end with their user. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/host/xenbus_user_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(Users, ReadsAndWrites)
{
	serve();
	OpenNode node;
	EXPECT_EQ(node.ask(XS_WRITE, strings({ "/a" }) + "hello"), ok);
	EXPECT_TRUE(served.becomes("/a", "hello"));
	EXPECT_EQ(node.ask(XS_READ, strings({ "/a" })), "hello");
	EXPECT_EQ(node.ask(XS_READ, strings({ "/b" })), "!" + strings({ "ENOENT" }));
	EXPECT_FALSE(node.readable());
}

TEST_F(Users, AnswersCarryTheirRequestsNumbersInOrder)
{
	serve();
	served.set("/a", "1");
	OpenNode node;
	std::string many;
	for (std::uint32_t i = 0; i < 100; i++)
		many += request(XS_READ, strings({ i % 2 ? "/a" : "/none" }), 0, 1000 + i);
	fake::Thread writer([&] { node.write(many); });
	for (std::uint32_t i = 0; i < 100; i++) {
		Message message = node.next();
		EXPECT_EQ(message.header.req_id, 1000 + i);
		EXPECT_EQ(message.header.type, static_cast<unsigned int>(i % 2 ? XS_READ : XS_ERROR));
	}
	writer.join();
}

TEST_F(Users, ReadsInPieces)
{
	serve();
	served.set("/a", "hello");
	OpenNode node;
	std::string bytes = request(XS_READ, strings({ "/a" }), 0, 5);
	for (char byte : bytes)
		node.write(std::string(1, byte));
	std::string answer;
	while (answer.size() < sizeof(xsd_sockmsg) + 5) {
		std::string byte = node.read(1);
		ASSERT_EQ(byte.size(), 1u);
		answer += byte;
	}
	EXPECT_EQ(answer, request(XS_READ, "hello", 0, 5));
	EXPECT_FALSE(node.readable());
}

TEST_F(Users, UnknownRequestsAreRefusedHere)
{
	serve();
	OpenNode node;
	unsigned int before = served.requests;
	for (std::uint32_t type : { static_cast<std::uint32_t>(XS_WATCH_EVENT), static_cast<std::uint32_t>(XS_ERROR),
				    static_cast<std::uint32_t>(XS_TYPE_COUNT), 0xffffffffu }) {
		node.write(request(type, ""));
		Message message = node.answer();
		EXPECT_EQ(message.header.type, static_cast<unsigned int>(XS_ERROR));
		EXPECT_EQ(message.payload, strings({ "ENOSYS" }));
	}
	EXPECT_EQ(served.requests, before);
	/* Those that it does not know are the store's to refuse. */
	EXPECT_EQ(node.ask(XS_CONTROL, strings({ "help" })), "!" + strings({ "ENOSYS" }));
	EXPECT_EQ(served.requests, before + 1);
}

TEST_F(Users, TooManyRequestsWait)
{
	by_hand();
	OpenNode node;
	std::string many;
	for (unsigned int i = 0; i < 20; i++)
		many += request(XS_READ, strings({ "/a" }), 0, i);
	long taken = node.write_some(many);
	/* One may be under way beside those that wait. */
	long each = static_cast<long>(request(XS_READ, strings({ "/a" })).size());
	EXPECT_GE(taken, 8 * each);
	EXPECT_LE(taken, 9 * each);
	auto first = peer().receive();
	ASSERT_TRUE(first);
	taken += node.write_some(many.substr(static_cast<std::size_t>(taken)));
	EXPECT_EQ(taken, 9 * each);
	EXPECT_EQ(node.write_some(many.substr(static_cast<std::size_t>(taken))), 0);
	peer().reply(*first, "x");
	EXPECT_EQ(node.next().payload, "x");
	for (unsigned int i = 1; i < 9; i++)
		peer().reply(*peer().receive(), "y");
	for (unsigned int i = 1; i < 9; i++)
		EXPECT_EQ(node.next().header.req_id, i);
}

TEST_F(Users, WhoDoesNotReadGetsNoMoreAnswers)
{
	serve();
	served.set("/a", std::string(4000, 'x'));
	OpenNode node;
	std::string one = request(XS_READ, strings({ "/a" }));
	unsigned int written = 0;
	/* Until nothing moves any more. */
	for (unsigned int idle = 0; idle < 20;) {
		if (node.write_some(one) == 0) {
			idle++;
			fake::advance(std::chrono::milliseconds(10));
		} else {
			written++;
			idle = 0;
		}
		ASSERT_LT(written, 1000u);
	}
	EXPECT_EQ(written, 256u * 1024 / 4016 + 1 + 8);
	for (unsigned int i = 0; i < written; i++)
		EXPECT_EQ(node.next().payload.size(), 4000u);
}

TEST_F(Users, NoAnswerIsAnError)
{
	by_hand(100);
	OpenNode node;
	EXPECT_EQ(node.ask(XS_READ, strings({ "/a" })), "!" + strings({ "EIO" }));
	EXPECT_TRUE(peer().receive());
}

TEST_F(Users, WithoutMemoryForAnAnswerTheNodeFails)
{
	by_hand();
	OpenNode node;
	node.write(request(XS_READ, strings({ "/a" })));
	auto asked = peer().receive();
	ASSERT_TRUE(asked);
	fake::fail_allocation(1);
	peer().reply(*asked, "x");
	EXPECT_EQ(node.read(1), "");
	EXPECT_TRUE(node.readable()); /* the error, that is */
}

TEST_F(Users, ClosingDoesNotWaitForTheStore)
{
	by_hand(1000);
	OpenNode node;
	node.write(request(XS_TRANSACTION_START, strings({ "" })));
	peer().reply(*peer().receive(), strings({ "5" }));
	auto id = static_cast<std::uint32_t>(std::stoul(node.answer().payload)); /* ours, not the store's */
	node.write(request(XS_READ, strings({ "/a" }), id));
	node.write(request(XS_READ, strings({ "/b" }), id));
	ASSERT_TRUE(peer().receive());
	auto start = fake::Clock::now();
	node.close();
	EXPECT_LT(fake::Clock::now() - start, std::chrono::milliseconds(500));
	/* The request under way times out; the next is not made; the transaction is ended. */
	auto last = peer().receive();
	ASSERT_TRUE(last);
	EXPECT_EQ(last->header.type, static_cast<unsigned int>(XS_TRANSACTION_END));
	EXPECT_EQ(last->header.tx_id, 5u);
	EXPECT_EQ(last->payload, strings({ "F" }));
	peer().reply(*last, ok);
}

TEST_F(Users, ManyAtOnce)
{
	serve();
	std::vector<fake::Thread> threads;
	for (unsigned int t = 0; t < 8; t++) {
		threads.emplace_back([this, t] {
			for (unsigned int round = 0; round < 10; round++) {
				OpenNode node;
				std::string path = "/t" + std::to_string(t);
				EXPECT_EQ(node.ask(XS_WATCH, strings({ path, "t" })), ok);
				std::uint32_t id = node.begin();
				EXPECT_EQ(node.ask(XS_WRITE, strings({ path }) + std::to_string(round), id), ok);
				if (round % 3 == 0)
					continue; /* dies with it */
				EXPECT_EQ(node.ask(XS_TRANSACTION_END, strings({ "T" }), id), ok);
				EXPECT_EQ(node.ask(XS_READ, strings({ path })), std::to_string(round));
			}
		});
	}
	for (auto &thread : threads)
		thread.join();
	settle();
	EXPECT_EQ(xpv_store_write(XPV_STORE_NO_TRANSACTION, "/sync", ""), 0);
	EXPECT_EQ(served.watch_count(), 0u);
	EXPECT_EQ(served.open_transactions(), 0u);
}

} // namespace
