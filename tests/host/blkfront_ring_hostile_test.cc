// SPDX-License-Identifier: GPL-2.0-only
/* The ring finds each violation of the protocol by a backend (docs/hostile-backends.md). */
#include <gtest/gtest.h>

#include <atomic>

#include "tests/host/blkfront_ring_fixture.hh"

namespace {

using namespace xpv_test;

/* Of a request in several slots, a part is answered twice. */
TEST_F(BlkfrontRing, Case4PartTwice)
{
	ASSERT_EQ(submit(1, XPV_BLOCK_READ, 22), XPV_BLOCK_QUEUED);
	auto first = take();
	other.respond(first);
	other.respond(first);
	EXPECT_TRUE(collect());
	EXPECT_TRUE(done.empty());
	expect_broken(1);
}

TEST_F(BlkfrontRing, Case1ResponsesThatWereNeverAskedFor)
{
	for (uint32_t beyond : { 1u, 33u, 1u << 31, (1u << 31) + 1 }) {
		SCOPED_TRACE(beyond);
		TearDown();
		SetUp();
		send(1);
		send(2);
		other.shared().rsp_prod = 2 + beyond;
		EXPECT_TRUE(collect());
		EXPECT_EQ(done.size(), 0u);
		expect_broken(2);
	}
}

TEST_F(BlkfrontRing, Case2ResponsesGoBackwards)
{
	other.respond(send(1));
	EXPECT_FALSE(collect());
	send(2);
	other.shared().rsp_prod = 0;
	EXPECT_TRUE(collect());
	expect_broken(1);
}

TEST_F(BlkfrontRing, Case3IdOutOfRange)
{
	for (uint64_t id : { 32ul, 255ul, 1ul << 32, ~0ul }) {
		SCOPED_TRACE(id);
		TearDown();
		SetUp();
		send(1);
		other.respond(id, BLKIF_OP_READ);
		EXPECT_TRUE(collect());
		EXPECT_EQ(done.size(), 0u);
		expect_broken(1);
	}
}

TEST_F(BlkfrontRing, Case4ResponseTwice)
{
	auto first = send(1);
	send(2);
	other.respond(first);
	other.respond(first);
	EXPECT_TRUE(collect());
	expect_only(1, 0);
	expect_broken(1);
}

TEST_F(BlkfrontRing, Case4ResponseToAFreeSlot)
{
	auto seen = send(1);
	other.respond(seen.id == 31 ? 30 : 31, BLKIF_OP_READ);
	EXPECT_TRUE(collect());
	expect_broken(1);
}

TEST_F(BlkfrontRing, Case5AnotherOperation)
{
	auto seen = send(1, XPV_BLOCK_READ);
	other.respond(seen.id, BLKIF_OP_WRITE);
	EXPECT_TRUE(collect());
	expect_broken(1);
}

/* Case 7: what is checked is what is used, so no mix of old and new can slip through. */
TEST_F(BlkfrontRing, Case7ResponseChangesWhileItIsRead)
{
	for (unsigned int round = 0; round < 200; round++) {
		auto seen = send(1);
		other.respond(seen);
		blkif_response &response = other.shared().ring[(other.shared().rsp_prod - 1) & 31].rsp;
		std::atomic<bool> stop = false;
		fake::Thread scribbler([&] {
			while (!stop) {
				__atomic_store_n(&response.id, ~0ull, __ATOMIC_RELAXED);
				__atomic_store_n(&response.id, seen.id, __ATOMIC_RELAXED);
			}
		});
		auto violation = collect();
		stop = true;
		scribbler.join();
		if (violation) {
			EXPECT_EQ(done.size(), 0u);
			expect_broken(1);
			TearDown();
			SetUp();
		} else {
			expect_only(1, 0);
		}
	}
}

TEST_F(BlkfrontRing, Case12PagesStillMappedAtCompletion)
{
	auto seen = send(1, XPV_BLOCK_READ, 4);
	send(2);
	other.map(seen, 1);
	other.map(seen, 3);
	other.respond(seen);
	EXPECT_TRUE(collect());
	expect_only(1, -XEN_EIO);
	EXPECT_EQ(grant_counts().parked, 2u);
	EXPECT_EQ(held_frames(), 2u);
	expect_broken(1);
	/* The rest goes before the backend lets go. */
	other.release();
	ring.reset();
	EXPECT_EQ(grant_counts().parked, 2u);
	other.unmap(seen, 1);
	other.unmap(seen, 3);
	EXPECT_TRUE(eventually([] { return held_frames() == 0; }));
}

/* Case 13: the ring page as well. */
TEST_F(BlkfrontRing, Case13NothingIsUnmappedAtClose)
{
	auto seen = send(1, XPV_BLOCK_WRITE, 3);
	for (unsigned int i = 0; i < 3; i++)
		other.map(seen, i);
	EXPECT_EQ(end(), 1u);
	EXPECT_EQ(ring->still_mapped(), 3u);
	EXPECT_EQ(grant_counts().parked, 0u);
	ring.reset();
	EXPECT_EQ(grant_counts().parked, 4u);
	/* It may still write what it likes there. */
	other.respond(seen);
	for (unsigned int i = 0; i < 3; i++)
		other.unmap(seen, i);
}

TEST_F(BlkfrontRing, IndicesOfOursAreNotReadBack)
{
	auto seen = send(1);
	other.shared().req_prod = 0x12345678;
	other.shared().rsp_event = 77;
	other.respond(seen);
	EXPECT_FALSE(collect());
	expect_only(1, 0);
	ASSERT_EQ(submit(2, XPV_BLOCK_READ, 1), XPV_BLOCK_QUEUED);
	EXPECT_EQ(other.shared().req_prod, 2u);
	other.respond(*other.next());
	EXPECT_FALSE(collect());
	expect_only(2, 0);
}

} // namespace
