// SPDX-License-Identifier: GPL-2.0-only
/* Flushes, barriers and writes through, over backends that offer one, the other, or nothing. */
#include <gtest/gtest.h>

#include "tests/host/blkfront_ring_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(BlkfrontRing, FlushIsWhatTheBackendOffers)
{
	auto seen = send(1, XPV_BLOCK_FLUSH, 0);
	EXPECT_EQ(seen.operation, BLKIF_OP_FLUSH_DISKCACHE);
	EXPECT_EQ(seen.nr_segments, 0);
	/* A flush that failed is not passed off as done. */
	other.respond(seen, BLKIF_RSP_ERROR);
	EXPECT_FALSE(collect());
	expect_only(1, -XEN_EIO);

	/* One that is not supported any more has nothing to do, now and later. */
	other.respond(send(2, XPV_BLOCK_FLUSH, 0), BLKIF_RSP_EOPNOTSUPP);
	EXPECT_FALSE(collect());
	expect_only(2, 0);
	EXPECT_EQ(submit(3, XPV_BLOCK_FLUSH, 0), XPV_BLOCK_DONE);
}

TEST_F(BlkfrontRing, BarriersFlushAndWriteThrough)
{
	reopen({ .flush = Flush::barrier });
	auto seen = send(1, XPV_BLOCK_FLUSH, 0);
	EXPECT_EQ(seen.operation, BLKIF_OP_WRITE_BARRIER);
	other.respond(seen);
	EXPECT_FALSE(collect());
	seen = send(2, XPV_BLOCK_WRITE_THROUGH, 2);
	EXPECT_EQ(seen.operation, BLKIF_OP_WRITE_BARRIER);
	EXPECT_EQ(seen.nr_segments, 2);
	/* Its data was not written. */
	other.respond(seen, BLKIF_RSP_EOPNOTSUPP);
	EXPECT_FALSE(collect());
	expect_only(2, -XEN_EIO);
	seen = send(3, XPV_BLOCK_WRITE_THROUGH, 2);
	EXPECT_EQ(seen.operation, BLKIF_OP_WRITE);
	other.respond(seen);
	EXPECT_FALSE(collect());
	EXPECT_EQ(submit(4, XPV_BLOCK_FLUSH, 0), XPV_BLOCK_DONE);
}

/* Asked for when there were barriers, and submitted again to a backend that has none. */
TEST_F(BlkfrontRing, WriteThroughIsFlushedAfterwardsWithoutBarriers)
{
	auto seen = send(1, XPV_BLOCK_WRITE_THROUGH, 2);
	EXPECT_EQ(seen.operation, BLKIF_OP_WRITE);
	other.respond(seen);
	other.sleep();
	EXPECT_FALSE(collect());
	EXPECT_EQ(done.size(), 0u);
	EXPECT_TRUE(collected.notify);
	EXPECT_EQ(xpv_fake_active_grants(), 1u);
	auto flush = other.next();
	ASSERT_TRUE(flush);
	EXPECT_EQ(flush->operation, BLKIF_OP_FLUSH_DISKCACHE);
	EXPECT_EQ(flush->nr_segments, 0);
	EXPECT_EQ(flush->id, seen.id);
	other.respond(*flush);
	EXPECT_FALSE(collect());
	EXPECT_FALSE(collected.notify);
	expect_only(1, 0);

	/* Neither a failed write nor a failed flush is passed off as done. */
	other.respond(send(2, XPV_BLOCK_WRITE_THROUGH, 2), BLKIF_RSP_ERROR);
	EXPECT_FALSE(collect());
	expect_only(2, -XEN_EIO);
	other.respond(send(3, XPV_BLOCK_WRITE_THROUGH, 2));
	EXPECT_FALSE(collect());
	EXPECT_FALSE(collected.notify); /* the backend is awake */
	other.respond(*other.next(), BLKIF_RSP_ERROR);
	EXPECT_FALSE(collect());
	expect_only(3, -XEN_EIO);
}

TEST_F(BlkfrontRing, WriteThroughInItsFlushComesBackOnce)
{
	other.respond(send(1, XPV_BLOCK_WRITE_THROUGH, 2));
	EXPECT_FALSE(collect());
	EXPECT_EQ(end(), 1u);
	expect_only(1, 0);
	EXPECT_EQ(xpv_fake_active_grants(), 1u);
}

/* The disk always declares a write cache. The ring completes a flush itself if the backend has none. */
TEST_F(BlkfrontRing, BackendWithoutCacheIsNotAskedToFlush)
{
	reopen({ .flush = Flush::none });
	EXPECT_EQ(submit(1, XPV_BLOCK_FLUSH, 0), XPV_BLOCK_DONE);
	auto seen = send(2, XPV_BLOCK_WRITE_THROUGH, 2);
	EXPECT_EQ(seen.operation, BLKIF_OP_WRITE);
	other.respond(seen);
	EXPECT_FALSE(collect());
	expect_only(2, 0);
	EXPECT_FALSE(other.next());
}

/* blkback refuses to flush what it exports read-only. */
TEST_F(BlkfrontRing, ReadOnlyDiskHasNothingToFlush)
{
	for (Flush flush : { Flush::cache, Flush::barrier }) {
		reopen({ .flush = flush, .read_only = true });
		for (unsigned int i = 0; i < 2; i++) {
			other.respond(send(1, XPV_BLOCK_FLUSH, 0), BLKIF_RSP_ERROR);
			EXPECT_FALSE(collect());
			expect_only(1, 0);
		}
	}
	/* Writing there is an error still. */
	reopen({ .flush = Flush::barrier, .read_only = true });
	other.respond(send(2, XPV_BLOCK_WRITE_THROUGH, 1), BLKIF_RSP_ERROR);
	EXPECT_FALSE(collect());
	expect_only(2, -XEN_EIO);
}

/* Old backends refuse an empty barrier with an error; a disk that fails does too. */
TEST_F(BlkfrontRing, OnlyTheFirstEmptyBarrierMayBeUnsupported)
{
	reopen({ .flush = Flush::barrier });
	other.respond(send(1, XPV_BLOCK_FLUSH, 0), BLKIF_RSP_ERROR);
	EXPECT_FALSE(collect());
	expect_only(1, 0);
	EXPECT_EQ(submit(2, XPV_BLOCK_FLUSH, 0), XPV_BLOCK_DONE);

	reopen({ .flush = Flush::barrier });
	other.respond(send(1, XPV_BLOCK_FLUSH, 0));
	EXPECT_FALSE(collect());
	expect_only(1, 0);
	for (unsigned int i = 0; i < 2; i++) {
		other.respond(send(2, XPV_BLOCK_FLUSH, 0), BLKIF_RSP_ERROR);
		EXPECT_FALSE(collect());
		expect_only(2, -XEN_EIO);
	}
	/* It flushes still. */
	other.respond(send(3, XPV_BLOCK_FLUSH, 0));
	EXPECT_FALSE(collect());
	expect_only(3, 0);
}

} // namespace
