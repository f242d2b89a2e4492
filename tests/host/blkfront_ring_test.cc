// SPDX-License-Identifier: GPL-2.0-only
/* The block ring carries requests and answers, and takes back what a backend let go of. */
#include <gtest/gtest.h>

#include "tests/host/blkfront_ring_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(BlkfrontRing, RequestSaysWhatWasAskedFor)
{
	BlockRequest request(XPV_BLOCK_WRITE, 1ull << 40, 3);
	request.segments[0].first_sector = 5;
	request.segments[2].last_sector = 1;
	ASSERT_EQ(ring->submit(request, true, notify), XPV_BLOCK_QUEUED);
	auto seen = other.next();
	ASSERT_TRUE(seen);
	EXPECT_EQ(seen->operation, BLKIF_OP_WRITE);
	EXPECT_EQ(seen->nr_segments, 3);
	EXPECT_EQ(seen->handle, 0xca00);
	EXPECT_EQ(seen->sector_number, 1ull << 40);
	EXPECT_EQ(seen->seg[0].first_sect, 5);
	EXPECT_EQ(seen->seg[2].last_sect, 1);
	for (unsigned int i = 0; i < 3; i++) {
		xpv_gfn frame;
		/* What is written is read by the backend, and nothing else. */
		EXPECT_NE(xpv_fake_map_grant(backend, { seen->seg[i].gref }, true, &frame), 0);
		ASSERT_EQ(xpv_fake_map_grant(backend, { seen->seg[i].gref }, false, &frame), 0);
		EXPECT_EQ(frame.value, request.segments[i].frame.value);
		other.unmap(*seen, i);
	}
	other.respond(*seen);
	EXPECT_FALSE(collect());
	ASSERT_EQ(done.size(), 1u);
	EXPECT_EQ(done[0].first, &request);
	EXPECT_EQ(done[0].second, 0);
	EXPECT_EQ(xpv_fake_active_grants(), 1u); /* the ring page */
}

TEST_F(BlkfrontRing, BatchIsPushedAndNotifiedOnce)
{
	for (unsigned int i = 0; i < 7; i++) {
		EXPECT_EQ(submit(i, XPV_BLOCK_READ, 1, false), XPV_BLOCK_QUEUED);
		EXPECT_FALSE(notify);
	}
	EXPECT_FALSE(other.next());
	EXPECT_EQ(submit(7, XPV_BLOCK_READ, 1, true), XPV_BLOCK_QUEUED);
	EXPECT_TRUE(notify);
	for (unsigned int i = 0; i < 8; i++) {
		auto seen = other.next();
		ASSERT_TRUE(seen);
		EXPECT_EQ(seen->sector_number, 8 * i);
		other.respond(*seen);
	}
	EXPECT_FALSE(collect());
	EXPECT_EQ(done.size(), 8u);

	/* The backend is awake: it asked for no event. */
	EXPECT_EQ(submit(8, XPV_BLOCK_READ, 1, false), XPV_BLOCK_QUEUED);
	EXPECT_FALSE(ring->commit());
	other.respond(*other.next());
	other.sleep();
	EXPECT_FALSE(collect());
	EXPECT_EQ(submit(9, XPV_BLOCK_READ, 1, false), XPV_BLOCK_QUEUED);
	EXPECT_TRUE(ring->commit());
	EXPECT_FALSE(ring->commit());
	other.respond(*other.next());
	EXPECT_FALSE(collect());
}

TEST_F(BlkfrontRing, FullRingIsBusyAndPushesWhatWaits)
{
	for (unsigned int i = 0; i < ring->slots(); i++)
		ASSERT_EQ(submit(i, XPV_BLOCK_READ, 11, false), XPV_BLOCK_QUEUED);
	EXPECT_EQ(submit(32, XPV_BLOCK_READ, 1, false), XPV_BLOCK_BUSY);
	EXPECT_TRUE(notify);
	for (unsigned int i = 0; i < ring->slots(); i++) {
		auto seen = other.next();
		ASSERT_TRUE(seen);
		other.respond(*seen);
	}
	EXPECT_FALSE(collect());
	EXPECT_EQ(done.size(), ring->slots());
	EXPECT_EQ(submit(33, XPV_BLOCK_READ, 1), XPV_BLOCK_QUEUED);
	other.respond(*other.next());
	EXPECT_FALSE(collect());
}

TEST_F(BlkfrontRing, GoesRoundManyTimesOutOfOrder)
{
	unsigned int ended = 0;
	for (unsigned int round = 0; round < 500; round++) {
		std::vector<blkif_request> seen;
		for (unsigned int i = 0; i < 9; i++)
			seen.push_back(send(i, i % 2 ? XPV_BLOCK_WRITE : XPV_BLOCK_READ, 1 + i));
		for (unsigned int i = 9; i-- > 0;)
			other.respond(seen[(i * 4) % 9]);
		ASSERT_FALSE(collect());
		ended += done.size();
	}
	EXPECT_EQ(ended, 4500u);
}

/*
 * Case 6. The backend answers with a status that is an error, or that blkif.h
 * does not have. A driver that compares with BLKIF_RSP_ERROR only takes 1 for
 * success; one that fails the device loses a disk to one bad sector. Each such
 * request must end with EIO, and the next one must succeed.
 */
TEST_F(BlkfrontRing, BackendErrorFailsThatRequestOnly)
{
	for (int16_t status : { int16_t{ BLKIF_RSP_ERROR }, int16_t{ BLKIF_RSP_EOPNOTSUPP }, int16_t{ -32768 },
				int16_t{ 32767 }, int16_t{ 1 } }) {
		auto seen = send(1);
		other.respond(seen, status);
		EXPECT_FALSE(collect());
		expect_only(1, -XEN_EIO);
	}
	other.respond(send(2));
	EXPECT_FALSE(collect());
	expect_only(2, 0);
}

/* The pages of what a backend left unfinished are used again only when it has let go of them. */
TEST_F(BlkfrontRing, PagesStillMappedAtTheEndAreRevokedLater)
{
	auto seen = send(1, XPV_BLOCK_WRITE, 3);
	other.map(seen, 0);
	other.map(seen, 2);
	EXPECT_EQ(end(), 1u);
	EXPECT_EQ(ring->retry_revoke(), 2u);
	other.unmap(seen, 0);
	EXPECT_EQ(ring->retry_revoke(), 1u);
	other.unmap(seen, 2);
	EXPECT_EQ(ring->retry_revoke(), 0u);
	other.release(); /* the ring itself */
	EXPECT_TRUE(ring->take_page().try_reset().ok());
	EXPECT_EQ(xpv_fake_active_grants(), 0u);
	ring.reset();
	EXPECT_EQ(grant_counts().lost, 0u);
}

TEST_F(BlkfrontRing, MemoryBeyondVersion1IsRefused)
{
	BlockRequest request(XPV_BLOCK_READ, 0, 1);
	request.segments[0].frame = { 1ull << 32 };
	EXPECT_EQ(ring->submit(request, true, notify), XPV_BLOCK_DEAD);
	EXPECT_EQ(end(), 0u);
}

TEST_F(BlkfrontRing, ParametersAreChecked)
{
	for (unsigned int segments : { 0u, 12u })
		EXPECT_FALSE(Ring::make({ .backend = backend, .handle = 0, .segments_per_slot = segments }).ok());
}

} // namespace
