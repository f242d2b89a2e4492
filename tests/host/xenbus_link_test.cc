// SPDX-License-Identifier: GPL-2.0-only
/* The connection to xenstored is lost, and made again if xenstored offers that. */
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/host/xenbus_link_fixture.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

/*
 * Cases 28 to 30. xenstored sets the error field, and offers a new connection.
 * A client that does not read the field waits for replies that never come. It
 * must reconnect once, send the request in flight again, and register its watch
 * again.
 */
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
	EXPECT_TRUE(logged("connection to xenstored lost"));
	unwatch(made);
}

/*
 * Cases 28 to 30. A message has an unknown type, or an index is impossible,
 * where xenstored offers a new connection. A client that only resets the
 * indices reads a stream that is out of step. It must reconnect, and the
 * request in flight get its reply over the new connection.
 */
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

/*
 * Cases 28 to 30. xenstored sets the error field, and offers nothing. A client
 * that waits for replies hangs its callers. Requests must end with EIO, without
 * delay; and when the toolstack introduces the domain again, the client must
 * find the connection working.
 */
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
	clear_error();
}

/*
 * xenstored sets the connection field by itself: wait for the new connection,
 * and send the request in flight again.
 */
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

/* Case 32. xenstored never completes a new connection. start() must end with ETIMEDOUT. */
TEST_F(Link, StartDoesNotWaitForEver)
{
	harness.emplace(5000);
	page().connection = XENSTORE_RECONNECT;
	EXPECT_EQ(harness->start().code(), -XEN_ETIMEDOUT);
}

/*
 * Cases 28 to 30. xenstored breaks the connection in the middle of 800 requests
 * of eight tasks. A client that mixes up the ids of the two connections gives
 * one task the value of another. Each request must get its own value, over one
 * reconnection.
 */
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

/*
 * Case 17, by a xenstored that has given the connection up. A client that
 * handles its events as useful serves a storm for nothing. An event must be
 * reported as spurious.
 */
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

/*
 * Cases 28 to 30. xenstored breaks the new connection too. A client that
 * reconnects each time is busy for ever, and its callers wait for ever. Soon
 * after the first reconnection there must be no second one, and requests must
 * fail with EIO.
 */
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

} // namespace
