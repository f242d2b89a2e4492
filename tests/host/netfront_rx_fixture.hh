/* SPDX-License-Identifier: GPL-2.0-only */
/* A receive ring with a backend at its other end. For one source of a program. */
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "gnttab/linux.h"
#include "netfront/rx_ring.hh"
#include "tests/host/fake/gnttab.hh"
#include "tests/host/fake/netfront.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/netfront_backend.hh"

namespace xpv_test {

using namespace xpv;

/* A packet as Linux would have it. */
struct Received {
	std::string data;
	unsigned int pieces;
	bool owned;
	xpv_rx_packet description;
};

class NetfrontRx : public testing::Test {
protected:
	void SetUp() override
	{
		xpv_fake_set_max_grant_frames(8);
		xpv_fake_reset();
		ASSERT_EQ(xpv_gnttab_load(), 0);
		allocations = fake::live_allocations();
		auto made = RxRing::make(backend);
		ASSERT_TRUE(made.ok());
		ring = made.take();
		other.attach_rx(ring->reference());
		EXPECT_TRUE(refill().notify);
	}
	void TearDown() override
	{
		other.release();
		if (ring) {
			ring->end(&queue);
			ring->release(&queue);
		}
		ring.reset();
		EXPECT_EQ(queue.pages, 0u);
		EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
		EXPECT_TRUE(fake::wait_for_work(5000));
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(grant_counts().free, grant_counts().total);
		EXPECT_EQ(xpv_fake_active_grants(), 0u);
		EXPECT_EQ(held_frames(), 0u);
		xpv_gnttab_unload();
	}

	RxRing::Refilled refill() { return ring->refill(&queue); }
	/* One batch: copied, and its pages freed, as Linux does sooner or later. */
	RxRing::Collected collect(unsigned int budget = 64)
	{
		auto collected = ring->collect(budget, &queue);
		received.clear();
		for (unsigned int i = 0; i < collected.batch.count; i++) {
			const xpv_rx_packet &packet = collected.batch.packets[i];
			Received one = { "", packet.piece_count, packet.owned, packet };
			for (unsigned int k = 0; k < packet.piece_count; k++) {
				const xpv_rx_piece &piece = packet.pieces[k];
				one.data += std::string(reinterpret_cast<char *>(piece.page) + piece.offset, piece.length);
				if (packet.owned)
					xpv_rx_page_put(&queue, piece.page);
			}
			EXPECT_EQ(one.data.size(), packet.length);
			received.push_back(one);
		}
		return collected;
	}
	/* After slots that make a malformed packet: it is counted, its pages are posted again, and the next packet comes. */
	void expect_malformed()
	{
		unsigned int pages = queue.pages;
		ASSERT_TRUE(other.deliver("good"));
		auto collected = collect();
		EXPECT_FALSE(collected.violation);
		EXPECT_EQ(collected.batch.errors, 1u);
		ASSERT_EQ(received.size(), 1u);
		EXPECT_EQ(received[0].data, "good");
		EXPECT_EQ(queue.pages, pages);
		refill();
		EXPECT_EQ(other.posted(), 256u);
		EXPECT_EQ(queue.pages, pages);
	}
	/* The ring is done, and so is the next poll. */
	void expect_broken(const RxRing::Collected &collected)
	{
		EXPECT_TRUE(collected.violation);
		EXPECT_FALSE(collect().violation);
		EXPECT_TRUE(received.empty());
		EXPECT_FALSE(refill().notify);
		EXPECT_FALSE(ring->pending());
	}

	std::size_t allocations = 0;
	Owned<RxRing> ring;
	xpv_netdev_queue queue;
	NetBackend other{ backend };
	std::vector<Received> received;
};

} // namespace xpv_test
