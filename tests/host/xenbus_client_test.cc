// SPDX-License-Identifier: GPL-2.0-only
/* The store client against a store that the test plays by hand. */
#include <gtest/gtest.h>

#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/xenbus_store_fake.hh"
#include "xenbus/transaction.hh"

using namespace xpv;

namespace {

class Client : public testing::Test {
protected:
	void SetUp() override
	{
		allocations = fake::live_allocations();
		fake::take_log();
	}
	void TearDown() override
	{
		harness.reset();
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(fake::live_threads(), 0u);
	}
	void start(unsigned int timeout_ms = 60000)
	{
		harness.emplace(timeout_ms);
		ASSERT_TRUE(harness->start().ok());
	}
	StorePeer &peer() { return harness->peer; }

	static fake::Future<std::pair<int, std::string>> read(std::string path, std::size_t size = 64)
	{
		return fake::async([=] {
			std::string value(size, 0);
			int result = xpv_store_read(XPV_STORE_NO_TRANSACTION, path.c_str(), value.data(), size);
			value.resize(result > 0 ? static_cast<std::size_t>(result) : 0);
			return std::pair(result, value);
		});
	}

	std::optional<StoreHarness> harness;
	std::size_t allocations = 0;
};

using Answer = std::pair<int, std::string>;

TEST_F(Client, ReadsAValue)
{
	start();
	auto value = read("domid");
	auto request = peer().receive();
	ASSERT_TRUE(request);
	EXPECT_EQ(request->header.type, static_cast<unsigned int>(XS_READ));
	EXPECT_EQ(request->header.tx_id, 0u);
	EXPECT_EQ(request->payload, strings({ "domid" }));
	peer().reply(*request, "17");
	EXPECT_EQ(value.get(), Answer(2, "17"));
	EXPECT_EQ(harness->counts().answered, 1u);
}

TEST_F(Client, TellsEventsThatBringNothing)
{
	start();
	auto value = read("domid");
	auto request = peer().receive(); /* rings when it has read */
	ASSERT_TRUE(request);
	EXPECT_FALSE(peer().ring());
	peer().reply(*request, "17"); /* rings too */
	EXPECT_EQ(value.get(), Answer(2, "17"));
	EXPECT_FALSE(peer().ring());
	peer().page.rsp_prod++;
	EXPECT_TRUE(peer().ring());
	EXPECT_FALSE(peer().ring());
	peer().page.rsp_prod--;
}

TEST_F(Client, PassesErrorsOn)
{
	start();
	auto value = read("nothing");
	peer().reply_error(*peer().receive(), "ENOENT");
	EXPECT_EQ(value.get().first, -XEN_ENOENT);
}

TEST_F(Client, ValueMustFit)
{
	start();
	auto fits = read("a", 33);
	peer().reply(*peer().receive(), std::string(32, 'x'));
	EXPECT_EQ(fits.get().first, 32);
	auto tight = read("a", 32);
	peer().reply(*peer().receive(), std::string(32, 'x'));
	EXPECT_EQ(tight.get().first, -XEN_EMSGSIZE);
	auto far = read("a", 8);
	peer().reply(*peer().receive(), std::string(4096, 'x'));
	EXPECT_EQ(far.get().first, -XEN_EMSGSIZE);
}

TEST_F(Client, RefusesWhatTheProtocolCannotCarry)
{
	start();
	std::string long_path(2049, 'a');
	EXPECT_EQ(read(long_path).get().first, -XEN_EINVAL);
	EXPECT_EQ(read("").get().first, -XEN_EINVAL);
	std::string large(4096, 'v');
	EXPECT_EQ(xpv_store_write(XPV_STORE_NO_TRANSACTION, "a", large.c_str()), -XEN_E2BIG);
}

TEST_F(Client, AnswersOutOfOrder)
{
	start();
	std::vector<fake::Future<Answer>> values;
	for (int i = 0; i < 8; i++)
		values.push_back(read("key" + std::to_string(i)));
	std::vector<StorePeer::Message> requests;
	for (int i = 0; i < 8; i++)
		requests.push_back(*peer().receive());
	for (int i = 7; i >= 0; i--)
		peer().reply(requests[i], "value of " + std::string(requests[i].payload.c_str()));
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(values[i].get().second, "value of key" + std::to_string(i));
}

TEST_F(Client, NoMoreThan16InFlight)
{
	start();
	std::vector<fake::Future<Answer>> values;
	for (int i = 0; i < 40; i++)
		values.push_back(read("k"));
	std::vector<StorePeer::Message> requests;
	for (int i = 0; i < 16; i++)
		requests.push_back(*peer().receive());
	EXPECT_FALSE(peer().receive(100));
	EXPECT_EQ(harness->counts().in_flight, 16u);
	for (int i = 0; i < 40; i++) {
		peer().reply(requests[i], "v");
		if (i < 24)
			requests.push_back(*peer().receive());
	}
	for (auto &value : values)
		EXPECT_EQ(value.get(), Answer(1, "v"));
	EXPECT_EQ(harness->counts().in_flight, 0u);
}

TEST_F(Client, LargeMessagesThroughTheSmallRing)
{
	start();
	std::string value(4000, 'q');
	auto written = fake::async([&] { return xpv_store_write(XPV_STORE_NO_TRANSACTION, "big", value.c_str()); });
	auto request = peer().receive();
	ASSERT_TRUE(request);
	EXPECT_EQ(request->payload, strings({ "big" }) + value);
	peer().reply(*request, strings({ "OK" }));
	EXPECT_EQ(written.get(), 0);

	auto got = read("big", 4097);
	peer().reply(*peer().receive(), std::string(4096, 'r'));
	EXPECT_EQ(got.get(), Answer(4096, std::string(4096, 'r')));
}

TEST_F(Client, UnknownAndDuplicateAnswersAreDropped)
{
	start();
	auto value = read("a");
	auto request = *peer().receive();
	peer().send_bytes(StorePeer::bytes_of(XS_READ, request.header.req_id + 1000, 0, "wrong"));
	peer().reply(request, "right");
	EXPECT_EQ(value.get().second, "right");
	peer().reply(request, "again");
	EXPECT_EQ(harness->counts().dropped, 2u);
	EXPECT_FALSE(harness->counts().dead);
}

TEST_F(Client, AnswerOfAnotherType)
{
	start();
	auto value = read("a");
	auto request = *peer().receive();
	request.header.type = XS_WRITE;
	peer().reply(request, "x");
	EXPECT_EQ(value.get().first, -XEN_EIO);
	EXPECT_FALSE(harness->counts().dead);
}

TEST_F(Client, LateAnswerIsDropped)
{
	start(150);
	auto value = read("slow");
	auto request = *peer().receive();
	EXPECT_EQ(value.get().first, -XEN_ETIMEDOUT);
	peer().reply(request, "too late");
	EXPECT_EQ(harness->counts().timed_out, 1u);
	EXPECT_EQ(harness->counts().dropped, 1u);
	auto next = read("b");
	peer().reply(*peer().receive(), "fine");
	EXPECT_EQ(next.get().second, "fine");
}

TEST_F(Client, TimeOutHalfWrittenFinishesTheMessage)
{
	start(150);
	std::string value(3000, 'h');
	/* Nobody reads: 1024 bytes are in the ring when the time is up. */
	EXPECT_EQ(xpv_store_write(XPV_STORE_NO_TRANSACTION, "half", value.c_str()), -XEN_ETIMEDOUT);
	harness->store.client.set_timeout(10000);
	auto next = read("after");
	auto first = peer().receive();
	ASSERT_TRUE(first);
	EXPECT_EQ(first->payload, strings({ "half" }) + value);
	auto second = peer().receive();
	ASSERT_TRUE(second);
	EXPECT_EQ(second->payload, strings({ "after" }));
	peer().reply(*first, strings({ "OK" }));
	peer().reply(*second, "ok");
	EXPECT_EQ(next.get().second, "ok");
}

TEST_F(Client, TimedOutInTheQueueIsNeverSent)
{
	start(200);
	std::vector<fake::Future<Answer>> values;
	for (int i = 0; i < 20; i++)
		values.push_back(read("k"));
	for (auto &value : values)
		EXPECT_EQ(value.get().first, -XEN_ETIMEDOUT);
	EXPECT_EQ(harness->counts().in_flight, 0u);
	EXPECT_EQ(harness->counts().queued, 0u);
	while (auto request = peer().receive(50))
		peer().reply(*request, "late");
}

TEST_F(Client, MalformedMessageKillsTheConnection)
{
	start();
	auto first = read("a");
	peer().reply(*peer().receive(), "1");
	EXPECT_EQ(first.get().second, "1");

	auto waiting = read("b");
	auto also = read("c");
	ASSERT_TRUE(peer().receive());
	ASSERT_TRUE(peer().receive());
	fake::take_log();
	xsd_sockmsg bad = { XS_READ, 1, 0, 5000 };
	peer().send_bytes(std::string(reinterpret_cast<char *>(&bad), sizeof(bad)));
	EXPECT_EQ(waiting.get().first, -XEN_EIO);
	EXPECT_EQ(also.get().first, -XEN_EIO);
	EXPECT_EQ(read("d").get().first, -XEN_EIO);
	EXPECT_TRUE(harness->counts().dead);
	EXPECT_EQ(fake::take_log().size(), 1u);
}

TEST_F(Client, BadIndicesKillTheConnection)
{
	start();
	auto waiting = read("b");
	ASSERT_TRUE(peer().receive());
	peer().page.rsp_prod += 2000;
	peer().ring();
	EXPECT_EQ(waiting.get().first, -XEN_EIO);
	EXPECT_TRUE(harness->counts().dead);
}

TEST_F(Client, ErrorFieldIsLookedAtOnTimeOut)
{
	start(100);
	auto waiting = read("b");
	ASSERT_TRUE(peer().receive());
	peer().page.error = XENSTORE_ERROR_PROTO;
	EXPECT_EQ(waiting.get().first, -XEN_EIO);
	EXPECT_EQ(read("c").get().first, -XEN_EIO);
}

TEST_F(Client, LostEventIsFoundByTheWaiter)
{
	start(300);
	auto value = read("b");
	auto request = *peer().receive();
	std::string bytes = StorePeer::bytes_of(XS_READ, request.header.req_id, 0, "here");
	std::memcpy(peer().page.rsp + peer().page.rsp_prod, bytes.data(), bytes.size());
	__atomic_store_n(&peer().page.rsp_prod, peer().page.rsp_prod + bytes.size(), __ATOMIC_SEQ_CST);
	EXPECT_EQ(value.get().second, "here");
}

TEST_F(Client, StartsWithWhatAnEarlierLoadLeft)
{
	harness.emplace(5000);
	auto &page = peer().page;
	page.req_prod = page.req_cons = 0xffffffe0;
	page.rsp_prod = page.rsp_cons = 500;
	/* A whole answer to somebody else, unread. */
	std::string stale = StorePeer::bytes_of(XS_READ, 42, 0, "stale");
	for (char byte : stale)
		page.rsp[MASK_XENSTORE_IDX(page.rsp_prod++)] = byte;
	ASSERT_TRUE(harness->start().ok());
	auto value = read("a");
	auto request = *peer().receive();
	peer().reply(request, "fresh");
	EXPECT_EQ(value.get().second, "fresh");
	EXPECT_EQ(harness->counts().dropped, 1u);
}

TEST_F(Client, StartsWithTheTailOfAMessage)
{
	harness.emplace(5000);
	for (char byte : std::string("the rest of some payload, no header"))
		peer().page.rsp[peer().page.rsp_prod++] = byte;
	ASSERT_TRUE(harness->start().ok());
	peer().ring();
	auto value = read("a");
	auto request = *peer().receive();
	peer().reply(request, "fresh");
	EXPECT_EQ(value.get().second, "fresh");
}

TEST_F(Client, ReconnectsAtStartWhereTheStoreCan)
{
	harness.emplace(5000);
	auto &page = peer().page;
	page.server_features = XENSTORE_SERVER_FEATURE_RECONNECTION;
	page.req_prod = 5; /* half a request */
	fake::Thread server([&] {
		while (__atomic_load_n(&page.connection, __ATOMIC_SEQ_CST) != XENSTORE_RECONNECT)
			std::this_thread::yield();
		page.req_prod = page.req_cons = page.rsp_prod = page.rsp_cons = 0;
		__atomic_store_n(&page.connection, XENSTORE_CONNECTED, __ATOMIC_SEQ_CST);
	});
	EXPECT_TRUE(harness->start().ok());
	server.join();
	auto value = read("a");
	peer().reply(*peer().receive(), "1");
	EXPECT_EQ(value.get().second, "1");
}

TEST_F(Client, RefusesABrokenRing)
{
	harness.emplace(5000);
	peer().page.rsp_prod = 5000;
	EXPECT_FALSE(harness->start().ok());
	harness.reset();
	harness.emplace(5000);
	peer().page.error = 1;
	EXPECT_FALSE(harness->start().ok());
}

TEST_F(Client, LoadsManyTimesOverOnePage)
{
	harness.emplace(5000);
	for (int load = 0; load < 50; load++) {
		Store store;
		peer().connect(store.client);
		ASSERT_TRUE(store.watches.start().ok());
		ASSERT_TRUE(store.client.start(&peer().page, peer().doorbell(), store.watches.sink()).ok());
		set_store(&store);
		auto value = read("load");
		peer().reply(*peer().receive(), std::to_string(load));
		EXPECT_EQ(value.get().second, std::to_string(load));
		store.client.stop();
		store.watches.stop();
	}
	peer().connect(harness->store.client);
}

TEST_F(Client, ManyReadsAreOneRoundTrip)
{
	start();
	char a[8], b[8], c[8];
	xpv_store_read_item items[] = { { "a", a, 8, 0 }, { "b", b, 8, 0 }, { "c", c, 8, 0 } };
	auto done = fake::async([&] { return xpv_store_read_many(XPV_STORE_NO_TRANSACTION, items, 3); });
	StorePeer::Message requests[3];
	for (auto &request : requests)
		request = *peer().receive();
	peer().reply(requests[2], "3");
	peer().reply_error(requests[1], "ENOENT");
	peer().reply(requests[0], "1");
	EXPECT_EQ(done.get(), 0);
	EXPECT_STREQ(a, "1");
	EXPECT_EQ(items[1].result, -XEN_ENOENT);
	EXPECT_STREQ(c, "3");
}

TEST_F(Client, ManyWritesKeepTheirOrder)
{
	start();
	std::vector<xpv_store_write_item> items(40, { "key", "value", 0 });
	auto done = fake::async([&] { return xpv_store_write_many(XPV_STORE_NO_TRANSACTION, items.data(), 40); });
	std::uint32_t last = 0;
	for (int i = 0; i < 40; i++) {
		auto request = *peer().receive();
		EXPECT_TRUE(i == 0 || request.header.req_id - last < 1000);
		last = request.header.req_id;
		i == 30 ? peer().reply_error(request, "EACCES") : peer().reply(request, strings({ "OK" }));
	}
	EXPECT_EQ(done.get(), -XEN_EACCES);
	EXPECT_EQ(items[29].result, 0);
	EXPECT_EQ(items[30].result, -XEN_EACCES);
}

TEST_F(Client, DirectoryInParts)
{
	start();
	char *names = nullptr;
	size_t length = 0;
	auto done = fake::async([&] { return xpv_store_directory(XPV_STORE_NO_TRANSACTION, "many", &names, &length); });
	peer().reply_error(*peer().receive(), "E2BIG");
	auto first = *peer().receive();
	EXPECT_EQ(first.header.type, static_cast<unsigned int>(XS_DIRECTORY_PART));
	EXPECT_EQ(first.payload, strings({ "many", "0" }));
	peer().reply(first, strings({ "7", "one", "two" }));
	/* Changed meanwhile: from the beginning. */
	auto second = *peer().receive();
	EXPECT_EQ(second.payload, strings({ "many", "8" }));
	peer().reply(second, strings({ "8", "three", "" }));
	peer().reply(*peer().receive(), strings({ "8", "one", "two" }));
	peer().reply(*peer().receive(), strings({ "8", "three", "" }));
	EXPECT_EQ(done.get(), 0);
	EXPECT_EQ(std::string(names, length), strings({ "one", "two", "three" }));
	xpv_free(names);
}

TEST_F(Client, DirectoryThatNeverEnds)
{
	start();
	char *names = nullptr;
	size_t length = 0;
	auto done = fake::async([&] { return xpv_store_directory(XPV_STORE_NO_TRANSACTION, "many", &names, &length); });
	peer().reply_error(*peer().receive(), "E2BIG");
	std::string part = strings({ "1" });
	for (int i = 0; i < 1000; i++)
		part += strings({ "abc" });
	while (!done.ready())
		if (auto request = peer().receive(50))
			peer().reply(*request, part);
	EXPECT_EQ(done.get(), -XEN_E2BIG);
}

TEST_F(Client, TransactionsAreTriedAgainButNotForEver)
{
	start();
	unsigned int runs = 0;
	auto done = fake::async([&] {
		return in_transaction([&](xpv_store_transaction id) {
			       runs++;
			       return status(xpv_store_write(id, "a", "1"));
		       })
			.code();
	});
	for (std::uint32_t i = 1; i <= transaction_attempts; i++) {
		auto begin = *peer().receive();
		EXPECT_EQ(begin.header.type, static_cast<unsigned int>(XS_TRANSACTION_START));
		peer().reply(begin, strings({ std::to_string(i) }));
		auto write = *peer().receive();
		EXPECT_EQ(write.header.tx_id, i);
		peer().reply(write, strings({ "OK" }));
		auto end = *peer().receive();
		EXPECT_EQ(end.payload, strings({ "T" }));
		peer().reply_error(end, "EAGAIN");
	}
	EXPECT_EQ(done.get(), -XEN_EAGAIN);
	EXPECT_EQ(runs, transaction_attempts);
}

TEST_F(Client, FailedTransactionIsDropped)
{
	start();
	auto done = fake::async([&] {
		return in_transaction([&](xpv_store_transaction id) { return status(xpv_store_write(id, "a", "1")); }).code();
	});
	peer().reply(*peer().receive(), strings({ "9" }));
	peer().reply_error(*peer().receive(), "EACCES");
	auto end = *peer().receive();
	EXPECT_EQ(end.payload, strings({ "F" }));
	EXPECT_EQ(end.header.tx_id, 9u);
	peer().reply(end, strings({ "OK" }));
	EXPECT_EQ(done.get(), -XEN_EACCES);
}

TEST_F(Client, NonsenseTransactionIds)
{
	start();
	for (std::string id : { "", "0", "abc", "99999999999", "-1" }) {
		auto done = fake::async([] {
			xpv_store_transaction transaction;
			return xpv_store_transaction_start(&transaction);
		});
		peer().reply(*peer().receive(), strings({ id }));
		EXPECT_EQ(done.get(), -XEN_EIO) << id;
	}
}

TEST_F(Client, OutOfMemoryIsAnError)
{
	start();
	fake::fail_allocation(1);
	EXPECT_EQ(read("a").get().first, -XEN_ENOMEM);
	xpv_store_read_item item = { "a", nullptr, 0, 0 };
	fake::fail_allocation(1);
	EXPECT_EQ(xpv_store_read_many(XPV_STORE_NO_TRANSACTION, &item, 1), -XEN_ENOMEM);
	fake::fail_allocation(2);
	EXPECT_EQ(xpv_store_read_many(XPV_STORE_NO_TRANSACTION, &item, 1), -XEN_ENOMEM);
}

/* ---- Watches ---- */

struct Seen {
	std::mutex mutex;
	fake::Condition changed;
	std::vector<std::string> paths;
	fake::Promise<void> *hold = nullptr;

	static void callback(xpv_store_watch_context *context, const char *path)
	{
		auto *seen = reinterpret_cast<Seen *>(context);
		fake::Promise<void> *hold;
		{
			std::lock_guard guard(seen->mutex);
			seen->paths.push_back(path);
			hold = std::exchange(seen->hold, nullptr);
		}
		seen->changed.notify_all();
		if (hold)
			hold->get_future().wait();
	}
	bool wait(std::size_t count)
	{
		std::unique_lock guard(mutex);
		return changed.wait_for(guard, std::chrono::seconds(5), [&] { return paths.size() >= count; });
	}
	std::size_t count()
	{
		std::lock_guard guard(mutex);
		return paths.size();
	}
	xpv_store_watch_context *context() { return reinterpret_cast<xpv_store_watch_context *>(this); }
};

class Watches : public Client {
protected:
	/* Registers a watch; `token` is what the client gave it. */
	xpv_store_watch *watch(Seen &seen, std::string &token, const char *path = "node")
	{
		xpv_store_watch *made = nullptr;
		auto done = fake::async([&] {
			return xpv_store_watch_register(path, Seen::callback, seen.context(), &made);
		});
		auto request = *peer().receive();
		EXPECT_EQ(request.header.type, static_cast<unsigned int>(XS_WATCH));
		token = request.payload.substr(std::strlen(path) + 1);
		token.pop_back();
		peer().reply(request, strings({ "OK" }));
		EXPECT_EQ(done.get(), 0);
		return made;
	}
	void unwatch(xpv_store_watch *made)
	{
		xpv_store_watch_unregister(made);
		auto request = *peer().receive();
		EXPECT_EQ(request.header.type, static_cast<unsigned int>(XS_UNWATCH));
		peer().reply(request, strings({ "OK" }));
	}
};

TEST_F(Watches, CallsBackWithThePath)
{
	start();
	Seen seen;
	std::string token;
	auto *made = watch(seen, token);
	EXPECT_EQ(harness->counts().watches, 1u);
	peer().event("node/below", token);
	ASSERT_TRUE(seen.wait(1));
	EXPECT_EQ(seen.paths[0], "node/below");
	unwatch(made);
	EXPECT_EQ(harness->counts().watches, 0u);
}

TEST_F(Watches, AFloodIsOnePendingCall)
{
	start();
	Seen seen;
	fake::Promise<void> hold;
	seen.hold = &hold;
	std::string token;
	auto *made = watch(seen, token);
	peer().event("first", token);
	ASSERT_TRUE(seen.wait(1));
	std::size_t before = fake::live_allocations();
	for (int i = 0; i < 10000; i++)
		peer().event("flood" + std::to_string(i), token);
	EXPECT_LE(fake::live_allocations(), before + 1);
	hold.set_value();
	ASSERT_TRUE(seen.wait(2));
	fake::advance(std::chrono::milliseconds(50));
	EXPECT_EQ(seen.count(), 2u);
	EXPECT_EQ(seen.paths[1], "flood9999");
	unwatch(made);
}

TEST_F(Watches, ForeignAndMalformedEventsAreDropped)
{
	start();
	Seen seen;
	std::string token;
	auto *made = watch(seen, token);
	peer().event("node", "12345678");
	peer().event("node", "not hexadecimal");
	peer().event("node", "");
	peer().send_bytes(StorePeer::bytes_of(XS_WATCH_EVENT, 0, 0, strings({ "node" })));
	peer().send_bytes(StorePeer::bytes_of(XS_WATCH_EVENT, 0, 0, strings({ "node", token, "more" })));
	peer().send_bytes(StorePeer::bytes_of(XS_WATCH_EVENT, 0, 0, ""));
	fake::advance(std::chrono::milliseconds(50));
	EXPECT_EQ(seen.count(), 0u);
	EXPECT_EQ(harness->counts().dropped, 3u);
	unwatch(made);
	/* And one whose watch is gone. */
	peer().event("node", token);
	fake::advance(std::chrono::milliseconds(50));
	EXPECT_EQ(seen.count(), 0u);
}

TEST_F(Watches, UnregisterWaitsForTheCallback)
{
	start();
	Seen seen;
	fake::Promise<void> hold;
	seen.hold = &hold;
	std::string token;
	auto *made = watch(seen, token);
	peer().event("node", token);
	ASSERT_TRUE(seen.wait(1));
	peer().event("node", token); /* pending, and not to be delivered */
	auto gone = fake::async([&] { xpv_store_watch_unregister(made); });
	EXPECT_FALSE(gone.ready_in(std::chrono::milliseconds(100)));
	hold.set_value();
	gone.get();
	EXPECT_EQ(seen.count(), 1u);
	peer().reply(*peer().receive(), strings({ "OK" }));
}

TEST_F(Watches, UnregisterFromAnotherWatchsCallback)
{
	start();
	Seen other;
	std::string other_token;
	static xpv_store_watch *victim;
	victim = watch(other, other_token, "other");
	xpv_store_watch *made = nullptr;
	static fake::Promise<void> unregistered;
	auto done = fake::async([&] {
		return xpv_store_watch_register(
			"node",
			[](xpv_store_watch_context *, const char *) {
				xpv_store_watch_unregister(std::exchange(victim, nullptr));
				unregistered.set_value();
			},
			nullptr, &made);
	});
	auto request = *peer().receive();
	peer().reply(request, strings({ "OK" }));
	EXPECT_EQ(done.get(), 0);
	std::string token = request.payload.substr(5);
	token.pop_back();
	peer().event("node", token);
	unregistered.get_future().wait();
	peer().reply(*peer().receive(), strings({ "OK" }));
	unwatch(made);
}

TEST_F(Watches, RefusedWatchIsGone)
{
	start();
	Seen seen;
	xpv_store_watch *made = nullptr;
	auto done = fake::async([&] { return xpv_store_watch_register("node", Seen::callback, seen.context(), &made); });
	peer().reply_error(*peer().receive(), "ENOSPC");
	EXPECT_EQ(done.get(), -XEN_ENOSPC);
	EXPECT_EQ(harness->counts().watches, 0u);
	peer().receive(100);
}

} // namespace
