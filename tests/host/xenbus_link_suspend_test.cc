// SPDX-License-Identifier: GPL-2.0-only
/* The connection pauses for a suspend; after a restore another xenstored gets all watches again. */
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/host/xenbus_link_fixture.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

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
	while (burst.size() < Client::in_flight_limit - 1)
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
	clear_error();
}

/* One that the store refuses is tried again; its user gets a change of its own path, since no event comes. */
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
	peer().reply_error(next(), "E2BIG");
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
 * The watches of /dev/xen/xenbus have no callback. Each of them gets the
 * event that stands for the missed ones, the same way as any other event.
 */
TEST_F(Link, RefusedAtTheBurstWithoutACallback)
{
	start();
	fake::Promise<std::string> changed;
	auto adding = fake::async([&] {
		return harness->store.watches
			.add("node", nullptr, reinterpret_cast<xpv_store_watch_context *>(&changed), nullptr,
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
	EXPECT_EQ(changed.get_future().get(), "node");
	peer().reply(next(), strings({ "OK" }));
	unwatch(made);
}

} // namespace
