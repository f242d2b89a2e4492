/* SPDX-License-Identifier: GPL-2.0-only */
/* A block ring over a new grant table, with a backend that a test plays. */
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "blkfront/ring.hh"
#include "gnttab/linux.h"
#include "tests/host/blkfront_backend.hh"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/gnttab.hh"
#include "tests/host/fake/shim.hh"

namespace xpv_test {

using namespace xpv;

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

} // namespace xpv_test
