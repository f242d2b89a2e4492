// SPDX-License-Identifier: GPL-2.0-only
/* Each operation of store.h in the form the protocol gives it, and with each answer a store may give. */
#include <gtest/gtest.h>

#include <functional>
#include <sstream>

#include "tests/host/fake/clock.hh"
#include "tests/host/fake/debugfs.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/xenbus_store_fake.hh"
#include "xenbus/linux.h"
#include "xenbus/store_owned.h"
#include "xenbus/transaction.hh"

using namespace xpv;

namespace {

void nothing(xpv_store_watch_context *, const char *)
{
}

class Operations : public testing::Test {
protected:
	void SetUp() override
	{
		allocations = fake::live_allocations();
		harness.emplace(20000);
		ASSERT_TRUE(harness->start().ok());
	}
	void TearDown() override
	{
		harness.reset();
		EXPECT_EQ(fake::live_allocations(), allocations);
	}
	StorePeer &peer() { return harness->peer; }
	StorePeer::Message next() { return peer().receive(5000).value_or(StorePeer::Message{}); }

	/* What `operation` returns when the store answers with `payload`; the request is then in `request`. */
	int answered(std::function<int()> operation, const std::string &payload)
	{
		auto done = fake::async(operation);
		request = next();
		peer().reply(request, payload);
		return done.get();
	}
	int refused(std::function<int()> operation, const std::string &error)
	{
		auto done = fake::async(operation);
		request = next();
		peer().reply_error(request, error);
		return done.get();
	}
	bool is(xsd_sockmsg_type type, const std::string &payload) const
	{
		return request.header.type == static_cast<unsigned int>(type) && request.payload == payload;
	}
	static constexpr xpv_store_transaction none = XPV_STORE_NO_TRANSACTION;

	std::optional<StoreHarness> harness;
	StorePeer::Message request;
	std::size_t allocations = 0;
};

TEST_F(Operations, Remove)
{
	auto remove = [] { return xpv_store_remove(none, "a"); };
	EXPECT_EQ(answered(remove, strings({ "OK" })), 0);
	EXPECT_TRUE(is(XS_RM, strings({ "a" })));
	EXPECT_EQ(refused(remove, "ENOENT"), 0);
}

/* The store kills itself over one in a transaction (XSA-484), so none is ever made. */
TEST_F(Operations, ResetWatches)
{
	xpv_store_watch *made = nullptr;
	EXPECT_EQ(answered([&] { return xpv_store_watch_register("node", nothing, nullptr, &made); }, strings({ "OK" })),
		  0);
	std::string watch = request.payload;
	xpv_store_transaction transaction = {};
	EXPECT_EQ(answered([&] { return xpv_store_transaction_start(&transaction); }, strings({ "5" })), 0);

	EXPECT_EQ(answered(xpv_store_reset_watches, strings({ "OK" })), 0);
	EXPECT_TRUE(is(XS_RESET_WATCHES, std::string(1, '\0')));
	EXPECT_EQ(request.header.tx_id, 0u);
	/* Ours are needed still, and transactions are gone. */
	auto again = next();
	EXPECT_EQ(again.header.type, static_cast<unsigned int>(XS_WATCH));
	EXPECT_EQ(again.payload, watch);
	peer().reply(again, strings({ "OK" }));
	EXPECT_EQ(xpv_store_transaction_end(transaction, true), -XEN_EAGAIN);

	const std::string_view parts[] = { std::string_view("", 1) };
	EXPECT_EQ(harness->store.client.perform(XS_RESET_WATCHES, xpv_store_transaction{ 5 }, parts).code(), -XEN_EINVAL);
	EXPECT_FALSE(peer().receive(50));
	xpv_store_watch_unregister(made);
	peer().reply(next(), strings({ "OK" }));
}

TEST_F(Operations, RawRequests)
{
	char reply[XENSTORE_PAYLOAD_MAX];
	unsigned int type = 0;
	unsigned int length = 0;
	auto raw = [&](unsigned int what, std::uint32_t transaction, std::string body) {
		return [&, what, transaction, body] {
			return xpv_store_request(what, transaction, body.data(), static_cast<unsigned int>(body.size()),
						 &type, reply, &length);
		};
	};
	auto read = raw(XS_READ, 0, strings({ "a" }));
	EXPECT_EQ(answered(read, std::string("v\0w", 3)), 0);
	EXPECT_TRUE(is(XS_READ, strings({ "a" })));
	EXPECT_EQ(type, static_cast<unsigned int>(XS_READ));
	EXPECT_EQ(std::string(reply, length), std::string("v\0w", 3));
	EXPECT_EQ(answered(read, ""), 0);
	EXPECT_EQ(length, 0u);
	EXPECT_EQ(answered(read, std::string(XENSTORE_PAYLOAD_MAX, 'l')), 0);
	EXPECT_EQ(std::string(reply, length), std::string(XENSTORE_PAYLOAD_MAX, 'l'));
	/* The store's refusal is an answer. */
	EXPECT_EQ(refused(read, "EWHATEVER"), 0);
	EXPECT_EQ(type, static_cast<unsigned int>(XS_ERROR));
	EXPECT_EQ(std::string(reply, length), strings({ "EWHATEVER" }));
	/* No body; nonsense of the store. */
	EXPECT_EQ(answered([&] { return xpv_store_request(XS_CONTROL, 0, nullptr, 0, &type, reply, &length); }, ""), 0);
	EXPECT_TRUE(is(XS_CONTROL, ""));

	/* Transactions: our numbers on this side, the store's on that. */
	EXPECT_EQ(answered(raw(XS_TRANSACTION_START, 0, std::string(1, '\0')), strings({ "123456" })), 0);
	EXPECT_EQ(type, static_cast<unsigned int>(XS_TRANSACTION_START));
	auto number = static_cast<std::uint32_t>(std::stoul(std::string(reply, length - 1)));
	EXPECT_EQ(reply[length - 1], 0);
	EXPECT_EQ(answered(raw(XS_WRITE, number, strings({ "a" }) + "1"), strings({ "OK" })), 0);
	EXPECT_EQ(request.header.tx_id, 123456u);
	EXPECT_EQ(refused(raw(XS_TRANSACTION_END, number, strings({ "T" })), "EAGAIN"), 0);
	EXPECT_EQ(request.header.tx_id, 123456u);
	EXPECT_EQ(type, static_cast<unsigned int>(XS_ERROR));
	EXPECT_EQ(raw(XS_WRITE, number, strings({ "a" }))(), -XEN_ENOENT);
	EXPECT_EQ(raw(XS_WRITE, 123456, strings({ "a" }))(), -XEN_ENOENT);
	EXPECT_EQ(answered(raw(XS_TRANSACTION_START, 0, std::string(1, '\0')), strings({ "zero" })), -XEN_EIO);

	for (unsigned int no : { unsigned{ XS_WATCH }, unsigned{ XS_UNWATCH }, unsigned{ XS_RESET_WATCHES },
				 unsigned{ XS_WATCH_EVENT }, unsigned{ XS_ERROR }, unsigned{ XS_TYPE_COUNT }, 20u, ~0u })
		EXPECT_EQ(raw(no, 0, strings({ "a" }))(), -XEN_EINVAL) << no;
	EXPECT_EQ(raw(XS_WRITE, 0, std::string(XENSTORE_PAYLOAD_MAX + 1, 'x'))(), -XEN_E2BIG);
	EXPECT_FALSE(peer().receive(50));
}

TEST_F(Operations, RawRequestsFromManyThreads)
{
	std::vector<fake::Future<std::string>> answers;
	for (int i = 0; i < 8; i++)
		answers.push_back(fake::async([i] {
			std::string all;
			for (int round = 0; round < 20; round++) {
				std::string body = strings({ "key" + std::to_string(i) });
				std::string reply(XENSTORE_PAYLOAD_MAX, 0);
				unsigned int type, length;
				if (xpv_store_request(XS_READ, 0, body.data(), static_cast<unsigned int>(body.size()),
						      &type, reply.data(), &length) == 0)
					all += reply.substr(0, length);
			}
			return all;
		}));
	for (int i = 0; i < 160; i++) {
		auto message = next();
		peer().reply(message, message.payload.substr(3, 1));
	}
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(answers[static_cast<std::size_t>(i)].get(), std::string(20, static_cast<char>('0' + i)));
}

/*
 * Case 31. xenstored refuses each operation with each error, one without a name
 * and one with an unknown name among them. A client that does not expect an
 * error retries for ever or leaves the request open. Each must reach its
 * caller, as EIO if the name is unknown, and no request stay in flight.
 */
TEST_F(Operations, EachErrorOnEachOperation)
{
	const std::pair<const char *, int> errors[] = {
		{ "EAGAIN", XEN_EAGAIN }, { "EQUOTA", XEN_ENOSPC }, { "ENOSPC", XEN_ENOSPC }, { "EACCES", XEN_EACCES },
		{ "EBUSY", XEN_EBUSY },	  { "EPERM", XEN_EPERM },   { "EINVAL", XEN_EINVAL }, { "ENOMEM", XEN_ENOMEM },
		{ "", XEN_EIO },	  { "ENONSENSE", XEN_EIO },
	};
	char value[16];
	const std::pair<const char *, std::function<int()>> operations[] = {
		{ "read", [&] { return xpv_store_read(none, "a", value, sizeof(value)); } },
		{ "write", [&] { return xpv_store_write(none, "a", "1"); } },
		{ "remove", [&] { return xpv_store_remove(none, "a"); } },
		{ "directory",
		  [&] {
			  char *names;
			  size_t length;
			  return xpv_store_directory(none, "a", &names, &length);
		  } },
		{ "transaction_start",
		  [&] {
			  xpv_store_transaction transaction;
			  return xpv_store_transaction_start(&transaction);
		  } },
		{ "reset_watches", [&] { return xpv_store_reset_watches(); } },
	};
	for (const auto &[operation, call] : operations)
		for (const auto &[name, number] : errors)
			EXPECT_EQ(refused(call, name), -number) << operation << " " << name;
	EXPECT_EQ(harness->counts().in_flight, 0u);

	/* And E2BIG: the directory comes in parts, which are refused too. */
	auto parts = fake::async(operations[3].second);
	peer().reply_error(next(), "E2BIG");
	auto part = next();
	EXPECT_EQ(part.header.type, static_cast<unsigned int>(XS_DIRECTORY_PART));
	peer().reply_error(part, "E2BIG");
	EXPECT_EQ(parts.get(), -XEN_E2BIG);
}

/*
 * Case 31. xenstored refuses a watch with each error, and then with EAGAIN for
 * ever. A client that keeps the watch waits for events that never come. The
 * registration must fail, after a bounded number of attempts, and XS_UNWATCH
 * follow, in case xenstored did register it.
 */
TEST_F(Operations, EachErrorOnWatch)
{
	for (auto [name, number] :
	     { std::pair{ "ENOSPC", XEN_ENOSPC },
	       { "EQUOTA", XEN_ENOSPC },
	       { "EACCES", XEN_EACCES },
	       { "EINVAL", XEN_EINVAL },
	       { "E2BIG", XEN_E2BIG },
	       { "EBUSY", XEN_EBUSY } }) {
		xpv_store_watch *made = nullptr;
		EXPECT_EQ(refused([&] { return xpv_store_watch_register("a", nothing, nullptr, &made); }, name), -number);
		EXPECT_EQ(made, nullptr);
		auto gone = next();
		EXPECT_EQ(gone.header.type, static_cast<unsigned int>(XS_UNWATCH));
		peer().reply_error(gone, "ENOENT");
	}
	/* EAGAIN for ever. */
	xpv_store_watch *made = nullptr;
	auto done = fake::async([&] { return xpv_store_watch_register("a", nothing, nullptr, &made); });
	unsigned int asked = 0;
	for (auto message = next(); message.header.type == XS_WATCH; message = next()) {
		asked++;
		peer().reply_error(message, "EAGAIN");
	}
	EXPECT_EQ(done.get(), -XEN_EAGAIN);
	EXPECT_LE(asked, 10u);
	EXPECT_EQ(harness->counts().watches, 0u);
}

/*
 * Case 31. xenstored has no room for a transaction, for ever. A client that
 * gives up at once fails because of other clients, and one that waits for room
 * hangs its device. It must retry, and end with ENOSPC after a fixed time.
 */
TEST_F(Operations, NoRoomForATransaction)
{
	fake::Clock::duration took = {};
	auto done = fake::async([&] {
		auto begin = fake::Clock::now();
		int code = in_transaction([](xpv_store_transaction) { return Status(); }).code();
		took = fake::Clock::now() - begin;
		return code;
	});
	unsigned int asked = 0;
	while (!done.ready())
		if (auto message = peer().receive(100)) {
			asked++;
			peer().reply_error(*message, asked % 2 ? "EQUOTA" : "ENOSPC");
		}
	EXPECT_EQ(done.get(), -XEN_ENOSPC);
	EXPECT_GT(asked, 1u);
	EXPECT_EQ(took, std::chrono::milliseconds(transaction_room_ms));
}

/*
 * Cases 28 to 30. Replies have the right type, but not the content of one: a
 * list without NUL, an acknowledgement of 4096 bytes, parts of a directory
 * without generation or end. A client that searches for the NUL reads beyond
 * the reply. Each must be an error; only an empty list, value or
 * acknowledgement is valid.
 */
TEST_F(Operations, AnswersWithoutSense)
{
	char *names = nullptr;
	size_t length = 0;
	auto directory = [&] { return xpv_store_directory(none, "a", &names, &length); };
	EXPECT_EQ(answered(directory, "no NUL"), -XEN_EIO);
	EXPECT_EQ(answered(directory, ""), 0);
	EXPECT_EQ(length, 0u);
	xpv_free(names);
	char value[8] = "old";
	EXPECT_EQ(answered([&] { return xpv_store_read(none, "a", value, sizeof(value)); }, ""), 0);
	EXPECT_STREQ(value, "");
	/* An acknowledgement is one whatever it says, unless it has no end. */
	EXPECT_EQ(answered([] { return xpv_store_write(none, "a", "1"); }, ""), 0);
	EXPECT_EQ(answered([] { return xpv_store_write(none, "a", "1"); }, std::string(XENSTORE_PAYLOAD_MAX, 'x')),
		  -XEN_EMSGSIZE);
	/* The parts of a directory. */
	for (std::string part : { std::string(), std::string("7"), strings({ "7" }), strings({ "", "a", "" }),
				  strings({ "7", "a" }) + "b", strings({ std::string(64, '7'), "a", "" }) }) {
		auto parts = fake::async(directory);
		peer().reply_error(next(), "E2BIG");
		peer().reply(next(), part);
		EXPECT_LT(parts.get(), 0) << part;
	}
}

/*
 * Cases 28 to 30. xenstored sends a message of each type with an id that no
 * request has. A client that looks no request up completes whichever waits.
 * Each must be dropped and counted, and the next request work.
 */
TEST_F(Operations, UnsolicitedMessages)
{
	for (std::uint32_t type = 0; type < XS_TYPE_COUNT; type++)
		if (type != XS_WATCH_EVENT)
			peer().send_bytes(StorePeer::bytes_of(type, 99, 0, strings({ "1" })));
	EXPECT_EQ(harness->counts().dropped, unsigned{ XS_TYPE_COUNT } - 1);
	char value[8];
	EXPECT_EQ(answered([&] { return xpv_store_read(none, "a", value, sizeof(value)); }, "1"), 1);
}

/* What debugfs shows. */
TEST_F(Operations, Tables)
{
	xpv_store_transaction transaction = {};
	EXPECT_EQ(answered([&] { return xpv_store_transaction_start(&transaction); }, strings({ "5" })), 0);
	xpv_store_watch *made = nullptr;
	EXPECT_EQ(answered([&] { return xpv_store_watch_register("node", nothing, nullptr, &made); }, strings({ "OK" })),
		  0);
	auto done = fake::async([&] { return xpv_store_write(transaction, "key", "1"); });
	auto message = next();

	xpv_debug_sink sink;
	xpv_store_show(&sink);
	/* Without the headings. */
	std::vector<std::string> lines;
	std::istringstream text(sink.text);
	for (std::string line; std::getline(text, line);)
		if (line[0] != '#' && line.find("PATH") == line.npos && line.find("STATE") == line.npos)
			lines.push_back(line);
	ASSERT_EQ(lines.size(), 3u) << sink.text;
	EXPECT_TRUE(lines[0].ends_with(" in flight XS_WRITE                key")) << lines[0];
	EXPECT_TRUE(lines[1].find(" 5 ") != std::string::npos && lines[1].ends_with(" open")) << lines[1];
	EXPECT_TRUE(lines[2].find(" --- ") != std::string::npos && lines[2].ends_with(" node")) << lines[2];
	EXPECT_TRUE(sink.text.starts_with("# connection up; ")) << sink.text;

	peer().reply(message, strings({ "OK" }));
	EXPECT_EQ(done.get(), 0);
	EXPECT_EQ(answered([&] { return xpv_store_transaction_end(transaction, false); }, strings({ "OK" })), 0);
	xpv_store_watch_unregister(made);
	peer().reply(next(), strings({ "OK" }));
}

} // namespace
