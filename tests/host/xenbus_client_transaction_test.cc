// SPDX-License-Identifier: GPL-2.0-only
/* The store client starts, retries and ends transactions. */
#include <gtest/gtest.h>

#include <string>

#include "tests/host/xenbus_client_fixture.hh"
#include "xenbus/transaction.hh"

namespace {

using namespace xpv;
using xpv_test::Client;

/*
 * Case 31. xenstored answers each commit with EAGAIN. A client that retries
 * until one succeeds never returns, and its device hangs. After a fixed number
 * of attempts the transaction must end with EAGAIN.
 */
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

/*
 * Cases 28 to 30. The reply to XS_TRANSACTION_START is empty, 0, out of range,
 * or no number. A client that uses 0 writes outside of any transaction. Each
 * must be refused with EIO.
 */
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

} // namespace
