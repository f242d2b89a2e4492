// SPDX-License-Identifier: GPL-2.0-only
/* Transactions end with their connection, and late ones are dropped. */
#include <gtest/gtest.h>

#include <string>

#include "tests/host/xenbus_link_fixture.hh"
#include "xenbus/transaction.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

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

/*
 * Case 32. xenstored starts a transaction after the request has timed out. A
 * client that only drops the reply leaves it open, and with it a part of the
 * domain's quota. The client must end it, without a commit.
 */
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
	for (unsigned int i = 0; i < Client::orphans_limit + 5; i++) {
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

} // namespace
