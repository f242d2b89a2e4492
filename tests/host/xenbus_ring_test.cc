// SPDX-License-Identifier: GPL-2.0-only
/* The byte streams of the ring page, and messages made of them. */
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "xenbus/store/message.hh"

using namespace xpv;

namespace {

class Ring : public testing::Test {
protected:
	void SetUp() override
	{
		std::memset(&page, 0, sizeof(page));
		ASSERT_TRUE(ring.attach(&page).ok());
	}
	/* The store's side: bytes for the client, without regard for room. */
	void store_writes(const std::string &bytes)
	{
		for (char byte : bytes)
			page.rsp[MASK_XENSTORE_IDX(page.rsp_prod++)] = byte;
	}
	std::string store_reads()
	{
		std::string bytes;
		while (page.req_cons != page.req_prod)
			bytes += page.req[MASK_XENSTORE_IDX(page.req_cons++)];
		return bytes;
	}
	static std::string message(std::uint32_t type, std::uint32_t id, std::uint32_t length, const std::string &payload)
	{
		xsd_sockmsg header = { type, id, 0, length };
		return std::string(reinterpret_cast<const char *>(&header), sizeof(header)) + payload;
	}

	xenstore_domain_interface page;
	StoreRing ring;
	MessageReader reader;
	bool was_full = false;
};

TEST_F(Ring, GoesOnWhereTheIndicesAre)
{
	page.req_cons = page.req_prod = 0xfffffff0;
	page.rsp_cons = page.rsp_prod = 12345;
	ASSERT_TRUE(ring.attach(&page).ok());
	EXPECT_TRUE(ring.quiescent());
	ASSERT_EQ(ring.write("0123456789abcdefghij", 20).value_or(0), 20u);
	EXPECT_EQ(page.req_prod, 4u);
	EXPECT_EQ(store_reads(), "0123456789abcdefghij");
	store_writes("xyz");
	char bytes[3];
	EXPECT_EQ(ring.read(bytes, 3).value().size, 3u);
	EXPECT_EQ(std::string(bytes, 3), "xyz");
}

TEST_F(Ring, WrapsAround)
{
	std::string pattern;
	for (int round = 0; round < 50; round++) {
		std::string piece(100 + round, static_cast<char>('a' + round % 26));
		ASSERT_EQ(ring.write(piece.data(), piece.size()).value_or(0), piece.size());
		ASSERT_EQ(store_reads(), piece);
		store_writes(piece);
		std::string back(piece.size(), 0);
		ASSERT_EQ(ring.read(back.data(), back.size()).value().size, piece.size());
		ASSERT_EQ(back, piece);
	}
}

TEST_F(Ring, WritesNoMoreThanThereIsRoom)
{
	std::string much(3000, 'x');
	EXPECT_EQ(ring.write(much.data(), much.size()).value_or(0), 1024u);
	EXPECT_EQ(ring.write(much.data(), much.size()).value_or(1), 0u);
	page.req_cons += 10;
	EXPECT_EQ(ring.write(much.data(), much.size()).value_or(0), 10u);
}

/*
 * Cases 28 to 30. xenstored's indices are further from ours than the ring is
 * long. A client that believes them finds more room than there is and
 * overwrites requests, or reads old bytes as replies. Writing, reading and
 * attach() must fail with EIO.
 */
TEST_F(Ring, RefusesImpossibleIndices)
{
	page.req_cons = 1;
	EXPECT_EQ(ring.write("x", 1).error(), Error(XEN_EIO));
	page.rsp_prod = page.rsp_cons + 1025;
	char byte;
	EXPECT_EQ(ring.read(&byte, 1).error(), Error(XEN_EIO));
	EXPECT_FALSE(ring.attach(&page).ok());
}

/*
 * Cases 28 to 30. xenstored overwrites req_prod, which only the client writes.
 * A client that reads it back sends bytes that it never wrote. The next write
 * must go on from the private copy.
 */
TEST_F(Ring, IgnoresItsOwnIndicesInThePage)
{
	ASSERT_EQ(ring.write("abc", 3).value_or(0), 3u);
	page.req_prod = 77;
	ASSERT_EQ(ring.write("def", 3).value_or(0), 3u);
	EXPECT_EQ(page.req_prod, 6u);
}

TEST_F(Ring, SaysWhenTheStoreMaySleepOnAFullRing)
{
	store_writes(std::string(1024, 'x'));
	char bytes[2];
	EXPECT_TRUE(ring.read(bytes, 2).value().was_full);
	EXPECT_FALSE(ring.read(bytes, 2).value().was_full);
}

TEST_F(Ring, MessageInPieces)
{
	std::string whole = message(XS_READ, 5, 5, "hello");
	for (char byte : whole.substr(0, whole.size() - 1)) {
		store_writes(std::string(1, byte));
		ASSERT_FALSE(reader.read(ring, was_full).value());
		EXPECT_FALSE(reader.at_boundary());
	}
	store_writes("o");
	ASSERT_TRUE(reader.read(ring, was_full).value());
	EXPECT_EQ(reader.header().req_id, 5u);
	EXPECT_EQ(reader.payload(), "hello");
	EXPECT_FALSE(reader.read(ring, was_full).value());
	EXPECT_TRUE(reader.at_boundary());
}

TEST_F(Ring, EmptyAndLargestPayload)
{
	store_writes(message(XS_READ, 1, 0, ""));
	ASSERT_TRUE(reader.read(ring, was_full).value());
	EXPECT_TRUE(reader.payload().empty());

	std::string large = message(XS_READ, 2, XENSTORE_PAYLOAD_MAX, std::string(XENSTORE_PAYLOAD_MAX, 'L'));
	for (std::size_t at = 0; at < large.size(); at += 1000) {
		store_writes(large.substr(at, 1000));
		if (at + 1000 < large.size()) {
			ASSERT_FALSE(reader.read(ring, was_full).value());
		}
	}
	ASSERT_TRUE(reader.read(ring, was_full).value());
	EXPECT_EQ(reader.payload().size(), std::size_t{ XENSTORE_PAYLOAD_MAX });
}

/*
 * Cases 28 to 30. Headers have an unknown type, or a length that no message
 * has. A client that believes the length writes beyond its buffer. Each must be
 * refused with EBADMSG and dropped.
 */
TEST_F(Ring, MalformedHeaders)
{
	for (auto [type, length] :
	     { std::pair<std::uint32_t, std::uint32_t>{ XS_READ, XENSTORE_PAYLOAD_MAX + 1 },
	       { XS_READ, UINT32_MAX },
	       { XS_TYPE_COUNT, 0 },
	       { XS_INVALID, 4 } }) {
		store_writes(message(type, 1, length, ""));
		EXPECT_EQ(reader.read(ring, was_full).error(), Error(XEN_EBADMSG)) << type << " " << length;
		/* And nothing of it is left behind. */
		EXPECT_TRUE(reader.at_boundary());
	}
}

TEST_F(Ring, ErrorsByName)
{
	EXPECT_EQ(store_error(std::string_view("ENOENT", 7)), Error(XEN_ENOENT));
	EXPECT_EQ(store_error(std::string_view("E2BIG", 6)), Error(XEN_E2BIG));
	EXPECT_EQ(store_error(std::string_view("ENOENT", 6)), Error(XEN_EIO)); /* no NUL */
	EXPECT_EQ(store_error(std::string_view("EFUNNY", 7)), Error(XEN_EIO));
	EXPECT_EQ(store_error({}), Error(XEN_EIO));
}

TEST_F(Ring, WatchEventsHaveTwoStrings)
{
	auto two = parse_watch_event(std::string_view("device/vbd\0001f", 14));
	ASSERT_TRUE(two.ok());
	EXPECT_EQ(two.value().path, "device/vbd");
	EXPECT_EQ(two.value().token, "1f");
	EXPECT_FALSE(parse_watch_event({}).ok());
	EXPECT_FALSE(parse_watch_event(std::string_view("a", 1)).ok());
	EXPECT_FALSE(parse_watch_event(std::string_view("a", 2)).ok());
	EXPECT_FALSE(parse_watch_event(std::string_view("a\0b", 3)).ok());
	EXPECT_FALSE(parse_watch_event(std::string_view("a\0b\0c", 6)).ok());
	EXPECT_TRUE(parse_watch_event(std::string_view("\0", 2)).ok());
}

} // namespace
