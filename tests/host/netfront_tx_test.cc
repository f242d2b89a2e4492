// SPDX-License-Identifier: GPL-2.0-only
/* The transmit ring with a backend that keeps to the protocol, and its end. */
#include "tests/host/netfront_tx_fixture.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

TEST_F(NetfrontTx, PacketOfOneSegment)
{
	auto slots = send(packet(1).staged("headers and all"));
	ASSERT_EQ(slots.size(), 1u);
	EXPECT_EQ(slots[0].size, 15);
	EXPECT_EQ(slots[0].flags, 0);
	EXPECT_EQ(slots[0].offset, 0);
	EXPECT_EQ(other.read(slots[0], 15), "headers and all");
	/* The rest of the page is zeroes, and not the backend's to write. */
	EXPECT_EQ(other.read(slots[0], 4096).substr(15), std::string(4096 - 15, 0));
	EXPECT_FALSE(other.permitted({ slots[0].gref }, true));
	EXPECT_EQ(collect().progress, false);
	other.respond_tx(slots[0].id);
	EXPECT_TRUE(collect().progress);
	EXPECT_EQ(released, 1u);
}

TEST_F(NetfrontTx, SlotsOfAPacketSayWhatIsWhere)
{
	Packet &one = packet(1);
	one.staged(std::string(66, 'h')).in_place(std::string(2000, 'a'), 100).in_place(std::string(4096, 'b'), 0);
	one.gso = XPV_NET_GSO_TCPV6;
	one.gso_size = 1428;
	one.checksum_blank = true;
	auto slots = send(one);
	ASSERT_EQ(slots.size(), 4u);
	/* The first one has the length of all, and says that details follow, and more data. */
	EXPECT_EQ(slots[0].size, 66 + 2000 + 4096);
	EXPECT_EQ(slots[0].flags, NETTXF_csum_blank | NETTXF_data_validated | NETTXF_more_data | NETTXF_extra_info);
	auto extra = NetBackend::extra_of(slots[1]);
	EXPECT_EQ(extra.type, XEN_NETIF_EXTRA_TYPE_GSO);
	EXPECT_EQ(extra.flags, 0);
	EXPECT_EQ(extra.u.gso.size, 1428);
	EXPECT_EQ(extra.u.gso.type, XEN_NETIF_GSO_TYPE_TCPV6);
	EXPECT_EQ(extra.u.gso.features, 0);
	EXPECT_EQ(slots[2].size, 2000);
	EXPECT_EQ(slots[2].offset, 100);
	EXPECT_EQ(slots[2].flags, NETTXF_more_data);
	EXPECT_EQ(other.read(slots[2], 2000), std::string(2000, 'a'));
	EXPECT_EQ(slots[3].size, 4096);
	EXPECT_EQ(slots[3].flags, 0);
	for (unsigned int i : { 0, 2, 3 })
		EXPECT_FALSE(other.permitted({ slots[i].gref }, true)) << i;

	/* Done when all are back, in whatever order; the details have a response of their own. */
	other.respond_tx(slots[3].id);
	other.respond_tx(slots[0].id);
	EXPECT_FALSE(collect().violation);
	EXPECT_EQ(released, 0u);
	EXPECT_FALSE(other.permitted({ slots[3].gref }, false));
	other.respond_tx(0xffff, NETIF_RSP_NULL);
	EXPECT_FALSE(collect().violation);
	other.respond_tx(slots[2].id, NETIF_RSP_ERROR);
	auto collected = collect();
	EXPECT_EQ(released, 1u);
	EXPECT_EQ(collected.errors, 1u);
	EXPECT_EQ(ring->room(), 256u);
}

TEST_F(NetfrontTx, ChecksumThatIsKnownToBeGood)
{
	Packet &one = packet(1);
	one.staged("x");
	one.checksum_known_good = true;
	EXPECT_EQ(send(one)[0].flags, NETTXF_data_validated);
}

TEST_F(NetfrontTx, OneEventForABurst)
{
	other.sleep_tx();
	for (unsigned int i = 0; i < 32; i++) {
		ASSERT_TRUE(ring->submit(packet(i).staged("burst")).ok());
		EXPECT_FALSE(other.next_tx());
	}
	EXPECT_TRUE(ring->push());
	EXPECT_FALSE(ring->push());
	EXPECT_EQ(take().size(), 32u);
	/* The backend is awake. */
	ASSERT_TRUE(ring->submit(packet(32).staged("more")).ok());
	EXPECT_FALSE(ring->push());
}

TEST_F(NetfrontTx, ResponsesComeWithFewEvents)
{
	std::vector<netif_tx_request> slots;
	for (unsigned int i = 0; i < 32; i++)
		for (const auto &slot : send(packet(i).staged("x")))
			slots.push_back(slot);
	unsigned int events = 0;
	EXPECT_FALSE(collect().progress); /* asks for one */
	EXPECT_EQ(other.tx().rsp_event, 16u);
	for (const auto &slot : slots) {
		RING_IDX before = other.tx().rsp_prod;
		other.respond_tx(slot.id);
		if (other.tx().rsp_prod - other.tx().rsp_event < other.tx().rsp_prod - before) {
			events++;
			collect();
		}
	}
	/* The last one comes with an event, and none is left for later. */
	EXPECT_EQ(events, 6u);
	for (auto &[number, one] : packets)
		EXPECT_EQ(one.memory.released, 1u);
}

TEST_F(NetfrontTx, FewResponsesAreLeftForTheirEvent)
{
	std::vector<netif_tx_request> slots;
	for (unsigned int i = 0; i < 40; i++)
		for (const auto &slot : send(packet(i).staged("x")))
			slots.push_back(slot);
	collect();
	RING_IDX event = other.tx().rsp_event;
	for (unsigned int i = 0; i < 15; i++)
		other.respond_tx(slots[i].id);
	EXPECT_EQ(ring->collect(16).owners.size(), 0u);
	EXPECT_EQ(other.tx().rsp_event, event);
	other.respond_tx(slots[15].id);
	EXPECT_EQ(release(ring->collect(16).owners), 16u);
	other.tx().rsp_prod = 1000;
	EXPECT_TRUE(ring->collect(16).violation);
}

TEST_F(NetfrontTx, FullRingRefusesAndTakesAgain)
{
	unsigned int number = 0;
	while (ring->room() >= 3) {
		Packet &one = packet(number++);
		one.staged("h").in_place("d");
		one.gso = XPV_NET_GSO_TCPV4;
		one.gso_size = 1448;
		ASSERT_TRUE(ring->submit(one).ok());
	}
	Packet late;
	late.staged("h").in_place("d").in_place("e");
	EXPECT_EQ(ring->submit(late).error(), XEN_EAGAIN);
	EXPECT_EQ(number, 85u);
	EXPECT_EQ(ring->room(), 1u);
	static_cast<void>(ring->push());
	auto slots = take();
	ASSERT_EQ(slots.size(), 255u);
	for (unsigned int i = 0; i < slots.size(); i += 3) {
		other.respond_tx(slots[i].id);
		other.respond_tx(0, NETIF_RSP_NULL);
		other.respond_tx(slots[i + 2].id);
	}
	EXPECT_FALSE(collect().violation);
	EXPECT_EQ(released, 85u);
	EXPECT_EQ(ring->room(), 256u);
}

TEST_F(NetfrontTx, PagesToStageInAreUsedAgain)
{
	auto first = send(packet(1).staged("a secret of the last one"))[0];
	other.respond_tx(first.id);
	collect();
	std::size_t pages = fake::live_allocations();
	auto second = send(packet(2).staged("b"))[0];
	EXPECT_EQ(second.gref, first.gref);
	EXPECT_EQ(fake::live_allocations(), pages);
	other.respond_tx(second.id);
	collect();
}

TEST_F(NetfrontTx, NoPageToStageIn)
{
	Packet none;
	none.staged("x").in_place("y");
	fake::fail_allocation(1);
	EXPECT_EQ(ring->submit(none).error(), XEN_ENOMEM);
	fake::fail_allocation(0);
	EXPECT_EQ(ring->room(), 256u);
	EXPECT_FALSE(ring->push());
	EXPECT_EQ(send(packet(1).staged("x")).size(), 1u);
}

TEST_F(NetfrontTx, TooManySegmentsAreRefused)
{
	Packet none;
	none.segment_count = XPV_NET_SLOTS_MAX + 1;
	EXPECT_FALSE(ring->submit(none).ok());
	none.segment_count = 0;
	EXPECT_FALSE(ring->submit(none).ok());
}

/* ---- The end ---- */

TEST_F(NetfrontTx, WhatIsInFlightComesBackOnceAtTheEnd)
{
	for (unsigned int i = 0; i < 20; i++)
		packet(i).staged("x").in_place("y");
	for (unsigned int i = 0; i < 20; i++)
		ASSERT_TRUE(ring->submit(packet(i)).ok());
	static_cast<void>(ring->push());
	auto slots = take();
	/* One is half done, and one is done. */
	other.respond_tx(slots[0].id);
	other.respond_tx(slots[2].id);
	other.respond_tx(slots[3].id);
	collect();
	EXPECT_EQ(released, 1u);
	other.release();
	EXPECT_EQ(release(ring->end()), 19u);
	EXPECT_EQ(release(ring->end()), 0u);
	EXPECT_EQ(ring->still_mapped(), 0u);
	EXPECT_EQ(release(ring->release()), 0u);
}

/* A request that is taken late finds nothing. */
TEST_F(NetfrontTx, EndedRingIsEmpty)
{
	packet(1).staged("x").in_place("y");
	ASSERT_TRUE(ring->submit(packet(1)).ok());
	static_cast<void>(ring->push());
	EXPECT_EQ(release(ring->end()), 1u);
	for (const netif_tx_request &slot : take()) {
		EXPECT_EQ(slot.gref, 0u);
		EXPECT_EQ(slot.size, 0u);
	}
}

TEST_F(NetfrontTx, ResponsesAfterARestoreDoNotCount)
{
	auto slots = send(packet(1).in_place("x"));
	other.respond_tx(slots[0].id);
	other.release();
	restore_domain();
	auto collected = collect();
	EXPECT_FALSE(collected.progress || collected.violation);
	EXPECT_EQ(release(ring->end()), 1u);
}

TEST_F(NetfrontTx, WhatIsMappedComesBackLater)
{
	auto slots = send(packet(1).staged("x").in_place("y").in_place("z"));
	send(packet(2).in_place("w"));
	ASSERT_NE(other.map({ slots[1].gref }, false), nullptr);
	other.release();
	EXPECT_EQ(release(ring->end()), 1u);
	EXPECT_EQ(ring->still_mapped(), 1u);
	EXPECT_EQ(grant_counts().parked, 0u);
	EXPECT_EQ(release(ring->end()), 0u);
	other.unmap({ slots[1].gref });
	EXPECT_EQ(release(ring->end()), 1u);
	EXPECT_EQ(ring->still_mapped(), 0u);
}

/* Its packet does not wait for that. */
TEST_F(NetfrontTx, PageStagedInThatIsMappedIsFreedLater)
{
	auto slots = send(packet(1).staged("x"));
	ASSERT_NE(other.map({ slots[0].gref }, false), nullptr);
	other.release();
	EXPECT_EQ(release(ring->end()), 1u);
	EXPECT_EQ(ring->still_mapped(), 1u);
	EXPECT_EQ(release(ring->end()), 0u);
	EXPECT_EQ(ring->still_mapped(), 1u);
	EXPECT_EQ(grant_counts().parked, 0u);
	other.unmap({ slots[0].gref });
	EXPECT_EQ(release(ring->end()), 0u);
	EXPECT_EQ(ring->still_mapped(), 0u);
}

/* Case 13. */
TEST_F(NetfrontTx, WhatIsMappedForEverIsParked)
{
	auto slots = send(packet(1).staged("x").in_place("y"));
	ASSERT_NE(other.map({ slots[1].gref }, false), nullptr);
	ASSERT_NE(other.map({ slots[0].gref }, false), nullptr);
	EXPECT_EQ(release(ring->end()), 0u);
	EXPECT_EQ(ring->still_mapped(), 2u);
	EXPECT_EQ(release(ring->release()), 1u);
	EXPECT_EQ(ring->still_mapped(), 1u) << "the page that was staged in";
	ring.reset();
	/* The packet's page, the ring, and the page that was staged in. */
	EXPECT_EQ(grant_counts().parked, 3u);
	other.unmap({ slots[1].gref });
	other.unmap({ slots[0].gref });
	other.release();
}

TEST_F(NetfrontTx, EveryAllocationFailsOnce)
{
	other.release();
	ring.reset();
	std::size_t before = fake::live_allocations();
	for (unsigned int n = 1;; n++) {
		fake::fail_allocation(n);
		auto made = TxRing::make(backend);
		fake::fail_allocation(0);
		if (made.ok())
			break;
		EXPECT_EQ(made.error(), XEN_ENOMEM);
		EXPECT_EQ(fake::live_allocations(), before);
		ASSERT_LT(n, 100u);
	}
}

/* A backend that answers in any order, as it likes, for some thousand packets of all shapes. */
TEST_F(NetfrontTx, ManyPackets)
{
	std::mt19937 random(1);
	auto one_of = [&](unsigned int n) { return random() % n; };
	std::deque<netif_tx_request> unanswered;
	std::vector<std::string> expected;
	unsigned int number = 0, done = 0, seen = 0;
	for (unsigned int round = 0; round < 4000; round++) {
		if (number < 3000 && one_of(3)) {
			unsigned int segments = 1 + one_of(one_of(8) ? 3 : XPV_NET_SLOTS_MAX);
			bool gso = one_of(4) == 0;
			if (ring->room() >= segments + gso) {
				Packet &one = packet(number++);
				for (unsigned int i = 0; i < segments; i++) {
					std::string data(1 + one_of(i ? 3000 : 256), static_cast<char>('a' + one_of(26)));
					if (i == 0 || one_of(4) == 0)
						one.staged(data);
					else
						one.in_place(data, one_of(1000));
				}
				if (gso) {
					one.gso = XPV_NET_GSO_TCPV4;
					one.gso_size = 1448;
				}
				ASSERT_TRUE(ring->submit(one).ok());
				expected.push_back(one.memory.data);
			}
		}
		if (one_of(2))
			static_cast<void>(ring->push());
		/* The backend reads whole packets. */
		while (auto first = other.next_tx()) {
			unsigned int total = first->size, rest = 0;
			std::vector<netif_tx_request> slots{ *first };
			if (first->flags & NETTXF_extra_info) {
				auto extra = other.next_tx();
				ASSERT_TRUE(extra);
				EXPECT_EQ(NetBackend::extra_of(*extra).type, XEN_NETIF_EXTRA_TYPE_GSO);
				other.respond_tx(0, NETIF_RSP_NULL);
			}
			while (slots.back().flags & NETTXF_more_data) {
				auto slot = other.next_tx();
				ASSERT_TRUE(slot);
				EXPECT_NE(slot->size, 0);
				rest += slot->size;
				slots.push_back(*slot);
			}
			std::string data = other.read(slots[0], total - rest);
			for (unsigned int i = 1; i < slots.size(); i++)
				data += other.read(slots[i], slots[i].size);
			ASSERT_EQ(data, expected[seen++]);
			for (const auto &slot : slots)
				unanswered.insert(unanswered.begin() +
							  one_of(static_cast<unsigned int>(unanswered.size()) + 1),
						  slot);
		}
		for (unsigned int count = one_of(12); count != 0 && !unanswered.empty(); count--) {
			other.respond_tx(unanswered.front().id);
			unanswered.pop_front();
		}
		if (one_of(3) == 0) {
			ASSERT_FALSE(collect().violation);
			done += released;
		}
	}
	static_cast<void>(ring->push());
	while (auto slot = other.next_tx())
		unanswered.push_back(*slot);
	EXPECT_GT(done, 1000u);
	EXPECT_EQ(done + release(ring->end()), number);
}

} // namespace
