// SPDX-License-Identifier: GPL-2.0-only
/* The receive ring with backends that do not keep to the protocol. */
#include "tests/host/netfront_rx_fixture.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

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

} // namespace
