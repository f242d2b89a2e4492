// SPDX-License-Identifier: GPL-2.0-only
/* A xenstored that does not answer is logged, kicked and watched. */
#include <gtest/gtest.h>

#include <string>

#include "tests/host/xenbus_link_fixture.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

/* The first here: such lines are limited. */
TEST_F(Link, UnansweredRequestIsNamed)
{
	start(100, 5000);
	fake::take_log();
	EXPECT_EQ(read("device/vbd/51712").get().first, -XEN_ETIMEDOUT);
	auto lines = fake::take_log();
	ASSERT_EQ(lines.size(), 1u);
	EXPECT_NE(lines[0].find("no reply from xenstored to XS_READ device/vbd/51712 for"), std::string::npos);
	peer().receive(100);
}

/*
 * Case 32. xenstored does not answer. A client that waits in silence leaves the
 * administrator without a cause, and one that logs each look fills the log. The
 * stall must be logged a few times, at growing intervals, and its end too; the
 * request gets its reply.
 */
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

/*
 * Case 18. A watch event is in the ring, without an event on the port, and no
 * task waits for a reply. A client that reads the ring on events only never
 * runs the callback. The watchdog must find it.
 */
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

/* Whatever else waits for xenstored, and takes all workers for that, the watchdog does not. */
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
