// SPDX-License-Identifier: GPL-2.0-only
/* The transmit ring with backends that do not keep to the protocol. */
#include "tests/host/netfront_tx_fixture.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

/* ---- Backends that break the protocol ---- */

/* Case 1. */
TEST_F(NetfrontTx, MoreResponsesThanRequests)
{
	for (RING_IDX more : { 2u, 300u, 0x80000000u }) {
		SCOPED_TRACE(more);
		release(ring->end());
		other.release();
		ring = TxRing::make(backend).take();
		other.attach_tx(ring->reference());
		send(packet(more).staged("x"));
		other.tx().rsp_prod = more;
		EXPECT_TRUE(collect().violation);
		expect_broken();
	}
}

/* Case 2. */
TEST_F(NetfrontTx, ResponsesThatGoBackwards)
{
	auto slot = send(packet(1).staged("x"))[0];
	other.respond_tx(slot.id);
	EXPECT_FALSE(collect().violation);
	other.tx().rsp_prod = 0;
	EXPECT_TRUE(collect().violation);
	expect_broken();
}

/* Case 3. */
TEST_F(NetfrontTx, ResponseWithAnIdThatCannotBe)
{
	send(packet(1).staged("x"));
	other.respond_tx(256);
	auto violation = collect().violation;
	EXPECT_EQ(violation.number, 256u);
	expect_broken();
}

/* Case 4. */
TEST_F(NetfrontTx, ResponseToNothing)
{
	auto slot = send(packet(1).staged("x"))[0];
	other.respond_tx((slot.id + 1u) & 255);
	EXPECT_TRUE(collect().violation);
	expect_broken();
}

TEST_F(NetfrontTx, SecondResponse)
{
	auto slot = send(packet(1).staged("x"))[0];
	send(packet(2).staged("y"));
	other.respond_tx(slot.id);
	other.respond_tx(slot.id);
	EXPECT_TRUE(collect().violation);
	EXPECT_EQ(released, 1u);
	expect_broken();
}

/* The id of the first segment is in use until the last one has come back. */
TEST_F(NetfrontTx, SecondResponseToAFirstSegment)
{
	auto slots = send(packet(1).staged("x").in_place("y"));
	other.respond_tx(slots[0].id);
	EXPECT_FALSE(collect().violation);
	other.respond_tx(slots[0].id);
	EXPECT_TRUE(collect().violation);
	EXPECT_EQ(released, 0u);
	expect_broken();
}

TEST_F(NetfrontTx, ResponseToDetailsThatWereNotSent)
{
	send(packet(1).staged("x"));
	other.respond_tx(0, NETIF_RSP_NULL);
	EXPECT_TRUE(collect().violation);
	expect_broken();
}

/* Case 6. */
TEST_F(NetfrontTx, AbsurdStatusIsAnError)
{
	int statuses[] = { NETIF_RSP_ERROR, NETIF_RSP_DROPPED, -32768, 32767 };
	unsigned int number = 0;
	for (int status : statuses) {
		auto slot = send(packet(number++).staged("x"))[0];
		other.respond_tx(slot.id, status);
		auto collected = collect();
		EXPECT_FALSE(collected.violation);
		EXPECT_EQ(collected.dropped, status == NETIF_RSP_DROPPED);
		EXPECT_EQ(collected.errors, status != NETIF_RSP_DROPPED);
	}
}

/* Case 12. */
TEST_F(NetfrontTx, PageThatStaysMapped)
{
	auto slots = send(packet(1).staged("x").in_place("y"));
	ASSERT_NE(other.map({ slots[1].gref }, false), nullptr);
	other.respond_tx(slots[0].id);
	other.respond_tx(slots[1].id);
	auto collected = collect();
	EXPECT_TRUE(collected.violation);
	EXPECT_EQ(released, 1u);
	/* Whoever frees the page now does not free it for use. */
	EXPECT_EQ(grant_counts().parked, 1u);
	EXPECT_EQ(held_frames(), 1u);
	expect_broken();
	other.unmap({ slots[1].gref });
}

} // namespace
