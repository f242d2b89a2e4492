// SPDX-License-Identifier: GPL-2.0-only
/* The store client registers watches, calls their owners back, and removes them. */
#include <gtest/gtest.h>

#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/host/xenbus_client_fixture.hh"

namespace {

using namespace xpv;
using xpv_test::Client;

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
	/* Register a watch, and wait until its first callback runs. The callback ends when `hold` is set. */
	xpv_store_watch *watch_in_callback(Seen &seen, std::string &token, fake::Promise<void> &hold)
	{
		seen.hold = &hold;
		xpv_store_watch *made = watch(seen, token);
		peer().event("node", token);
		EXPECT_TRUE(seen.wait(1));
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

/*
 * Case 22 (XSA-349 is the same for backends). 10,000 events come for one watch
 * while its callback runs. A client that queues each runs out of memory. They
 * must be merged into one pending call, with the last path, for one more
 * allocation at most.
 */
TEST_F(Watches, AFloodIsOnePendingCall)
{
	start();
	Seen seen;
	fake::Promise<void> hold;
	std::string token;
	auto *made = watch_in_callback(seen, token, hold);
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

/*
 * Cases 28 to 30. Events have tokens of no watch, no token, one string too
 * many, or no body. A client that uses a token unchecked calls a function that
 * is not there, and one that expects two strings reads beyond the message. Each
 * must be dropped, those that are malformed counted, and no callback run.
 */
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
	std::string token;
	auto *made = watch_in_callback(seen, token, hold);
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
