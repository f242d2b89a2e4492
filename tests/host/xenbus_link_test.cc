// SPDX-License-Identifier: GPL-2.0-only
/* The connection to the store: lost, made anew, paused, restored; and a store that does not go on. */
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/xenbus_store_fake.hh"
#include "xenbus/transaction.hh"

using namespace xpv;

namespace {

using Answer = std::pair<int, std::string>;

fake::Future<Answer> read(std::string path, xpv_store_transaction transaction = XPV_STORE_NO_TRANSACTION)
{
	return fake::async([=] {
		char value[64];
		int result = xpv_store_read(transaction, path.c_str(), value, sizeof(value));
		return Answer(result, result > 0 ? std::string(value, static_cast<std::size_t>(result)) : "");
	});
}

Deadline in_time()
{
	return Deadline::after(20000);
}

void nothing(xpv_store_watch_context *, const char *)
{
}

class Link : public testing::Test {
protected:
	void SetUp() override
	{
		allocations = fake::live_allocations();
		fake::take_log();
	}
	void TearDown() override
	{
		stop_server();
		harness.reset();
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(fake::live_threads(), 0u);
	}
	void start(unsigned int timeout_ms = 20000, unsigned int watchdog_ms = 20)
	{
		harness.emplace(timeout_ms);
		harness->store.client.set_watchdog(watchdog_ms);
		ASSERT_TRUE(harness->start().ok());
	}
	StorePeer &peer() { return harness->peer; }
	xenstore_domain_interface &page() { return peer().page; }

	/* A store that starts afresh whenever it is asked to. */
	void offer_reconnection()
	{
		page().server_features = XENSTORE_SERVER_FEATURE_RECONNECTION;
		server = fake::Thread([this] {
			while (!stopping) {
				if (__atomic_load_n(&page().connection, __ATOMIC_SEQ_CST) == XENSTORE_RECONNECT) {
					page().req_prod = page().req_cons = page().rsp_prod = page().rsp_cons = 0;
					page().error = 0;
					resets++;
					__atomic_store_n(&page().connection, XENSTORE_CONNECTED, __ATOMIC_SEQ_CST);
				}
				fake::sleep_for(std::chrono::milliseconds(1));
			}
		});
	}
	void stop_server()
	{
		stopping = true;
		if (server.joinable())
			server.join();
	}
	bool becomes(const std::string &link)
	{
		return fake::eventually([&] { return harness->counts().link == link; });
	}
	/* The next request, which may be long in coming. */
	StorePeer::Message next() { return peer().receive(5000).value_or(StorePeer::Message{}); }
	static bool logged(const std::string &part)
	{
		auto lines = fake::take_log();
		return std::any_of(lines.begin(), lines.end(),
				   [&](const std::string &line) { return line.find(part) != line.npos; });
	}
	xpv_store_transaction begin(const char *id)
	{
		xpv_store_transaction transaction = {};
		auto started = fake::async([&] { return xpv_store_transaction_start(&transaction); });
		peer().reply(next(), strings({ id }));
		EXPECT_EQ(started.get(), 0);
		return transaction;
	}
	xpv_store_watch *watch(const char *path)
	{
		xpv_store_watch *made = nullptr;
		auto done = fake::async([&] { return xpv_store_watch_register(path, nothing, nullptr, &made); });
		peer().reply(next(), strings({ "OK" }));
		EXPECT_EQ(done.get(), 0);
		return made;
	}
	void unwatch(xpv_store_watch *made)
	{
		xpv_store_watch_unregister(made);
		peer().reply(next(), strings({ "OK" }));
	}

	std::optional<StoreHarness> harness;
	std::size_t allocations = 0;
	fake::Thread server;
	std::atomic<bool> stopping = false;
	std::atomic<unsigned int> resets = 0;
};

/* The first here: such lines are limited. */
TEST_F(Link, UnansweredRequestIsNamed)
{
	start(100, 5000);
	fake::take_log();
	EXPECT_EQ(read("device/vbd/51712").get().first, -XEN_ETIMEDOUT);
	auto lines = fake::take_log();
	ASSERT_EQ(lines.size(), 1u);
	EXPECT_NE(lines[0].find("no answer to XS_READ device/vbd/51712 for"), std::string::npos);
	peer().receive(100);
}

/* an error and a new connection. What was in flight is sent again; watches too. */
TEST_F(Link, ErrorFieldWithReconnection)
{
	start();
	auto *made = watch("node");
	offer_reconnection();
	auto first = read("a");
	auto lost = next();
	ASSERT_EQ(lost.payload, strings({ "a" }));
	page().error = XENSTORE_ERROR_COMM;
	std::multiset<std::string> again;
	for (int i = 0; i < 2; i++) {
		auto request = next();
		again.insert(request.payload.substr(0, request.payload.find('\0')));
		peer().reply(request, request.header.type == XS_READ ? "1" : strings({ "OK" }));
	}
	EXPECT_EQ(again, (std::multiset<std::string>{ "a", "node" }));
	EXPECT_EQ(first.get(), Answer(1, "1"));
	EXPECT_EQ(resets, 1u);
	EXPECT_EQ(harness->counts().reconnections, 1u);
	EXPECT_FALSE(harness->counts().dead);
	EXPECT_TRUE(logged("connection to the store lost"));
	unwatch(made);
}

/* nonsense in the ring, where the store offers a new connection. */
TEST_F(Link, NonsenseWithReconnection)
{
	for (bool indices : { false, true }) {
		stopping = false;
		start();
		auto before = read("x");
		peer().reply(next(), "0");
		EXPECT_EQ(before.get().second, "0");
		offer_reconnection();
		auto value = read("a");
		ASSERT_EQ(next().payload, strings({ "a" }));
		if (indices) {
			page().rsp_prod += 2000;
			peer().ring();
		} else {
			peer().send_bytes(StorePeer::bytes_of(XS_TYPE_COUNT, 1, 0, ""));
		}
		peer().reply(next(), "1");
		EXPECT_EQ(value.get(), Answer(1, "1"));
		stop_server();
		harness.reset();
	}
}

/* without the offer all end with EIO, soon, and a store that lives again is noticed. */
TEST_F(Link, ErrorFieldWithoutReconnection)
{
	start();
	auto value = read("a");
	ASSERT_EQ(next().payload, strings({ "a" }));
	page().error = XENSTORE_ERROR_PROTO;
	EXPECT_EQ(value.get().first, -XEN_EIO);
	EXPECT_EQ(read("b").get().first, -XEN_EIO);
	EXPECT_TRUE(harness->counts().dead);
	/* The toolstack introduces the domain once more. */
	page().req_prod = page().req_cons = page().rsp_prod = page().rsp_cons = 0;
	__atomic_store_n(&page().error, 0, __ATOMIC_SEQ_CST);
	ASSERT_TRUE(becomes("up"));
	auto again = read("c");
	peer().reply(next(), "2");
	EXPECT_EQ(again.get().second, "2");
}

/* the peer says that it reconnects. */
TEST_F(Link, ConnectionSetByThePeer)
{
	start();
	page().server_features = XENSTORE_SERVER_FEATURE_RECONNECTION;
	auto value = read("a");
	ASSERT_EQ(next().payload, strings({ "a" }));
	__atomic_store_n(&page().connection, XENSTORE_RECONNECT, __ATOMIC_SEQ_CST);
	ASSERT_TRUE(becomes("lost"));
	page().req_prod = page().req_cons = page().rsp_prod = page().rsp_cons = 0;
	__atomic_store_n(&page().connection, XENSTORE_CONNECTED, __ATOMIC_SEQ_CST);
	auto again = next();
	EXPECT_EQ(again.payload, strings({ "a" }));
	peer().reply(again, "1");
	EXPECT_EQ(value.get().second, "1");
}

/* Not offered, the field is no field. */
TEST_F(Link, ConnectionFieldThatIsNotOffered)
{
	start();
	page().connection = XENSTORE_RECONNECT;
	auto value = read("a");
	auto request = next();
	fake::advance(std::chrono::milliseconds(100));
	peer().reply(request, "1");
	EXPECT_EQ(value.get().second, "1");
	EXPECT_STREQ(harness->counts().link, "up");
	page().connection = XENSTORE_CONNECTED;
}

TEST_F(Link, StartWaitsForAConnectionThatIsBeingMade)
{
	harness.emplace(5000);
	page().connection = XENSTORE_RECONNECT;
	page().rsp_prod = 70000; /* nothing of it counts yet */
	fake::Thread toolstack([&] {
		fake::sleep_for(std::chrono::milliseconds(100));
		page().rsp_prod = 0;
		__atomic_store_n(&page().connection, XENSTORE_CONNECTED, __ATOMIC_SEQ_CST);
	});
	EXPECT_TRUE(harness->start().ok());
	toolstack.join();
}

TEST_F(Link, StartDoesNotWaitForEver)
{
	harness.emplace(5000);
	page().connection = XENSTORE_RECONNECT;
	EXPECT_EQ(harness->start().code(), -XEN_ETIMEDOUT);
}

/* Many tasks at work while the store starts afresh: each has its own answer. */
TEST_F(Link, ResetUnderLoad)
{
	start();
	page().server_features = XENSTORE_SERVER_FEATURE_RECONNECTION;
	server = fake::Thread([this] {
		std::string stream;
		unsigned int answered = 0;
		while (!stopping) {
			if (__atomic_load_n(&page().connection, __ATOMIC_SEQ_CST) == XENSTORE_RECONNECT) {
				stream.clear();
				page().req_prod = page().req_cons = page().rsp_prod = page().rsp_cons = 0;
				page().error = 0;
				resets++;
				__atomic_store_n(&page().connection, XENSTORE_CONNECTED, __ATOMIC_SEQ_CST);
			}
			std::uint32_t produced = __atomic_load_n(&page().req_prod, __ATOMIC_SEQ_CST);
			while (page().req_cons != produced)
				stream += page().req[MASK_XENSTORE_IDX(page().req_cons++)];
			xsd_sockmsg header = {};
			if (stream.size() >= sizeof(header))
				std::memcpy(&header, stream.data(), sizeof(header));
			if (stream.size() < sizeof(header) + header.len || page().error) {
				fake::sleep_for(std::chrono::microseconds(100));
				continue;
			}
			std::string key = stream.substr(sizeof(header), header.len - 1);
			stream.erase(0, sizeof(header) + header.len);
			if (++answered == 300)
				page().error = XENSTORE_ERROR_COMM;
			else
				peer().send_bytes(StorePeer::bytes_of(XS_READ, header.req_id, 0, "value of " + key));
		}
	});
	std::vector<fake::Future<unsigned int>> tasks;
	for (int task = 0; task < 8; task++)
		tasks.push_back(fake::async([task] {
			unsigned int good = 0;
			for (int i = 0; i < 100; i++) {
				std::string key = "key" + std::to_string(task) + "." + std::to_string(i);
				good += read(key).get().second == "value of " + key;
			}
			return good;
		}));
	for (auto &task : tasks)
		EXPECT_EQ(task.get(), 100u);
	EXPECT_EQ(resets, 1u);
	EXPECT_FALSE(harness->counts().dead);
}

/* Events of a store that has given up on us are a storm like any other. */
TEST_F(Link, EventsOfADeadStoreBringNothing)
{
	start(20000, 5000);
	page().error = XENSTORE_ERROR_PROTO;
	auto value = read("a");
	for (int i = 0; i < 1000 && !harness->counts().dead; i++)
		fake::advance(std::chrono::milliseconds(10));
	EXPECT_EQ(value.get().first, -XEN_EIO);
	EXPECT_FALSE(peer().ring());
}

/* A store that breaks every connection must not keep anybody waiting, nor us busy. */
TEST_F(Link, StoreThatBreaksEachConnection)
{
	start();
	offer_reconnection();
	auto value = read("a");
	ASSERT_EQ(next().payload, strings({ "a" }));
	page().error = 7;
	ASSERT_EQ(next().payload, strings({ "a" }));
	page().error = 7;
	EXPECT_EQ(value.get().first, -XEN_EIO);
	EXPECT_EQ(read("b").get().first, -XEN_EIO);
	fake::advance(std::chrono::milliseconds(200));
	EXPECT_EQ(resets, 1u);
}

TEST_F(Link, TransactionsAreLostWithTheConnection)
{
	start();
	auto transaction = begin("1");
	offer_reconnection();
	auto inside = read("a", transaction);
	EXPECT_EQ(next().header.tx_id, 1u);
	page().error = XENSTORE_ERROR_COMM;
	EXPECT_EQ(inside.get().first, -XEN_EAGAIN);
	ASSERT_TRUE(becomes("up"));
	/* The new connection has a transaction 1 too; it is another one. */
	auto other = begin("1");
	EXPECT_NE(other.value, transaction.value);
	EXPECT_EQ(xpv_store_write(transaction, "a", "1"), -XEN_EAGAIN);
	EXPECT_EQ(xpv_store_transaction_end(transaction, true), -XEN_EAGAIN);
	EXPECT_EQ(xpv_store_transaction_end(transaction, true), -XEN_ENOENT);
	auto end = fake::async([&] { return xpv_store_transaction_end(other, true); });
	auto request = next();
	EXPECT_EQ(request.header.tx_id, 1u);
	EXPECT_EQ(request.header.type, static_cast<unsigned int>(XS_TRANSACTION_END));
	peer().reply(request, strings({ "OK" }));
	EXPECT_EQ(end.get(), 0);
}

TEST_F(Link, TransactionStartsOverAfterALoss)
{
	start();
	offer_reconnection();
	auto done = fake::async([] {
		return in_transaction([](xpv_store_transaction id) { return status(xpv_store_write(id, "a", "1")); }).code();
	});
	peer().reply(next(), strings({ "1" }));
	ASSERT_EQ(next().header.type, static_cast<unsigned int>(XS_WRITE));
	page().error = XENSTORE_ERROR_COMM;
	auto start_again = next();
	EXPECT_EQ(start_again.header.type, static_cast<unsigned int>(XS_TRANSACTION_START));
	peer().reply(start_again, strings({ "1" }));
	peer().reply(next(), strings({ "OK" }));
	peer().reply(next(), strings({ "OK" }));
	EXPECT_EQ(done.get(), 0);
}

/* no transaction stays open because its start took too long. */
TEST_F(Link, LateTransactionIsDropped)
{
	start(100, 5000);
	xpv_store_transaction transaction;
	EXPECT_EQ(xpv_store_transaction_start(&transaction), -XEN_ETIMEDOUT);
	auto request = next();
	EXPECT_EQ(request.header.type, static_cast<unsigned int>(XS_TRANSACTION_START));
	peer().reply(request, strings({ "77" }));
	auto end = next();
	EXPECT_EQ(end.header.type, static_cast<unsigned int>(XS_TRANSACTION_END));
	EXPECT_EQ(end.header.tx_id, 77u);
	EXPECT_EQ(end.payload, strings({ "F" }));
	peer().reply(end, strings({ "OK" }));
}

TEST_F(Link, LateTransactionsAreBounded)
{
	start(20, 5000);
	for (unsigned int i = 0; i < ::Client::orphans_limit + 5; i++) {
		xpv_store_transaction transaction;
		EXPECT_EQ(xpv_store_transaction_start(&transaction), -XEN_ETIMEDOUT);
	}
	unsigned int started = 0;
	while (auto request = peer().receive(50)) {
		if (request->header.type == XS_TRANSACTION_START)
			peer().reply(*request, strings({ std::to_string(++started) }));
	}
	EXPECT_EQ(harness->counts().in_flight, 0u);
}

/* ---- A store that stops ---- */

TEST_F(Link, StallIsKickedAndLogged)
{
	start();
	auto value = read("a");
	for (int i = 0; i < 100 && !harness->counts().in_flight; i++)
		fake::advance(std::chrono::milliseconds(10));
	fake::take_log();
	fake::advance(std::chrono::milliseconds(300));
	auto lines = fake::take_log();
	/* After 1, 2, 4 and 8 looks, not after each. */
	EXPECT_GE(lines.size(), 2u);
	EXPECT_LE(lines.size(), 5u);
	ASSERT_FALSE(lines.empty());
	EXPECT_NE(lines[0].find("xenstored made no progress"), std::string::npos);
	EXPECT_NE(lines[0].find("1 requests in flight"), std::string::npos);
	EXPECT_NE(lines[0].find("error 0"), std::string::npos);
	peer().reply(next(), "late, but there");
	EXPECT_EQ(value.get().second, "late, but there");
	fake::advance(std::chrono::milliseconds(100));
	EXPECT_TRUE(logged("xenstored makes progress again"));
}

TEST_F(Link, LostEventIsFoundByTheWatchdog)
{
	start();
	fake::Promise<void> seen;
	xpv_store_watch *made = nullptr;
	auto done = fake::async([&] {
		return xpv_store_watch_register(
			"node",
			[](xpv_store_watch_context *context, const char *) {
				reinterpret_cast<fake::Promise<void> *>(context)->set_value();
			},
			reinterpret_cast<xpv_store_watch_context *>(&seen), &made);
	});
	auto request = next();
	std::string token = request.payload.substr(5, request.payload.size() - 6);
	peer().reply(request, strings({ "OK" }));
	EXPECT_EQ(done.get(), 0);
	/* Nobody waits for anything, and no event channel tells. */
	std::string bytes = StorePeer::bytes_of(XS_WATCH_EVENT, 0, 0, strings({ "node", token }));
	for (char byte : bytes)
		page().rsp[MASK_XENSTORE_IDX(page().rsp_prod++)] = byte;
	EXPECT_TRUE(seen.get_future().ready_in(std::chrono::seconds(5)));
	unwatch(made);
}

/* ---- Suspend ---- */

TEST_F(Link, PauseAndGoOn)
{
	start();
	auto before = read("a");
	auto request = next();
	auto pausing = fake::async([&] { return harness->store.client.pause(in_time()).code(); });
	EXPECT_FALSE(pausing.ready_in(std::chrono::milliseconds(50)));
	/* A loaded machine may start that task late. */
	auto during = read("b");
	for (auto early = peer().receive(100); early; early = peer().receive(100)) {
		peer().reply(*early, "early");
		EXPECT_EQ(during.get().second, "early");
		during = read("b");
	}
	peer().reply(request, "1");
	EXPECT_EQ(pausing.get(), 0);
	EXPECT_EQ(before.get().second, "1");
	/* The page is not touched. */
	auto snapshot = page();
	fake::advance(std::chrono::milliseconds(100));
	EXPECT_EQ(std::memcmp(&snapshot, &page(), sizeof(snapshot)), 0);
	harness->store.client.unpause();
	auto after = next();
	EXPECT_EQ(after.payload, strings({ "b" }));
	peer().reply(after, "2");
	EXPECT_EQ(during.get().second, "2");
}

TEST_F(Link, PauseThatTheStoreDoesNotAllow)
{
	start(60000, 5000);
	auto value = read("a");
	auto request = next();
	EXPECT_EQ(harness->store.client.pause(Deadline::after(200)).code(), -XEN_ETIMEDOUT);
	peer().reply(request, "1");
	EXPECT_EQ(value.get().second, "1");
	auto more = read("b");
	peer().reply(next(), "2");
	EXPECT_EQ(more.get().second, "2");
}

/* Another page, another store: all watches in one burst, then life goes on. */
TEST_F(Link, Restored)
{
	start();
	std::vector<xpv_store_watch *> watches;
	std::multiset<std::string> paths;
	for (int i = 0; i < 40; i++) {
		paths.insert("node" + std::to_string(i));
		watches.push_back(watch(("node" + std::to_string(i)).c_str()));
	}
	auto transaction = begin("1");
	ASSERT_TRUE(harness->store.client.pause(in_time()).ok());
	auto waiting = read("waiting");
	auto inside = read("inside", transaction);
	while (harness->counts().queued < 2)
		fake::advance(std::chrono::milliseconds(1));

	std::memset(&page(), 0xff, sizeof(page()));
	std::memset(&page().req_cons, 0, sizeof(page()) - 2 * XENSTORE_RING_SIZE);
	ASSERT_TRUE(harness->store.client.restart(&page()).ok());
	EXPECT_EQ(inside.get().first, -XEN_EAGAIN);
	auto request = next();
	EXPECT_EQ(request.payload, strings({ "waiting" }));
	/* As many as are allowed in flight, before any is answered. */
	std::vector<StorePeer::Message> burst;
	while (burst.size() < ::Client::in_flight_limit - 1)
		burst.push_back(next());
	peer().reply(request, "1");
	EXPECT_EQ(waiting.get().second, "1");
	std::multiset<std::string> registered;
	for (std::size_t i = 0; i < 40; i++) {
		if (i == burst.size())
			burst.push_back(next());
		EXPECT_EQ(burst[i].header.type, static_cast<unsigned int>(XS_WATCH));
		registered.insert(burst[i].payload.substr(0, burst[i].payload.find('\0')));
		peer().reply(burst[i], strings({ "OK" }));
	}
	EXPECT_EQ(registered, paths);
	EXPECT_EQ(xpv_store_transaction_end(transaction, false), -XEN_EAGAIN);
	for (auto *made : watches)
		unwatch(made);
}

TEST_F(Link, RestoredWithoutAStore)
{
	start();
	ASSERT_TRUE(harness->store.client.pause(in_time()).ok());
	auto waiting = read("waiting");
	while (harness->counts().queued < 1)
		fake::advance(std::chrono::milliseconds(1));
	page().error = XENSTORE_ERROR_COMM;
	EXPECT_EQ(harness->store.client.restart(&page()).code(), -XEN_EIO);
	EXPECT_EQ(waiting.get().first, -XEN_EIO);
	__atomic_store_n(&page().error, 0, __ATOMIC_SEQ_CST);
	ASSERT_TRUE(becomes("up"));
	auto value = read("a");
	peer().reply(next(), "1");
	EXPECT_EQ(value.get().second, "1");
}

/* One that the store refuses is tried again; its user is told to look, since no event comes. */
TEST_F(Link, RefusedAtTheBurst)
{
	start();
	std::atomic<unsigned int> calls = 0;
	xpv_store_watch *made = nullptr;
	auto done = fake::async([&] {
		return xpv_store_watch_register(
			"node",
			[](xpv_store_watch_context *context, const char *) {
				(*reinterpret_cast<std::atomic<unsigned int> *>(context))++;
			},
			reinterpret_cast<xpv_store_watch_context *>(&calls), &made);
	});
	peer().reply(next(), strings({ "OK" }));
	EXPECT_EQ(done.get(), 0);
	ASSERT_TRUE(harness->store.client.pause(in_time()).ok());
	ASSERT_TRUE(harness->store.client.restart(&page()).ok());
	peer().reply_error(next(), "ENOSPC");
	for (int i = 0; i < 500 && calls == 0; i++)
		fake::advance(std::chrono::milliseconds(10));
	EXPECT_EQ(calls, 1u);
	EXPECT_FALSE(xpv_store_watch_registered(made)) << "its owner polls";
	auto again = next();
	EXPECT_EQ(again.header.type, static_cast<unsigned int>(XS_WATCH));
	EXPECT_FALSE(xpv_store_watch_registered(made)) << "there is no answer yet";
	peer().reply(again, strings({ "OK" }));
	for (int i = 0; i < 500 && !xpv_store_watch_registered(made); i++)
		fake::advance(std::chrono::milliseconds(10));
	EXPECT_TRUE(xpv_store_watch_registered(made));
	unwatch(made);
}

/*
 * C1: the watches of /dev/xen/xenbus have no callback. Each of them gets the
 * event that stands for the missed ones, the same way as any other event.
 */
TEST_F(Link, RefusedAtTheBurstWithoutACallback)
{
	start();
	fake::Promise<std::string> told;
	auto adding = fake::async([&] {
		return harness->store.watches
			.add("node", nullptr, reinterpret_cast<xpv_store_watch_context *>(&told), nullptr,
			     [](xpv_store_watch_context *context, std::string_view path) {
				     reinterpret_cast<fake::Promise<std::string> *>(context)->set_value(std::string(path));
			     })
			.value();
	});
	peer().reply(next(), strings({ "OK" }));
	xpv_store_watch *made = adding.get();
	ASSERT_TRUE(harness->store.client.pause(in_time()).ok());
	ASSERT_TRUE(harness->store.client.restart(&page()).ok());
	peer().reply_error(next(), "ENOSPC");
	EXPECT_EQ(told.get_future().get(), "node");
	peer().reply(next(), strings({ "OK" }));
	unwatch(made);
}

TEST_F(Link, WatchBeingRegisteredAtALoss)
{
	start();
	offer_reconnection();
	xpv_store_watch *made = nullptr;
	auto done = fake::async([&] { return xpv_store_watch_register("node", nothing, nullptr, &made); });
	ASSERT_EQ(next().header.type, static_cast<unsigned int>(XS_WATCH));
	page().error = XENSTORE_ERROR_COMM;
	/* From the burst and from the caller, in whatever order. */
	auto one = next();
	auto other = next();
	EXPECT_EQ(one.payload, other.payload);
	peer().reply(one, strings({ "OK" }));
	peer().reply_error(other, "EEXIST");
	EXPECT_EQ(done.get(), 0);
	unwatch(made);
}

/* C12: whatever else waits for xenstored, and takes all workers for that, the watchdog does not. */
TEST_F(Link, WatchdogRunsWhileARegistrationIsStuck)
{
	start(60000);
	offer_reconnection();
	xpv_store_watch *made = watch("node");
	fake::only_rescuers(true);
	ASSERT_TRUE(harness->store.client.pause(in_time()).ok());
	ASSERT_TRUE(harness->store.client.restart(&page()).ok());
	ASSERT_EQ(next().header.type, static_cast<unsigned int>(XS_WATCH));
	/* Not answered, and then the connection is lost; not so soon after the last that it may not be made again. */
	fake::advance(std::chrono::seconds(11));
	page().error = XENSTORE_ERROR_COMM;
	EXPECT_TRUE(fake::eventually([&] { return resets == 1; }, std::chrono::seconds(2)));
	for (int i = 0; i < 10 && !xpv_store_watch_registered(made); i++)
		if (auto again = peer().receive(1000))
			peer().reply(*again, strings({ "OK" }));
	EXPECT_TRUE(xpv_store_watch_registered(made));
	fake::only_rescuers(false);
	unwatch(made);
}

} // namespace
