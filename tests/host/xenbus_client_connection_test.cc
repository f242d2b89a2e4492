// SPDX-License-Identifier: GPL-2.0-only
/* The store client starts on any ring that it finds, and ends a connection that breaks the protocol. */
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <thread>

#include "tests/host/xenbus_client_fixture.hh"

namespace {

using namespace xpv;
using xpv_test::Client;

/*
 * Cases 28 to 30. A header says 5000 bytes, more than any message has. A client
 * that believes it writes beyond its buffer, or waits for bytes that never
 * come. Without an offer to reconnect, the connection must end: requests in
 * flight and later ones fail with EIO, with one line in the log.
 */
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

/*
 * Cases 28 to 30. rsp_prod is further ahead than the ring is long. A client
 * that reads on takes old bytes of the ring for messages. The connection must
 * end, and the request in flight fail with EIO.
 */
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

/*
 * Case 18. The reply is in the ring, but no event comes. A client that reads
 * the ring on events only reports a time-out. The task that waits must read the
 * ring itself and return the value.
 */
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

/*
 * Cases 28 to 30. The page has an impossible index, or an error, when the
 * client starts. A client that begins there takes old bytes for replies.
 * start() must fail.
 */
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

} // namespace
