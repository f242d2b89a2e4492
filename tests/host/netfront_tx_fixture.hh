/* SPDX-License-Identifier: GPL-2.0-only */
/* A transmit ring with a backend at its other end. For one source of a program. */
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include "gnttab/linux.h"
#include "netfront/tx_ring.hh"
#include "tests/host/fake/gnttab.hh"
#include "tests/host/fake/netfront.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/netfront_backend.hh"

namespace xpv_test {

using namespace xpv;

/* A packet with its memory: a page for each segment that is not staged. */
struct Packet : xpv_tx_packet {
	Packet() : xpv_tx_packet{} {}
	~Packet()
	{
		for (void *page : pages)
			xpv_pages_free(page, 0);
	}
	Packet(const Packet &) = delete;
	Packet &operator=(const Packet &) = delete;

	Packet &staged(const std::string &data)
	{
		segments[segment_count++] = { {}, 0, static_cast<uint16_t>(data.size()), true };
		return add(data);
	}
	Packet &in_place(const std::string &data, unsigned int offset = 64)
	{
		void *page = xpv_pages_alloc(0, XPV_MAY_SLEEP);
		std::memcpy(static_cast<char *>(page) + offset, data.data(), data.size());
		pages.push_back(page);
		segments[segment_count++] = { xpv_pages_pfn(page), static_cast<uint16_t>(offset),
					      static_cast<uint16_t>(data.size()), false };
		return add(data);
	}
	Packet &add(const std::string &data)
	{
		memory.data += data;
		length = static_cast<uint16_t>(memory.data.size());
		owner = &memory;
		return *this;
	}

	xpv_tx_owner memory;
	std::vector<void *> pages;
};

class NetfrontTx : public testing::Test {
protected:
	void SetUp() override
	{
		xpv_fake_set_max_grant_frames(8);
		xpv_fake_reset();
		ASSERT_EQ(xpv_gnttab_load(), 0);
		allocations = fake::live_allocations();
		auto made = TxRing::make(backend);
		ASSERT_TRUE(made.ok());
		ring = made.take();
		other.attach_tx(ring->reference());
	}
	void TearDown() override
	{
		other.release();
		if (ring)
			release(ring->end());
		ring.reset();
		EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
		EXPECT_TRUE(fake::wait_for_work(5000));
		for (auto &[number, packet] : packets)
			EXPECT_EQ(packet.memory.released, 1u) << "packet " << number;
		packets.clear();
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(grant_counts().free, grant_counts().total);
		EXPECT_EQ(xpv_fake_active_grants(), 0u);
		EXPECT_EQ(held_frames(), 0u);
		xpv_gnttab_unload();
	}

	/* A packet that is to be released once by the end of the test. */
	Packet &packet(unsigned int number) { return packets.try_emplace(number).first->second; }
	/* What the backend sees of one that is transmitted now. */
	std::vector<netif_tx_request> send(const Packet &one)
	{
		EXPECT_TRUE(ring->submit(one).ok());
		notify = ring->push();
		return take();
	}
	std::vector<netif_tx_request> take()
	{
		std::vector<netif_tx_request> slots;
		while (auto slot = other.next_tx())
			slots.push_back(*slot);
		return slots;
	}
	static unsigned int release(std::span<xpv_tx_owner *const> owners)
	{
		for (xpv_tx_owner *owner : owners)
			owner->released++;
		return static_cast<unsigned int>(owners.size());
	}
	TxRing::Collected collect()
	{
		auto collected = ring->collect();
		released = release(collected.owners);
		return collected;
	}
	/* After a violation. */
	void expect_broken()
	{
		Packet more;
		more.staged("more");
		EXPECT_EQ(ring->submit(more).error(), XEN_ENODEV);
		EXPECT_FALSE(ring->push());
		EXPECT_FALSE(collect().violation);
		EXPECT_EQ(released, 0u);
	}

	std::size_t allocations = 0;
	Owned<TxRing> ring;
	NetBackend other{ backend };
	std::map<unsigned int, Packet> packets;
	unsigned int released = 0;
	bool notify = false;
};

} // namespace xpv_test
