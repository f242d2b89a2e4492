// SPDX-License-Identifier: GPL-2.0-only
/* The ring splits large requests over several slots. */
#include <gtest/gtest.h>

#include "tests/host/blkfront_ring_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(BlkfrontRing, RequestIsSplitOverSlots)
{
	BlockRequest request(XPV_BLOCK_WRITE, 800, 25);
	request.segments[0].first_sector = 3;
	ASSERT_EQ(ring->submit(request, true, notify), XPV_BLOCK_QUEUED);
	EXPECT_EQ(ring->in_flight(), 1u);
	std::vector<blkif_request> parts = { take(), take(), take() };
	EXPECT_FALSE(other.next());
	const unsigned int counts[] = { 11, 11, 3 };
	const uint64_t sectors[] = { 800, 800 + 11 * 8 - 3, 800 + 22 * 8 - 3 };
	unsigned int segment = 0;
	for (unsigned int i = 0; i < 3; i++) {
		EXPECT_EQ(parts[i].operation, BLKIF_OP_WRITE);
		EXPECT_EQ(parts[i].nr_segments, counts[i]);
		EXPECT_EQ(parts[i].sector_number, sectors[i]);
		for (unsigned int j = 0; j < counts[i]; j++, segment++) {
			xpv_gfn frame;
			ASSERT_EQ(xpv_fake_map_grant(backend, { parts[i].seg[j].gref }, false, &frame), 0);
			EXPECT_EQ(frame.value, request.segments[segment].frame.value);
			EXPECT_EQ(parts[i].seg[j].first_sect, request.segments[segment].first_sector);
			other.unmap(parts[i], j);
		}
	}
	/* In any order; done with the last. */
	other.respond(parts[1]);
	EXPECT_FALSE(collect());
	EXPECT_TRUE(done.empty());
	other.respond(parts[2]);
	EXPECT_FALSE(collect());
	EXPECT_TRUE(done.empty());
	EXPECT_EQ(ring->in_flight(), 1u);
	other.respond(parts[0]);
	EXPECT_FALSE(collect());
	ASSERT_EQ(done.size(), 1u);
	EXPECT_EQ(done[0].first, &request);
	EXPECT_EQ(done[0].second, 0);
	EXPECT_EQ(ring->in_flight(), 0u);
	EXPECT_EQ(xpv_fake_active_grants(), 1u);
}

TEST_F(BlkfrontRing, SplitRequestFailsIfOnePartDoes)
{
	for (unsigned int failing = 0; failing < 3; failing++) {
		for (unsigned int first = 0; first < 3; first++) {
			SCOPED_TRACE(failing * 10 + first);
			ASSERT_EQ(submit(1, XPV_BLOCK_READ, 33), XPV_BLOCK_QUEUED);
			std::vector<blkif_request> parts = { take(), take(), take() };
			for (unsigned int i = 0; i < 3; i++) {
				unsigned int part = (first + i) % 3;
				other.respond(parts[part], part == failing ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
				EXPECT_FALSE(collect());
				EXPECT_EQ(done.size(), i == 2 ? 1u : 0u);
			}
			expect_only(1, -XEN_EIO);
		}
	}
}

TEST_F(BlkfrontRing, SplitRequestWaitsForAllItsSlots)
{
	for (unsigned int i = 0; i < ring->slots() - 2; i++)
		ASSERT_EQ(submit(i, XPV_BLOCK_READ, 1), XPV_BLOCK_QUEUED);
	unsigned int free_before = grant_counts().free;
	EXPECT_EQ(submit(100, XPV_BLOCK_READ, 25), XPV_BLOCK_BUSY);
	EXPECT_EQ(grant_counts().free, free_before);
	other.respond(take());
	EXPECT_FALSE(collect());
	EXPECT_EQ(submit(100, XPV_BLOCK_READ, 25), XPV_BLOCK_QUEUED);
	/* More than the ring has never fits. */
	EXPECT_EQ(submit(101, XPV_BLOCK_READ, 11 * ring->slots() + 1), XPV_BLOCK_DEAD);
	while (auto seen = other.next())
		other.respond(*seen);
	EXPECT_FALSE(collect());
	EXPECT_EQ(done.size(), ring->slots() - 2);
}

TEST_F(BlkfrontRing, SplitWriteThroughIsFlushedOnce)
{
	ASSERT_EQ(submit(1, XPV_BLOCK_WRITE_THROUGH, 20), XPV_BLOCK_QUEUED);
	auto first = take(), second = take();
	EXPECT_EQ(first.operation, BLKIF_OP_WRITE);
	other.respond(second);
	EXPECT_FALSE(collect());
	EXPECT_FALSE(other.next());
	other.respond(first);
	EXPECT_FALSE(collect());
	EXPECT_TRUE(done.empty());
	auto flush = take();
	EXPECT_EQ(flush.operation, BLKIF_OP_FLUSH_DISKCACHE);
	other.respond(flush);
	EXPECT_FALSE(collect());
	expect_only(1, 0);

	/* Nothing to flush when a part was not written. */
	ASSERT_EQ(submit(2, XPV_BLOCK_WRITE_THROUGH, 20), XPV_BLOCK_QUEUED);
	other.respond(take(), BLKIF_RSP_ERROR);
	other.respond(take());
	EXPECT_FALSE(collect());
	expect_only(2, -XEN_EIO);

	reopen({ .flush = Flush::barrier });
	ASSERT_EQ(submit(3, XPV_BLOCK_WRITE_THROUGH, 20), XPV_BLOCK_QUEUED);
	for (unsigned int i = 0; i < 2; i++) {
		auto part = take();
		EXPECT_EQ(part.operation, BLKIF_OP_WRITE_BARRIER);
		other.respond(part);
	}
	EXPECT_FALSE(collect());
	expect_only(3, 0);
}

/* A reconnection to a backend that takes less does not meet requests that do not fit. */
TEST_F(BlkfrontRing, FewerSegmentsForEachSlot)
{
	reopen({ .flush = Flush::none }, 1);
	ASSERT_EQ(submit(1, XPV_BLOCK_READ, 32), XPV_BLOCK_QUEUED);
	for (unsigned int i = 0; i < 32; i++) {
		auto part = take();
		EXPECT_EQ(part.nr_segments, 1);
		EXPECT_EQ(part.sector_number, 8 + 8 * i);
		other.respond(part);
	}
	EXPECT_FALSE(collect());
	expect_only(1, 0);
}

TEST_F(BlkfrontRing, SplitRequestIsUnfinishedOnceWhateverCameBack)
{
	ASSERT_EQ(submit(1, XPV_BLOCK_WRITE, 33), XPV_BLOCK_QUEUED);
	auto first = take();
	static_cast<void>(take());
	other.respond(first);
	EXPECT_FALSE(collect());
	EXPECT_TRUE(done.empty());
	EXPECT_EQ(end(), 1u);
	EXPECT_EQ(done[0].first, &requests.at(1));
	EXPECT_EQ(end(), 0u);
	EXPECT_EQ(xpv_fake_active_grants(), 1u);
}

TEST_F(BlkfrontRing, PartThatCannotBeGrantedTakesTheOthersBack)
{
	BlockRequest request(XPV_BLOCK_READ, 0, 20);
	request.segments[15].frame = { 1ull << 32 };
	EXPECT_EQ(ring->submit(request, true, notify), XPV_BLOCK_DEAD);
	EXPECT_EQ(ring->in_flight(), 0u);
	EXPECT_EQ(xpv_fake_active_grants(), 1u);
	EXPECT_FALSE(other.next());
	for (unsigned int i = 0; i < ring->slots(); i++)
		ASSERT_EQ(submit(i, XPV_BLOCK_READ, 11), XPV_BLOCK_QUEUED);
	EXPECT_EQ(end(), ring->slots());
}

} // namespace
