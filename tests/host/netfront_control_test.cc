// SPDX-License-Identifier: GPL-2.0-only
/* The control ring against backends that keep to the protocol, and such that do not. */
#include <gtest/gtest.h>

#include <string>

#include "gnttab/linux.h"
#include "netfront/control_ring.hh"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/gnttab.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/netfront_control_backend.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

constexpr uint16_t some_type = XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS;

class NetfrontControl : public testing::Test {
protected:
	void SetUp() override
	{
		xpv_fake_set_max_grant_frames(8);
		xpv_fake_reset();
		ASSERT_EQ(xpv_gnttab_load(), 0);
		allocations = fake::live_allocations();
		auto made = ControlRing::make(backend);
		ASSERT_TRUE(made.ok());
		ring = made.take();
		other.attach(ring->reference());
	}
	void TearDown() override
	{
		other.release();
		ring.reset();
		EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
		EXPECT_TRUE(fake::wait_for_work(5000));
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(grant_counts().free, grant_counts().total);
		EXPECT_EQ(xpv_fake_active_grants(), 0u);
		xpv_gnttab_unload();
	}

	/* One violation, and never another access. */
	void expect_broken()
	{
		EXPECT_TRUE(ring->poll().violation);
		EXPECT_TRUE(ring->stopped());
		EXPECT_FALSE(ring->poll().violation);
		EXPECT_EQ(ring->submit(some_type).error(), XEN_ENODEV);
	}

	std::size_t allocations = 0;
	Owned<ControlRing> ring;
	ControlBackend other{ backend };
};

TEST_F(NetfrontControl, RequestAndResponse)
{
	EXPECT_FALSE(ring->busy());
	EXPECT_EQ(ring->left_ms(), 0u);
	auto submitted = ring->submit(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 1);
	ASSERT_TRUE(submitted.ok());
	EXPECT_TRUE(submitted.value());
	EXPECT_TRUE(ring->busy());
	EXPECT_FALSE(ring->poll().answered);
	auto request = other.next();
	ASSERT_TRUE(request);
	EXPECT_EQ(request->type, XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM);
	EXPECT_EQ(request->data[0], 1u);
	EXPECT_EQ(request->data[1], 0u);
	EXPECT_EQ(request->data[2], 0u);
	other.respond(request->id, request->type, XEN_NETIF_CTRL_STATUS_SUCCESS, 0xabcd);
	auto polled = ring->poll();
	EXPECT_TRUE(polled.answered);
	EXPECT_EQ(polled.status, 0u);
	EXPECT_EQ(polled.data, 0xabcdu);
	EXPECT_FALSE(polled.violation);
	EXPECT_FALSE(ring->busy());
	EXPECT_FALSE(ring->poll().answered);
}

TEST_F(NetfrontControl, DataIsInAPageOfItsOwn)
{
	const std::string key(40, 'k');
	ASSERT_TRUE(ring->submit_data(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, key.data(), 40, 40).ok());
	auto request = other.next();
	ASSERT_TRUE(request);
	EXPECT_NE(request->data[0], ring->reference().value);
	EXPECT_EQ(request->data[1], 40u);
	EXPECT_EQ(other.read(*request, 40), key);
	EXPECT_EQ(other.read(*request, 41).back(), 0);
	other.respond(request->id, request->type);
	EXPECT_TRUE(ring->poll().answered);
	EXPECT_EQ(ring->submit_data(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, key.data(), 4097, 40).error(), XEN_EINVAL);
}

TEST_F(NetfrontControl, OneAtATime)
{
	ASSERT_TRUE(ring->submit(some_type).ok());
	EXPECT_EQ(ring->submit(some_type).error(), XEN_EBUSY);
	EXPECT_EQ(ring->submit_data(some_type, "x", 1, 1).error(), XEN_EBUSY);
}

TEST_F(NetfrontControl, IndicesWrapRoundTheRing)
{
	for (unsigned int i = 0; i < 70'000; i++) {
		ASSERT_TRUE(ring->submit(some_type, i).ok());
		auto request = other.next();
		ASSERT_TRUE(request);
		ASSERT_EQ(request->id, static_cast<uint16_t>(i + 1));
		other.respond(request->id, request->type, 0, i);
		auto polled = ring->poll();
		ASSERT_TRUE(polled.answered);
		ASSERT_EQ(polled.data, i);
	}
}

TEST_F(NetfrontControl, EachStatusIsTheCallers)
{
	for (uint32_t status : { 0u, 1u, 2u, 3u, 4u, 0xffffffffu }) {
		ASSERT_TRUE(ring->submit(some_type).ok());
		auto request = other.next();
		other.respond(request->id, request->type, status);
		auto polled = ring->poll();
		EXPECT_TRUE(polled.answered);
		EXPECT_EQ(polled.status, status);
		EXPECT_FALSE(polled.violation);
	}
}

TEST_F(NetfrontControl, TimeIsCountedForEachRequest)
{
	ASSERT_TRUE(ring->submit(some_type).ok());
	EXPECT_GT(ring->left_ms(), 0u);
	EXPECT_LE(ring->left_ms(), ControlRing::answer_ms);
	fake::sleep_for(std::chrono::milliseconds(ControlRing::answer_ms + 1));
	EXPECT_EQ(ring->left_ms(), 0u);
	EXPECT_TRUE(ring->busy());
	ring->restart_deadline();
	EXPECT_GT(ring->left_ms(), 0u);
}

/* Case 3. */
TEST_F(NetfrontControl, ResponseWithAnotherId)
{
	ASSERT_TRUE(ring->submit(some_type).ok());
	auto request = other.next();
	other.respond(request->id + 1u, request->type);
	expect_broken();
}

/* Case 5. */
TEST_F(NetfrontControl, ResponseOfAnotherType)
{
	ASSERT_TRUE(ring->submit(some_type).ok());
	auto request = other.next();
	other.respond(request->id, request->type + 1u);
	expect_broken();
}

/* Case 1. */
TEST_F(NetfrontControl, ResponseToNothing)
{
	other.respond(0, some_type);
	expect_broken();
}

/* Case 4. */
TEST_F(NetfrontControl, RequestIsAnsweredTwice)
{
	ASSERT_TRUE(ring->submit(some_type).ok());
	auto request = other.next();
	other.respond(request->id, request->type);
	other.respond(request->id, request->type);
	expect_broken();
}

/* Case 4. */
TEST_F(NetfrontControl, RequestIsAnsweredAgainLater)
{
	ASSERT_TRUE(ring->submit(some_type).ok());
	auto request = other.next();
	other.respond(request->id, request->type);
	EXPECT_TRUE(ring->poll().answered);
	ASSERT_TRUE(ring->submit(some_type).ok());
	other.respond(request->id, request->type);
	expect_broken();
}

/* Cases 1 and 2. */
TEST_F(NetfrontControl, IndexThatCannotBe)
{
	for (RING_IDX produced : { 2u, 129u, 0x80000000u, 0xffffffffu }) {
		SCOPED_TRACE(produced);
		auto one = ControlRing::make(backend).take();
		ControlBackend its(backend);
		its.attach(one->reference());
		ASSERT_TRUE(one->submit(some_type).ok());
		its.ring().rsp_prod = produced;
		EXPECT_TRUE(one->poll().violation);
		EXPECT_FALSE(one->poll().violation);
		its.release();
	}
}

TEST_F(NetfrontControl, StoppedRingIsEmpty)
{
	ASSERT_TRUE(ring->submit(some_type).ok());
	ring->stop();
	EXPECT_EQ(ring->submit(some_type).error(), XEN_ENODEV);
	auto request = other.next();
	EXPECT_EQ(request->type, XEN_NETIF_CTRL_TYPE_INVALID);
	other.respond(1, some_type);
	EXPECT_FALSE(ring->poll().answered);
}

/* The page may have been saved later than what the response speaks of. */
TEST_F(NetfrontControl, ResponseFoundAfterARestoreDoesNotCount)
{
	ASSERT_TRUE(ring->submit(some_type).ok());
	auto request = other.next();
	other.respond(request->id, request->type);
	other.release();
	restore_domain();
	auto polled = ring->poll();
	EXPECT_FALSE(polled.answered);
	EXPECT_FALSE(polled.violation);
}

TEST_F(NetfrontControl, EveryAllocationFailsOnce)
{
	for (unsigned int n = 1;; n++) {
		ASSERT_LT(n, 20u);
		fake::fail_allocation(n);
		auto made = ControlRing::make(backend);
		fake::fail_allocation(0);
		if (made.ok())
			break;
	}
}

} // namespace
