// SPDX-License-Identifier: GPL-2.0-only
/* The block ring against backends that keep to the protocol, and such that do not. */
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "blkfront/ring.hh"
#include "gnttab/linux.h"
#include "tests/host/blkfront_backend.hh"
#include "tests/host/fake/gnttab.hh"
#include "tests/host/fake/shim.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

class BlkfrontRing : public testing::Test {
protected:
	void SetUp() override
	{
		xpv_fake_set_max_grant_frames(4);
		xpv_fake_reset();
		ASSERT_EQ(xpv_gnttab_load(), 0);
		auto made = Ring::make(backend, 0xca00);
		ASSERT_TRUE(made.ok());
		ring = std::move(made.value());
		ring->set_flush(Flush::Cache);
		other.attach(ring->reference());
	}
	void TearDown() override
	{
		other.release();
		ring.reset();
		EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
		EXPECT_TRUE(fake::wait_for_work(5000));
		EXPECT_EQ(grant_counts().free, grant_counts().total);
		EXPECT_EQ(xpv_fake_active_grants(), 0u);
		EXPECT_EQ(held_frames(), 0u);
		xpv_gnttab_unload();
	}

	/* Submits and gives what the backend saw. */
	blkif_request send(unsigned int number, xpv_block_operation operation = XPV_BLOCK_READ,
			   unsigned int pages = 1)
	{
		EXPECT_EQ(submit(number, operation, pages), XPV_BLOCK_QUEUED);
		auto seen = other.next();
		EXPECT_TRUE(seen.has_value());
		return seen.value_or(blkif_request{});
	}
	xpv_block_submitted submit(unsigned int number, xpv_block_operation operation, unsigned int pages,
				   bool last = true)
	{
		return ring->submit(request_number(number), operation, 8 * number, segments_of(pages), last, notify);
	}
	Ring::Violation collect()
	{
		completions = {};
		return ring->collect(completions);
	}
	void expect_only(unsigned int number, int error)
	{
		ASSERT_EQ(completions.count, 1u);
		EXPECT_EQ(completions.items[0].request, request_number(number));
		EXPECT_EQ(completions.items[0].error, error);
	}
	/* After a violation with `count` requests in flight: refused, and each of those fails once. */
	void expect_broken(unsigned int count)
	{
		EXPECT_EQ(submit(1000, XPV_BLOCK_READ, 1), XPV_BLOCK_DEAD);
		EXPECT_FALSE(collect());
		EXPECT_EQ(completions.count, 0u);
		completions = {};
		ring->abort(completions);
		EXPECT_EQ(completions.count, count);
		for (unsigned int i = 0; i < completions.count; i++)
			EXPECT_EQ(completions.items[i].error, -XEN_EIO);
		completions = {};
		ring->abort(completions);
		EXPECT_EQ(completions.count, 0u);
	}

	Owned<Ring> ring;
	Backend other{ backend };
	Ring::Completions completions;
	bool notify = false;
};

TEST_F(BlkfrontRing, RequestSaysWhatWasAskedFor)
{
	xpv_block_segments segments = segments_of(3);
	segments.first_sector[0] = 5;
	segments.last_sector[2] = 1;
	ASSERT_EQ(ring->submit(request_number(1), XPV_BLOCK_WRITE, 1ull << 40, segments, true, notify),
		  XPV_BLOCK_QUEUED);
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
		EXPECT_EQ(frame.value, segments.frames[i].value);
		other.unmap(*seen, i);
	}
	other.respond(*seen);
	EXPECT_FALSE(collect());
	expect_only(1, 0);
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
	EXPECT_EQ(completions.count, 8u);

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
	for (unsigned int i = 0; i < Ring::slots; i++)
		ASSERT_EQ(submit(i, XPV_BLOCK_READ, XPV_BLOCK_SEGMENTS, false), XPV_BLOCK_QUEUED);
	EXPECT_EQ(submit(32, XPV_BLOCK_READ, 1, false), XPV_BLOCK_BUSY);
	EXPECT_TRUE(notify);
	for (unsigned int i = 0; i < Ring::slots; i++) {
		auto seen = other.next();
		ASSERT_TRUE(seen);
		other.respond(*seen);
	}
	EXPECT_FALSE(collect());
	EXPECT_EQ(completions.count, Ring::slots);
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
		ended += completions.count;
	}
	EXPECT_EQ(ended, 4500u);
}

TEST_F(BlkfrontRing, BackendErrorFailsThatRequestOnly)
{
	/* Case 6: any status, the absurd included. */
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
	ring->set_flush(Flush::Barrier);
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
	EXPECT_EQ(completions.count, 0u);
	EXPECT_TRUE(completions.went_on);
	EXPECT_EQ(xpv_fake_active_grants(), 1u);
	EXPECT_TRUE(ring->commit());
	auto flush = other.next();
	ASSERT_TRUE(flush);
	EXPECT_EQ(flush->operation, BLKIF_OP_FLUSH_DISKCACHE);
	EXPECT_EQ(flush->nr_segments, 0);
	EXPECT_EQ(flush->id, seen.id);
	other.respond(*flush);
	EXPECT_FALSE(collect());
	EXPECT_FALSE(completions.went_on);
	expect_only(1, 0);

	/* Neither a failed write nor a failed flush is passed off as done. */
	other.respond(send(2, XPV_BLOCK_WRITE_THROUGH, 2), BLKIF_RSP_ERROR);
	EXPECT_FALSE(collect());
	expect_only(2, -XEN_EIO);
	other.respond(send(3, XPV_BLOCK_WRITE_THROUGH, 2));
	EXPECT_FALSE(collect());
	EXPECT_FALSE(ring->commit()); /* the backend is awake */
	other.respond(*other.next(), BLKIF_RSP_ERROR);
	EXPECT_FALSE(collect());
	expect_only(3, -XEN_EIO);
}

TEST_F(BlkfrontRing, WriteThroughInItsFlushIsAbortedOrLostOnce)
{
	for (bool lost : { false, true }) {
		other.respond(send(1, XPV_BLOCK_WRITE_THROUGH, 2));
		EXPECT_FALSE(collect());
		ring->shut();
		completions = {};
		lost ? ring->lose(completions) : ring->abort(completions);
		expect_only(1, lost ? 0 : -XEN_EIO);
		EXPECT_EQ(xpv_fake_active_grants(), 1u);
		other.release();
		ASSERT_TRUE(ring->restart(backend).ok());
		ring->set_flush(Flush::Cache);
		other.attach(ring->reference());
	}
}

/* ---- Hostile cases ---- */

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
		EXPECT_EQ(completions.count, 0u);
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
		EXPECT_EQ(completions.count, 0u);
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
		std::thread scribbler([&] {
			while (!stop) {
				__atomic_store_n(&response.id, ~0ull, __ATOMIC_RELAXED);
				__atomic_store_n(&response.id, seen.id, __ATOMIC_RELAXED);
			}
		});
		auto violation = collect();
		stop = true;
		scribbler.join();
		if (violation) {
			EXPECT_EQ(completions.count, 0u);
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
	ring->shut();
	expect_broken(1);
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

TEST_F(BlkfrontRing, MemoryBeyondVersion1IsRefused)
{
	xpv_block_segments segments = segments_of(1);
	segments.frames[0] = { 1ull << 32 };
	EXPECT_EQ(ring->submit(request_number(1), XPV_BLOCK_READ, 0, segments, true, notify), XPV_BLOCK_DEAD);
	segments.count = XPV_BLOCK_SEGMENTS + 1;
	EXPECT_EQ(ring->submit(request_number(1), XPV_BLOCK_READ, 0, segments, true, notify), XPV_BLOCK_DEAD);
	completions = {};
	ring->shut();
	ring->abort(completions);
	EXPECT_EQ(completions.count, 0u);
}

} // namespace
