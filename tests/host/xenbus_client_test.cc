// SPDX-License-Identifier: GPL-2.0-only
/* The store client carries requests and answers: one by one, many at once, late, and in parts. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/host/xenbus_client_fixture.hh"

namespace {

using namespace xpv;
using xpv_test::Answer;
using xpv_test::Client;

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

/*
 * Cases 28 to 30. xenstored answers a request that was never sent, and one
 * request twice. A client that trusts the id completes something that is no
 * request, or is over. Both must be dropped and counted, and the connection
 * stay up.
 */
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

/*
 * Cases 28 to 30. A read is answered as a write. A client that compares only
 * the id takes an acknowledgement for the node's value. The read must fail with
 * EIO, and the connection stay up.
 */
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

/*
 * Case 32. The reply comes after its request has timed out. A client that still
 * has the caller's buffer writes into memory that is in use for something else.
 * The reply must be dropped and counted, and the next request work.
 */
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

/*
 * Cases 28 to 30. A directory comes in parts of 1,000 names, without a last
 * part. A client that collects them runs out of memory. The request must end
 * with E2BIG.
 */
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

} // namespace
