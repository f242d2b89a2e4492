// SPDX-License-Identifier: GPL-2.0-only
/* The ring finds each violation of the protocol by a backend (docs/hostile-backends.md). */
#include <gtest/gtest.h>

#include <atomic>

#include "tests/host/blkfront_ring_fixture.hh"

namespace {

using namespace xpv_test;

/*
 * Case 4. Of a request in several slots, one part is answered twice and another not
 * at all. A driver that counts answers takes the request for complete, with pages
 * that hold no data of the disk.
 */
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

/*
 * Case 1. rsp_prod is in shared memory, so a backend can announce more responses
 * than there are requests. A driver that believes it walks over slots which hold
 * its own requests, or responses of an earlier round, and completes requests that
 * do not exist. Seen as: rsp_prod beyond what we pushed. The device must fail,
 * with each request in flight ended once.
 */
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

/*
 * Case 2. As case 1, in the other direction: rsp_prod less than what was consumed.
 * The difference is then a huge unsigned number, and a loop "until they are equal"
 * runs 2^32 times.
 */
TEST_F(BlkfrontRing, Case2ResponsesGoBackwards)
{
	other.respond(send(1));
	EXPECT_FALSE(collect());
	send(2);
	other.shared().rsp_prod = 0;
	EXPECT_TRUE(collect());
	expect_broken(1);
}

/*
 * Case 3. A response's id indexes our array of requests. An id beyond the array
 * reads, and completes, whatever lies behind it: memory of the guest under the
 * backend's control. Ids beyond 32 bits must not be cut to valid ones.
 */
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

/*
 * Case 4. Two responses to one request. The second completes a request that is
 * over, or that Linux has reused for something else: a read that "succeeds" with
 * the old contents of its pages. The first answer counts, then the device fails.
 */
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

/* Case 4. As above, for an id that was never in use: there is nothing to complete. */
TEST_F(BlkfrontRing, Case4ResponseToAFreeSlot)
{
	auto seen = send(1);
	other.respond(seen.id == 31 ? 30 : 31, BLKIF_OP_READ);
	EXPECT_TRUE(collect());
	expect_broken(1);
}

/*
 * Case 5. A read is answered as a write. A driver that takes the operation from
 * the response skips what a read needs, and hands out pages that the backend never
 * filled. What was asked is in our private copy of the request.
 */
TEST_F(BlkfrontRing, Case5AnotherOperation)
{
	auto seen = send(1, XPV_BLOCK_READ);
	other.respond(seen.id, BLKIF_OP_WRITE);
	EXPECT_TRUE(collect());
	expect_broken(1);
}

/*
 * Case 7 (XSA-155). The backend changes a response between the check and the use.
 * The compiler may read shared memory twice, so "id < 32" holds for one value and
 * array[id] is read with another. What is checked is what is used: each round ends
 * with the right request, or with a failed device, never with a mix.
 */
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

/*
 * Cases 12 and 16. The backend answers, but keeps pages mapped. If the guest takes
 * the pages back, the backend can change them later: after a checksum was verified,
 * or when they hold something else. The request must end with an error, and the
 * pages must not be given out until the backend has let go of them.
 */
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

/*
 * Case 13. As case 12, at the end of the connection, for the pages of a request in
 * flight and for the ring itself. Nothing that is mapped may be freed, and the
 * backend may write there as long as it likes.
 */
TEST_F(BlkfrontRing, Case13NothingIsUnmappedAtClose)
{
	auto seen = send(1, XPV_BLOCK_WRITE, 3);
	for (unsigned int i = 0; i < 3; i++)
		other.map(seen, i);
	EXPECT_EQ(end(), 1u);
	EXPECT_EQ(ring->retry_revoke(), 3u);
	EXPECT_EQ(grant_counts().parked, 0u);
	ring.reset();
	EXPECT_EQ(grant_counts().parked, 4u);
	/* It may still write what it likes there. */
	other.respond(seen);
	for (unsigned int i = 0; i < 3; i++)
		other.unmap(seen, i);
}

/*
 * Beside cases 1 and 2. The backend overwrites req_prod and rsp_event, which
 * only the frontend writes. A driver that reads req_prod back announces
 * requests that it never wrote. The ring keeps private copies: requests go on,
 * and the next push must store the true index.
 */
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
