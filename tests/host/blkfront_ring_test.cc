// SPDX-License-Identifier: GPL-2.0-only
/* The block ring against backends that keep to the protocol, and such that do not. */
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "blkfront/ring.hh"
#include "gnttab/linux.h"
#include "tests/host/fake/clock.hh"
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
		open({ .flush = Flush::cache });
	}
	void TearDown() override
	{
		close();
		EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
		EXPECT_TRUE(fake::wait_for_work(5000));
		EXPECT_EQ(grant_counts().free, grant_counts().total);
		EXPECT_EQ(xpv_fake_active_grants(), 0u);
		EXPECT_EQ(held_frames(), 0u);
		xpv_gnttab_unload();
	}

	/* A new connection. */
	void open(const Ring::Features &features, unsigned int segments_per_slot = 11)
	{
		auto made = Ring::make({ .backend = backend, .handle = 0xca00, .segments_per_slot = segments_per_slot });
		ASSERT_TRUE(made.ok());
		ring = std::move(made.value());
		ring->set_features(features);
		other.attach(ring->reference());
	}
	void close()
	{
		other.release();
		ring.reset();
	}
	void reopen(const Ring::Features &features, unsigned int segments_per_slot = 11)
	{
		close();
		open(features, segments_per_slot);
	}

	/* Submits and gives what the backend saw. */
	blkif_request send(unsigned int number, xpv_block_operation operation = XPV_BLOCK_READ, unsigned int pages = 1)
	{
		EXPECT_EQ(submit(number, operation, pages), XPV_BLOCK_QUEUED);
		return take();
	}
	blkif_request take()
	{
		auto seen = other.next();
		EXPECT_TRUE(seen.has_value());
		return seen.value_or(blkif_request{});
	}
	xpv_block_submit_result submit(unsigned int number, xpv_block_operation operation, unsigned int pages,
				       bool last = true)
	{
		auto entry = requests.insert_or_assign(number, BlockRequest(operation, 8 * number, pages)).first;
		return ring->submit(entry->second, last, notify);
	}
	static std::vector<std::pair<xpv_block_request *, int>> outcomes(RequestList &list)
	{
		std::vector<std::pair<xpv_block_request *, int>> result;
		unsigned int count = list.count();
		for (xpv_block_request *request = list.take_all(); request; request = request->next)
			result.emplace_back(request, request->error);
		EXPECT_EQ(result.size(), count);
		return result;
	}
	Ring::Violation collect()
	{
		RequestList list;
		collected = ring->collect(list);
		done = outcomes(list);
		return collected.violation;
	}
	unsigned int end()
	{
		RequestList list;
		ring->end(list);
		done = outcomes(list);
		return static_cast<unsigned int>(done.size());
	}
	void expect_only(unsigned int number, int error)
	{
		ASSERT_EQ(done.size(), 1u);
		EXPECT_EQ(done[0].first, &requests.at(number));
		EXPECT_EQ(done[0].second, error);
	}
	/* After a violation with `count` requests in flight: refused, and each of those comes back once. */
	void expect_broken(unsigned int count)
	{
		EXPECT_EQ(submit(1000, XPV_BLOCK_READ, 1), XPV_BLOCK_DEAD);
		EXPECT_FALSE(collect());
		EXPECT_EQ(done.size(), 0u);
		EXPECT_EQ(ring->in_flight(), count);
		EXPECT_EQ(end(), count);
		EXPECT_EQ(end(), 0u);
		EXPECT_EQ(ring->in_flight(), 0u);
	}

	Owned<Ring> ring;
	Backend other{ backend };
	std::map<unsigned int, BlockRequest> requests;
	std::vector<std::pair<xpv_block_request *, int>> done;
	Ring::Collected collected;
	bool notify = false;
};

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

/* A3: the disk always says that it has a cache; the ring knows when there is none. */
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

/* A9: blkback refuses to flush what it exports read-only. */
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

/* A12: old backends refuse an empty barrier with an error; a disk that fails does too. */
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

/* ---- Requests in several slots ---- */

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

/* ---- Hostile cases ---- */

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

/* The pages of what a backend left unfinished are used again only when it has let go of them. */
TEST_F(BlkfrontRing, PagesStillMappedAtTheEndAreRevokedLater)
{
	auto seen = send(1, XPV_BLOCK_WRITE, 3);
	other.map(seen, 0);
	other.map(seen, 2);
	EXPECT_EQ(end(), 1u);
	EXPECT_EQ(ring->still_mapped(), 2u);
	other.unmap(seen, 0);
	EXPECT_EQ(ring->still_mapped(), 1u);
	other.unmap(seen, 2);
	EXPECT_EQ(ring->still_mapped(), 0u);
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
