// SPDX-License-Identifier: GPL-2.0-only
/* The receive ring with a backend that keeps to the protocol, and its end. */
#include "tests/host/netfront_rx_fixture.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

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
