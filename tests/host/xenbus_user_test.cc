// SPDX-License-Identifier: GPL-2.0-only
/* Users of /dev/xen/xenbus: what they write and read, over a small store and over one played by hand. */
#include <gtest/gtest.h>

#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/fake/xenbus.hh"
#include "tests/host/xenbus_store_fake.hh"
#include "xenbus/node/user_message.hh"

namespace {

using Message = StorePeer::Message;

std::string request(std::uint32_t type, const std::string &body, std::uint32_t transaction = 0, std::uint32_t id = 0)
{
	return StorePeer::bytes_of(type, id, transaction, body);
}

class OpenNode {
public:
	OpenNode() { EXPECT_EQ(xpv_store_user_open(&node_, &node_.user), 0); }
	~OpenNode() { close(); }
	void close()
	{
		if (node_.user)
			xpv_store_user_close(std::exchange(node_.user, nullptr));
	}

	/* As a blocking write. */
	void write(const std::string &bytes)
	{
		for (std::size_t done = 0; done < bytes.size();) {
			ASSERT_TRUE(wait([&] { return xpv_store_user_writable(node_.user); }));
			long taken = write_some(bytes.substr(done));
			ASSERT_GE(taken, 0);
			done += static_cast<std::size_t>(taken);
		}
	}
	long write_some(const std::string &bytes)
	{
		return xpv_store_user_write(node_.user, bytes.data(), bytes.size());
	}
	/* What can be read, at most `size` bytes; waits for the first. */
	std::string read(std::size_t size)
	{
		const void *bytes = nullptr;
		long there = 0;
		wait([&] { return (there = xpv_store_user_peek(node_.user, &bytes)) != 0; });
		if (there <= 0)
			return "";
		std::string taken(static_cast<const char *>(bytes), std::min(size, static_cast<std::size_t>(there)));
		xpv_store_user_skip(node_.user, taken.size());
		return taken;
	}
	bool readable()
	{
		const void *bytes;
		return xpv_store_user_peek(node_.user, &bytes) != 0;
	}
	Message next()
	{
		std::string header, body;
		while (header.size() < sizeof(xsd_sockmsg)) {
			std::string part = read(sizeof(xsd_sockmsg) - header.size());
			if (part.empty())
				return {};
			header += part;
		}
		Message message;
		std::memcpy(&message.header, header.data(), sizeof(xsd_sockmsg));
		while (message.payload.size() < message.header.len)
			message.payload += read(message.header.len - message.payload.size());
		return message;
	}
	/* The next answer; events that come before it are put aside. */
	Message answer()
	{
		for (;;) {
			Message message = next();
			if (message.header.type != XS_WATCH_EVENT)
				return message;
			events.push_back(message.payload);
		}
	}
	std::string ask(std::uint32_t type, const std::string &body, std::uint32_t transaction = 0)
	{
		write(request(type, body, transaction));
		Message message = answer();
		EXPECT_TRUE(message.header.type == type || message.header.type == XS_ERROR);
		return (message.header.type == XS_ERROR ? "!" : "") + message.payload;
	}
	std::uint32_t begin()
	{
		return static_cast<std::uint32_t>(std::stoul(ask(XS_TRANSACTION_START, strings({ "" }))));
	}
	template <typename Condition>
	bool wait(Condition condition)
	{
		auto deadline = fake::Clock::now() + std::chrono::seconds(10);
		for (;;) {
			unsigned int seen;
			{
				std::lock_guard guard(node_.mutex);
				seen = node_.wakes;
			}
			if (condition())
				return true;
			std::unique_lock guard(node_.mutex);
			if (!node_.changed.wait_until(guard, deadline, [&] { return node_.wakes != seen; }))
				return false;
		}
	}

	std::vector<std::string> events;

private:
	xpv_store_node node_;
};

const std::string ok = strings({ "OK" });

class Users : public testing::Test {
protected:
	void SetUp() override
	{
		allocations = fake::live_allocations();
		fake::take_log();
	}
	/* A store that answers by itself. */
	void serve()
	{
		harness.emplace();
		served.start(harness->store.client);
		ASSERT_TRUE(harness->store.watches.start().ok());
		ASSERT_TRUE(
			harness->store.client.start(&served.page, served.doorbell(), harness->store.watches.sink()).ok());
		harness->started = true;
		xpv::set_store(&harness->store);
		ASSERT_EQ(xpv_store_users_start(), 0);
	}
	void by_hand(unsigned int timeout_ms = 60000)
	{
		harness.emplace(timeout_ms);
		ASSERT_TRUE(harness->start().ok());
		ASSERT_EQ(xpv_store_users_start(), 0);
	}
	void TearDown() override
	{
		xpv_store_users_stop();
		harness.reset();
		served.stop();
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(fake::live_threads(), 0u);
	}
	/* Everything that was closed has ended. */
	void settle()
	{
		xpv_store_users_stop();
		ASSERT_EQ(xpv_store_users_start(), 0);
	}
	StorePeer &peer() { return harness->peer; }

	ServedStore served;
	std::optional<StoreHarness> harness;
	std::size_t allocations = 0;
};

/* ---- Messages ---- */

TEST(UserMessages, StreamInPiecesOfAnySize)
{
	std::string bytes = request(XS_READ, strings({ "a" }), 3, 9) + request(XS_WRITE, strings({ "b" }) + "value") +
			    request(XS_INTRODUCE, "");
	for (std::size_t piece = 1; piece <= bytes.size(); piece++) {
		xpv::RequestStream stream;
		std::vector<std::string> bodies;
		for (std::size_t at = 0; at < bytes.size();) {
			std::size_t most = std::min(piece, bytes.size() - at);
			auto taken = stream.take(bytes.data() + at, most);
			ASSERT_TRUE(taken.ok());
			at += taken.value();
			if (stream.whole()) {
				if (bodies.empty()) {
					EXPECT_EQ(stream.header().tx_id, 3u);
					EXPECT_EQ(stream.header().req_id, 9u);
				}
				bodies.emplace_back(stream.payload());
				stream.reset();
			}
		}
		EXPECT_EQ(bodies, (std::vector<std::string>{ strings({ "a" }), strings({ "b" }) + "value", "" }));
	}
}

TEST(UserMessages, LargestAndTooLarge)
{
	xpv::RequestStream stream;
	std::string largest = request(XS_WRITE, std::string(XENSTORE_PAYLOAD_MAX, 'x'));
	EXPECT_EQ(stream.take(largest.data(), largest.size()).value_or(0), largest.size());
	EXPECT_TRUE(stream.whole());
	stream.reset();
	for (std::uint32_t length : { XENSTORE_PAYLOAD_MAX + 1u, 0xfffffff0u, 0xffffffffu }) {
		xsd_sockmsg header = { XS_WRITE, 0, 0, length };
		EXPECT_EQ(stream.take(reinterpret_cast<char *>(&header), sizeof(header)).code(), -XEN_E2BIG);
		EXPECT_FALSE(stream.whole());
	}
	std::string good = request(XS_READ, strings({ "a" }));
	EXPECT_EQ(stream.take(good.data(), good.size()).value_or(0), good.size());
	EXPECT_TRUE(stream.whole());
}

TEST(UserMessages, WatchAndTransactionBodies)
{
	auto good = xpv::parse_watch_request(std::string_view("a\0t\0", 4));
	ASSERT_TRUE(good.ok());
	EXPECT_EQ(good.value().path, std::string_view("a\0", 2));
	EXPECT_EQ(good.value().token, std::string_view("t\0", 2));
	EXPECT_FALSE(xpv::parse_watch_request(std::string_view("", 0)).ok());
	EXPECT_FALSE(xpv::parse_watch_request(std::string_view("a", 1)).ok());
	EXPECT_FALSE(xpv::parse_watch_request(std::string_view("a\0", 2)).ok());
	EXPECT_FALSE(xpv::parse_watch_request(std::string_view("a\0t", 3)).ok());
	EXPECT_TRUE(xpv::parse_transaction_end(std::string_view("T\0", 2)).value());
	EXPECT_FALSE(xpv::parse_transaction_end(std::string_view("F\0", 2)).value());
	for (std::string_view bad : { std::string_view("T", 1), std::string_view("X\0", 2), std::string_view("TF", 2),
				      std::string_view("T\0\0", 3), std::string_view() })
		EXPECT_FALSE(xpv::parse_transaction_end(bad).ok());
}

/* ---- Requests ---- */

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

/* ---- Transactions ---- */

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

/* ---- Watches ---- */

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
	served.refuse_watches = true;
	EXPECT_EQ(node.ask(XS_WATCH, strings({ "/a", "t" })), "!" + strings({ "ENOSPC" }));
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

/* ---- The end ---- */

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
