/* SPDX-License-Identifier: GPL-2.0-only */
/* The store client's connection to a xenstored that a test plays by hand, and that can start afresh. */
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/xenbus_store_peer.hh"

namespace xpv_test {

using namespace xpv;

using Answer = std::pair<int, std::string>;

inline fake::Future<Answer> read(std::string path, xpv_store_transaction transaction = XPV_STORE_NO_TRANSACTION)
{
	return fake::async([=] {
		char value[64];
		int result = xpv_store_read(transaction, path.c_str(), value, sizeof(value));
		return Answer(result, result > 0 ? std::string(value, static_cast<std::size_t>(result)) : "");
	});
}

inline Deadline in_time()
{
	return Deadline::after(20000);
}

inline void nothing(xpv_store_watch_context *, const char *)
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
	/* Clear the error as the store does. The connection is up again, and serves. */
	void clear_error()
	{
		__atomic_store_n(&page().error, 0, __ATOMIC_SEQ_CST);
		ASSERT_TRUE(becomes("up"));
		auto value = read("served");
		peer().reply(next(), "1");
		EXPECT_EQ(value.get().second, "1");
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

} // namespace xpv_test
