// SPDX-License-Identifier: GPL-2.0-only
/* The messages that a user writes: put together from pieces, bounded, and taken apart. */
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tests/host/xenbus_user_fixture.hh"
#include "xenbus/node/user_message.hh"

namespace {

using namespace xpv_test;

TEST(UserMessages, StreamInPiecesOfAnySize)
{
	std::string bytes = request(XS_READ, strings({ "a" }), 3, 9) + request(XS_WRITE, strings({ "b" }) + "value") +
			    request(XS_INTRODUCE, "");
	for (std::size_t piece = 1; piece <= bytes.size(); piece++) {
		xpv::RequestStream stream;
		std::vector<std::string> bodies;
		for (std::size_t at = 0; at < bytes.size();) {
			std::size_t most = std::min(piece, bytes.size() - at);
			auto taken = stream.take(bytes.data() + at, most);
			ASSERT_TRUE(taken.ok());
			at += taken.value();
			if (stream.whole()) {
				if (bodies.empty()) {
					EXPECT_EQ(stream.header().tx_id, 3u);
					EXPECT_EQ(stream.header().req_id, 9u);
				}
				bodies.emplace_back(stream.payload());
				stream.reset();
			}
		}
		EXPECT_EQ(bodies, (std::vector<std::string>{ strings({ "a" }), strings({ "b" }) + "value", "" }));
	}
}

TEST(UserMessages, LargestAndTooLarge)
{
	xpv::RequestStream stream;
	std::string largest = request(XS_WRITE, std::string(XENSTORE_PAYLOAD_MAX, 'x'));
	EXPECT_EQ(stream.take(largest.data(), largest.size()).value_or(0), largest.size());
	EXPECT_TRUE(stream.whole());
	stream.reset();
	for (std::uint32_t length : { XENSTORE_PAYLOAD_MAX + 1u, 0xfffffff0u, 0xffffffffu }) {
		xsd_sockmsg header = { XS_WRITE, 0, 0, length };
		EXPECT_EQ(stream.take(reinterpret_cast<char *>(&header), sizeof(header)).code(), -XEN_E2BIG);
		EXPECT_FALSE(stream.whole());
	}
	std::string good = request(XS_READ, strings({ "a" }));
	EXPECT_EQ(stream.take(good.data(), good.size()).value_or(0), good.size());
	EXPECT_TRUE(stream.whole());
}

TEST(UserMessages, WatchAndTransactionBodies)
{
	auto good = xpv::parse_watch_request(std::string_view("a\0t\0", 4));
	ASSERT_TRUE(good.ok());
	EXPECT_EQ(good.value().path, std::string_view("a\0", 2));
	EXPECT_EQ(good.value().token, std::string_view("t\0", 2));
	EXPECT_FALSE(xpv::parse_watch_request(std::string_view("", 0)).ok());
	EXPECT_FALSE(xpv::parse_watch_request(std::string_view("a", 1)).ok());
	EXPECT_FALSE(xpv::parse_watch_request(std::string_view("a\0", 2)).ok());
	EXPECT_FALSE(xpv::parse_watch_request(std::string_view("a\0t", 3)).ok());
	EXPECT_TRUE(xpv::parse_transaction_end(std::string_view("T\0", 2)).value());
	EXPECT_FALSE(xpv::parse_transaction_end(std::string_view("F\0", 2)).value());
	for (std::string_view bad : { std::string_view("T", 1), std::string_view("X\0", 2), std::string_view("TF", 2),
				      std::string_view("T\0\0", 3), std::string_view() })
		EXPECT_FALSE(xpv::parse_transaction_end(bad).ok());
}

} // namespace
