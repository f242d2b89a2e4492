// SPDX-License-Identifier: GPL-2.0-only
/* The receive ring against backends that keep to the protocol, and such that do not. */
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

namespace {

using namespace xpv;
using namespace xpv_test;

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

TEST_F(NetfrontRx, AllPagesArePosted)
{
	EXPECT_EQ(other.posted(), 256u);
	EXPECT_EQ(queue.pages, 256u);
	for (unsigned int i = 0; i < 256; i++) {
		auto request = other.next_rx();
		ASSERT_TRUE(request);
		EXPECT_EQ(request->id, i);
		EXPECT_TRUE(other.permitted({ request->gref }, true));
	}
}

TEST_F(NetfrontRx, SmallPacketIsCopiedAndItsPageStays)
{
	auto slot = other.deliver("small", NETRXF_data_validated, 2);
	ASSERT_TRUE(slot);
	auto collected = collect();
	EXPECT_TRUE(collected.progress);
	ASSERT_EQ(received.size(), 1u);
	EXPECT_EQ(received[0].data, "small");
	EXPECT_FALSE(received[0].owned);
	EXPECT_TRUE(received[0].description.checksum_known_good);
	EXPECT_FALSE(received[0].description.checksum_blank);
	EXPECT_TRUE(other.permitted({ slot->gref }, true)) << "the grant stays";
	/* Not before the caller is done with it. */
	EXPECT_EQ(other.posted(), 255u);
	refill();
	EXPECT_EQ(other.posted(), 256u);
	EXPECT_EQ(queue.pages, 256u);
	netif_rx_request last = {};
	while (auto request = other.next_rx())
		last = *request;
	EXPECT_EQ(last.gref, slot->gref);
	EXPECT_EQ(last.id, 0);
}

TEST_F(NetfrontRx, LargePacketTakesItsPageAlong)
{
	auto slot = other.deliver(std::string(1514, 'l'), NETRXF_csum_blank | NETRXF_data_validated);
	collect();
	ASSERT_EQ(received.size(), 1u);
	EXPECT_TRUE(received[0].owned);
	EXPECT_EQ(received[0].data, std::string(1514, 'l'));
	EXPECT_TRUE(received[0].description.checksum_blank);
	EXPECT_FALSE(other.permitted({ slot->gref }, false));
	EXPECT_EQ(queue.pages, 255u);
}

TEST_F(NetfrontRx, PacketOfManySlots)
{
	std::string expected;
	for (unsigned int i = 0; i < XPV_NET_SLOTS_MAX; i++) {
		std::string data(i ? 3600 : 100, static_cast<char>('a' + i));
		expected += data;
		other.deliver(data, i + 1 < XPV_NET_SLOTS_MAX ? NETRXF_more_data : 0);
	}
	EXPECT_FALSE(collect().violation);
	ASSERT_EQ(received.size(), 1u);
	EXPECT_EQ(received[0].data, expected);
	EXPECT_EQ(received[0].pieces, 18u);
	EXPECT_TRUE(received[0].owned);
	refill();
	/* New pages are posted by the dozen. */
	EXPECT_EQ(other.posted(), 254u);
}

TEST_F(NetfrontRx, SegmentsToBe)
{
	other.deliver(std::string(4096, 'a'), NETRXF_csum_blank | NETRXF_more_data | NETRXF_extra_info);
	other.deliver_extra(NetBackend::extra(XEN_NETIF_EXTRA_TYPE_HASH, true));
	other.deliver_extra(NetBackend::gso(1428, XEN_NETIF_GSO_TYPE_TCPV6));
	other.deliver(std::string(500, 'b'));
	other.deliver("next");
	EXPECT_EQ(collect().batch.errors, 0u);
	ASSERT_EQ(received.size(), 2u);
	EXPECT_EQ(received[0].data, std::string(4096, 'a') + std::string(500, 'b'));
	EXPECT_EQ(received[0].description.gso, XPV_NET_GSO_TCPV6);
	EXPECT_EQ(received[0].description.gso_size, 1428);
	EXPECT_EQ(received[1].data, "next");
	EXPECT_EQ(received[1].description.gso, XPV_NET_GSO_NONE);
	/* The pages of the details were not used, and go back as they are. */
	EXPECT_EQ(queue.pages, 254u);
}

TEST_F(NetfrontRx, HashOfEachKind)
{
	const struct {
		unsigned int type;
		xpv_net_hash kind;
	} table[] = { { _XEN_NETIF_CTRL_HASH_TYPE_IPV4, XPV_NET_HASH_L3 },
		      { _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP, XPV_NET_HASH_L4 },
		      { _XEN_NETIF_CTRL_HASH_TYPE_IPV6, XPV_NET_HASH_L3 },
		      { _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP, XPV_NET_HASH_L4 } };
	for (const auto &[type, kind] : table) {
		SCOPED_TRACE(type);
		other.deliver("hashed", NETRXF_extra_info);
		other.deliver_extra(NetBackend::hash(0x12345678, type));
		other.deliver("plain");
		collect();
		ASSERT_EQ(received.size(), 2u);
		EXPECT_EQ(received[0].description.hash_kind, kind);
		EXPECT_EQ(received[0].description.hash, 0x12345678u);
		EXPECT_EQ(received[1].description.hash_kind, XPV_NET_HASH_NONE);
		refill();
	}
}

/* The packet is good without it. */
TEST_F(NetfrontRx, HashOfAnUnknownKindIsNone)
{
	const netif_extra_info unknown[] = { NetBackend::hash(7, 4), NetBackend::hash(7, 255), NetBackend::hash(7, 1, 0),
					     NetBackend::hash(7, 1, 2), NetBackend::hash(7, 1, 255) };
	for (const netif_extra_info &extra : unknown) {
		other.deliver("data", NETRXF_extra_info);
		other.deliver_extra(extra);
		EXPECT_EQ(collect().batch.errors, 0u);
		ASSERT_EQ(received.size(), 1u);
		EXPECT_EQ(received[0].data, "data");
		EXPECT_EQ(received[0].description.hash_kind, XPV_NET_HASH_NONE);
		refill();
	}
}

TEST_F(NetfrontRx, BudgetIsKept)
{
	for (unsigned int i = 0; i < 100; i++)
		other.deliver(std::to_string(i));
	unsigned int seen = 0;
	for (unsigned int budget : { 1u, 10u, 64u, 64u }) {
		collect(budget);
		EXPECT_LE(received.size(), budget);
		for (const Received &one : received)
			EXPECT_EQ(one.data, std::to_string(seen++));
		refill();
	}
	EXPECT_EQ(seen, 100u);
}

TEST_F(NetfrontRx, ABatchOfLargePacketsFits)
{
	for (unsigned int i = 0; i < 12; i++)
		for (unsigned int k = 0; k < 17; k++)
			other.deliver(std::string(3000, static_cast<char>('a' + i)), k < 16 ? NETRXF_more_data : 0);
	unsigned int seen = 0;
	while (seen < 12) {
		EXPECT_FALSE(collect().violation);
		ASSERT_FALSE(received.empty());
		for (const Received &one : received)
			EXPECT_EQ(one.data, std::string(51000, static_cast<char>('a' + seen++)));
	}
}

TEST_F(NetfrontRx, AsksForTheNextEvent)
{
	EXPECT_FALSE(ring->more_after_asking().value());
	EXPECT_EQ(other.rx().rsp_event, 1u);
	other.deliver("x");
	EXPECT_TRUE(ring->pending());
	EXPECT_TRUE(ring->more_after_asking().value());
	collect();
	EXPECT_FALSE(ring->pending());
	EXPECT_FALSE(ring->more_after_asking().value());
	EXPECT_EQ(other.rx().rsp_event, 2u);
}

TEST_F(NetfrontRx, ShortOfPages)
{
	queue.pages_left = 20;
	for (unsigned int i = 0; i < 250; i++) {
		other.deliver(std::string(1000, 'x'));
		if (i % 50 == 49)
			collect();
	}
	EXPECT_EQ(other.posted(), 6u);
	auto refilled = refill();
	EXPECT_TRUE(refilled.starving);
	EXPECT_EQ(other.posted(), 26u);
	queue.pages_left = ~0u;
	EXPECT_FALSE(refill().starving);
	EXPECT_GE(other.posted(), 240u);
	EXPECT_EQ(queue.pages, other.posted());
}

/* ---- Malformed packets: cases 8 to 11 ---- */

TEST_F(NetfrontRx, DataThatLeavesItsPage)
{
	auto request = other.next_rx();
	other.respond_rx(request->id, 4000, 0, 97);
	expect_malformed();
	request = other.next_rx();
	other.respond_rx(request->id, 0xffff, 0, 0x7fff);
	expect_malformed();
	request = other.next_rx();
	other.respond_rx(request->id, 0, 0, 4097);
	expect_malformed();
}

TEST_F(NetfrontRx, StatusThatIsNoLength)
{
	for (int status : { 0, -1, -32768 }) {
		SCOPED_TRACE(status);
		auto request = other.next_rx();
		other.respond_rx(request->id, 0, 0, status);
		expect_malformed();
	}
}

TEST_F(NetfrontRx, OneSlotOfManyIsBad)
{
	other.deliver(std::string(2000, 'a'), NETRXF_more_data);
	auto request = other.next_rx();
	other.respond_rx(request->id, 0, NETRXF_more_data, -1);
	other.deliver(std::string(2000, 'b'));
	expect_malformed();
}

TEST_F(NetfrontRx, ChainThatDoesNotEnd)
{
	for (unsigned int i = 0; i < 256; i++)
		other.deliver("x", NETRXF_more_data);
	auto collected = collect();
	EXPECT_FALSE(collected.violation);
	EXPECT_EQ(collected.batch.errors, 1u);
	EXPECT_TRUE(received.empty());
	refill();
	EXPECT_EQ(queue.pages, 256u);
	other.deliver("x", NETRXF_more_data);
	EXPECT_EQ(collect().batch.errors, 1u);
	refill();
	other.deliver("good");
	collect();
	ASSERT_EQ(received.size(), 1u);
}

TEST_F(NetfrontRx, TooManySlots)
{
	for (unsigned int i = 0; i <= XPV_NET_SLOTS_MAX; i++)
		other.deliver("x", i < XPV_NET_SLOTS_MAX ? NETRXF_more_data : 0);
	expect_malformed();
}

TEST_F(NetfrontRx, TooLong)
{
	for (unsigned int i = 0; i < 17; i++)
		other.deliver(std::string(4096, 'x'), i < 16 ? NETRXF_more_data : 0);
	expect_malformed();
}

TEST_F(NetfrontRx, DetailsThatMakeNoSense)
{
	const netif_extra_info nonsense[] = {
		NetBackend::extra(XEN_NETIF_EXTRA_TYPE_NONE),
		NetBackend::extra(6),
		NetBackend::extra(255),
		NetBackend::gso(0),
		NetBackend::gso(7),
		NetBackend::gso(0xffff), /* GSO_BY_FRAGS */
		NetBackend::gso(1448, XEN_NETIF_GSO_TYPE_NONE),
		NetBackend::gso(1448, 3),
		NetBackend::gso(1448, 255),
	};
	for (const netif_extra_info &extra : nonsense) {
		SCOPED_TRACE(static_cast<unsigned int>(extra.type) * 1000 + extra.u.gso.size);
		other.deliver("head", NETRXF_extra_info);
		other.deliver_extra(extra);
		expect_malformed();
	}
}

TEST_F(NetfrontRx, DetailsThatDoNotEnd)
{
	other.deliver("head", NETRXF_extra_info);
	for (unsigned int i = 0; i < 255; i++)
		other.deliver_extra(NetBackend::extra(XEN_NETIF_EXTRA_TYPE_HASH, true));
	EXPECT_EQ(collect().batch.errors, 1u);
	EXPECT_TRUE(received.empty());
	refill();
	EXPECT_EQ(other.posted(), 256u);
	/* None at all. */
	other.deliver("head", NETRXF_extra_info);
	EXPECT_EQ(collect().batch.errors, 1u);
	refill();
	EXPECT_EQ(queue.pages, 256u);
}

/* ---- Violations: cases 1 to 4 ---- */

TEST_F(NetfrontRx, MoreResponsesThanRequests)
{
	other.rx().rsp_prod = 257;
	expect_broken(collect());
}

TEST_F(NetfrontRx, ResponsesThatGoBackwards)
{
	other.deliver("x");
	collect();
	other.rx().rsp_prod = 0;
	EXPECT_FALSE(ring->more_after_asking().ok());
	expect_broken(collect());
}

TEST_F(NetfrontRx, ResponseInAnotherSlot)
{
	other.deliver("good");
	auto request = other.next_rx();
	other.respond_rx(request->id + 1u, 0, 0, 60);
	auto collected = ring->collect(64, &queue);
	EXPECT_EQ(collected.batch.count, 1u) << "what came before is good";
	expect_broken(collected);
}

TEST_F(NetfrontRx, ResponseInAnotherSlotWithinAPacket)
{
	other.deliver(std::string(2000, 'x'), NETRXF_more_data);
	other.next_rx();
	other.respond_rx(999, 0, 0, 60);
	expect_broken(collect());
}

/* Case 12: no packet whose page the backend can still change. */
TEST_F(NetfrontRx, PageThatStaysMapped)
{
	other.deliver(std::string(1000, 'a'));
	auto slot = other.deliver(std::string(1000, 'b'));
	ASSERT_NE(other.map({ slot->gref }, true), nullptr);
	auto collected = collect();
	EXPECT_TRUE(received.empty());
	EXPECT_EQ(grant_counts().parked, 1u);
	EXPECT_EQ(held_frames(), 1u);
	EXPECT_EQ(queue.pages, 254u);
	expect_broken(collected);
	other.unmap({ slot->gref });
}

/* Case 7: what was read is not read again. */
TEST_F(NetfrontRx, ResponsesThatChangeLater)
{
	other.deliver(std::string(1000, 'x'), NETRXF_more_data | NETRXF_extra_info);
	other.deliver_extra(NetBackend::gso(900));
	other.deliver(std::string(700, 'y'));
	auto collected = ring->collect(64, &queue);
	std::memset(other.rx().ring, 0xff, 256 * sizeof(other.rx().ring[0]));
	ASSERT_EQ(collected.batch.count, 1u);
	const xpv_rx_packet &packet = collected.batch.packets[0];
	EXPECT_EQ(packet.length, 1700u);
	EXPECT_EQ(packet.gso_size, 900);
	for (unsigned int i = 0; i < packet.piece_count; i++) {
		EXPECT_EQ(packet.pieces[i].length, i ? 700 : 1000);
		xpv_rx_page_put(&queue, packet.pieces[i].page);
	}
}

/* ---- The end ---- */

TEST_F(NetfrontRx, MappedPagesAreKeptUntilTheyAreNot)
{
	auto slot = other.next_rx();
	ASSERT_NE(other.map({ slot->gref }, true), nullptr);
	other.release();
	ring->end(&queue);
	EXPECT_EQ(queue.pages, 1u);
	EXPECT_EQ(ring->still_mapped(&queue), 1u);
	other.unmap({ slot->gref });
	EXPECT_EQ(ring->still_mapped(&queue), 0u);
	EXPECT_EQ(queue.pages, 0u);
}

/* Case 13. */
TEST_F(NetfrontRx, MappedPagesAreParkedInTheEnd)
{
	auto slot = other.next_rx();
	ASSERT_NE(other.map({ slot->gref }, true), nullptr);
	other.release();
	ring->end(&queue);
	ring->release(&queue);
	EXPECT_EQ(queue.pages, 0u);
	EXPECT_EQ(grant_counts().parked, 1u);
	EXPECT_EQ(held_frames(), 1u);
	other.unmap({ slot->gref });
}

/* The ring's page may have been saved later than the page with the data. */
TEST_F(NetfrontRx, ResponsesAfterARestoreDoNotCount)
{
	other.deliver(std::string(1000, 'a'));
	other.release();
	restore_domain();
	auto collected = collect();
	EXPECT_TRUE(received.empty());
	EXPECT_FALSE(collected.progress || collected.violation);
	ring->end(&queue);
	EXPECT_EQ(ring->still_mapped(&queue), 0u);
}

/* A request that is taken late finds nothing. */
TEST_F(NetfrontRx, EndedRingIsEmpty)
{
	ring->end(&queue);
	while (auto slot = other.next_rx())
		EXPECT_EQ(slot->gref, 0u);
}

TEST_F(NetfrontRx, EndInTheMiddleOfAPoll)
{
	other.deliver("copied, and not posted again");
	for (unsigned int i = 0; i < 5; i++)
		other.deliver("not collected");
	collect(1);
	other.release();
	ring->end(&queue);
	EXPECT_EQ(ring->still_mapped(&queue), 0u);
	EXPECT_EQ(queue.pages, 0u);
}

TEST_F(NetfrontRx, EveryAllocationFailsOnce)
{
	std::size_t before = fake::live_allocations();
	for (unsigned int n = 1;; n++) {
		fake::fail_allocation(n);
		auto made = RxRing::make(backend);
		fake::fail_allocation(0);
		if (made.ok())
			break;
		EXPECT_EQ(made.error(), XEN_ENOMEM);
		EXPECT_EQ(fake::live_allocations(), before);
		ASSERT_LT(n, 100u);
	}
}

/* Any bytes at all, for some thousand slots: nothing but packets within their pages, errors, or one violation. */
TEST_F(NetfrontRx, AnyBytes)
{
	for (unsigned int seed = 0; seed < 60; seed++) {
		std::mt19937 random(seed);
		bool broken = false;
		for (unsigned int round = 0; round < 100 && !broken; round++) {
			for (unsigned int count = random() % 40; count != 0; count--) {
				auto request = other.next_rx();
				if (!request)
					break;
				/* Mostly what goes further than the first check. */
				bool sane = random() % 8;
				other.respond_rx(random() % 500 ? request->id : random(),
						 sane ? random() % 3000 : random(), random() & 0x1f,
						 static_cast<int>(sane ? random() % 1000 : random()));
			}
			auto collected = collect(1 + random() % 64);
			for (const Received &one : received)
				EXPECT_LE(one.data.size(), 65535u);
			broken = static_cast<bool>(collected.violation);
			refill();
			EXPECT_LE(queue.pages, 256u);
		}
		other.release();
		ring->end(&queue);
		EXPECT_EQ(queue.pages, 0u);
		ring = RxRing::make(backend).take();
		other.attach_rx(ring->reference());
		refill();
	}
}

} // namespace
