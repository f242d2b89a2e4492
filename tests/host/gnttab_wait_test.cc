// SPDX-License-Identifier: GPL-2.0-only
/* Waiting for references, and no longer waiting. */
#include <atomic>
#include <memory>

#include "tests/host/fake/clock.hh"
#include "tests/host/gnttab_fixture.hh"

namespace {

using namespace xpv_test;

struct Waiter : xpv_grant_waiter {
	std::atomic<unsigned int> calls = 0;
	std::atomic<bool> inside = false;
	std::atomic<bool> gone = false; /* cancelled: nobody may call any more */
	std::atomic<bool> called_when_gone = false;
	std::atomic<bool> again = false;
	unsigned int linger_ms = 0;

	Waiter() : xpv_grant_waiter{} { function = call; }

	static void call(xpv_grant_waiter *base)
	{
		auto *self = static_cast<Waiter *>(base);
		self->inside = true;
		if (self->gone)
			self->called_when_gone = true;
		self->calls++;
		if (self->linger_ms)
			xpv_sleep_ms(self->linger_ms);
		if (self->gone)
			self->called_when_gone = true;
		if (self->again) {
			EXPECT_EQ(xpv_grant_wait(self, self->wanted), 0);
		}
		self->inside = false;
	}
};

class GnttabWait : public GnttabFixture {};

TEST_F(GnttabWait, WhatIsFreeAlreadyIsSaidAtOnce)
{
	Waiter waiter;
	ASSERT_EQ(xpv_grant_wait(&waiter, 10), 0);
	EXPECT_TRUE(eventually([&] { return waiter.calls == 1; }));
	EXPECT_EQ(grant_counts().waiters, 0u);
	xpv_grant_wait_cancel(&waiter);
}

TEST_F(GnttabWait, CalledOnceWhenEnoughIsFree)
{
	auto taken = take_all();
	Waiter waiter;
	ASSERT_EQ(xpv_grant_wait(&waiter, 20), 0);
	EXPECT_EQ(xpv_grant_wait(&waiter, 20), -XEN_EBUSY);
	EXPECT_TRUE(fake::wait_for_work(5000));
	EXPECT_EQ(grant_counts().waiters, 1u);
	std::vector<xpv_gref> back(taken.end() - 19, taken.end());
	taken.resize(taken.size() - 19);
	revoke_all(back);
	EXPECT_TRUE(fake::wait_for_work(5000));
	EXPECT_EQ(waiter.calls, 0u);
	/* The twentieth. */
	EXPECT_EQ(xpv_grant_try_revoke(taken.back()), 0);
	taken.pop_back();
	EXPECT_TRUE(eventually([&] { return waiter.calls == 1; }));
	revoke_all(taken);
	EXPECT_TRUE(fake::wait_for_work(5000));
	EXPECT_EQ(waiter.calls, 1u);
	EXPECT_EQ(grant_counts().waiters, 0u);
}

/* What was called for can be had: nothing of it hides in another CPU's magazine. */
TEST_F(GnttabWait, WhatIsFreeCanBeTaken)
{
	auto taken = take_all();
	Waiter waiter;
	ASSERT_EQ(xpv_grant_wait(&waiter, 30), 0);
	EXPECT_TRUE(fake::wait_for_work(5000));
	std::vector<xpv_gref> back(taken.end() - 30, taken.end());
	taken.resize(taken.size() - 30);
	fake::Thread([&] { revoke_all(back); }).join();
	EXPECT_TRUE(eventually([&] { return waiter.calls == 1; }));
	std::vector<xpv_pfn> frames(30, frame_number(1));
	xpv_gref references[30];
	EXPECT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames.data(), 30, references), 0);
	EXPECT_EQ(xpv_grant_revoke_pages(references, 30), 0u);
	revoke_all(taken);
}

TEST_F(GnttabWait, APoolThatGoesWakes)
{
	xpv_grant_pool *pool;
	ASSERT_EQ(xpv_grant_pool_create("all", max_frames * 512 - 8, &pool), 0);
	Waiter waiter;
	ASSERT_EQ(xpv_grant_wait(&waiter, 100), 0);
	EXPECT_TRUE(fake::wait_for_work(5000));
	EXPECT_EQ(waiter.calls, 0u);
	xpv_grant_pool_destroy(pool);
	EXPECT_TRUE(eventually([&] { return waiter.calls == 1; }));
}

/* A stopped disk may wait for references; there is no memory for another worker to say that they are there. */
TEST_F(GnttabWait, CalledWithoutMemoryForAnotherWorker)
{
	auto taken = take_all();
	fake::only_rescuers(true);
	Waiter waiter;
	ASSERT_EQ(xpv_grant_wait(&waiter, 20), 0);
	revoke_all(taken);
	EXPECT_TRUE(eventually([&] { return waiter.calls == 1; }));
	fake::only_rescuers(false);
	xpv_grant_wait_cancel(&waiter);
}

TEST_F(GnttabWait, TheTableGrowsWithoutMemoryForAnotherWorker)
{
	fake::only_rescuers(true);
	Waiter waiter;
	ASSERT_EQ(xpv_grant_wait(&waiter, 1400), 0);
	EXPECT_TRUE(eventually([&] { return waiter.calls == 1; }));
	fake::only_rescuers(false);
	xpv_grant_wait_cancel(&waiter);
}

TEST_F(GnttabWait, ParkedReferencesComeBackWithoutMemoryForAnotherWorker)
{
	xpv_gfn seen;
	xpv_gref reference;
	ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
	ASSERT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), 0);
	fake::only_rescuers(true);
	xpv_grant_park(&reference, 1);
	EXPECT_EQ(grant_counts().parked, 1u);
	xpv_fake_unmap_grant(reference);
	EXPECT_TRUE(eventually([&] { return grant_counts().parked == 0; }));
	fake::only_rescuers(false);
}

TEST_F(GnttabWait, TheTableGrowsForWhoWaits)
{
	Waiter waiter;
	ASSERT_EQ(xpv_grant_wait(&waiter, 1400), 0);
	EXPECT_TRUE(eventually([&] { return waiter.calls == 1; }));
	EXPECT_GE(grant_counts().free, 1400u);
}

TEST_F(GnttabWait, MoreThanThereCanBeIsRefused)
{
	Waiter waiter;
	EXPECT_EQ(xpv_grant_wait(&waiter, max_frames * 512 - 8 + 1), -XEN_ENOSPC);
	EXPECT_EQ(grant_counts().waiters, 0u);
}

TEST_F(GnttabWait, OneWhoWantsMuchDoesNotHoldUpOthers)
{
	auto taken = take_all();
	Waiter much, little;
	ASSERT_EQ(xpv_grant_wait(&much, 1000), 0);
	ASSERT_EQ(xpv_grant_wait(&little, 1), 0);
	EXPECT_TRUE(fake::wait_for_work(5000));
	EXPECT_EQ(xpv_grant_try_revoke(taken.back()), 0);
	taken.pop_back();
	EXPECT_TRUE(eventually([&] { return little.calls == 1; }));
	EXPECT_EQ(much.calls, 0u);
	revoke_all(taken);
	EXPECT_TRUE(eventually([&] { return much.calls == 1; }));
}

TEST_F(GnttabWait, CancelledIsNotCalled)
{
	auto taken = take_all();
	Waiter waiter;
	ASSERT_EQ(xpv_grant_wait(&waiter, 1), 0);
	xpv_grant_wait_cancel(&waiter);
	waiter.gone = true;
	EXPECT_EQ(grant_counts().waiters, 0u);
	revoke_all(taken);
	EXPECT_TRUE(fake::wait_for_work(5000));
	EXPECT_EQ(waiter.calls, 0u);
	xpv_grant_wait_cancel(&waiter); /* who does not wait may be cancelled too */
}

TEST_F(GnttabWait, CancelWaitsForTheCall)
{
	Waiter waiter;
	waiter.linger_ms = 50;
	ASSERT_EQ(xpv_grant_wait(&waiter, 1), 0);
	EXPECT_TRUE(eventually([&] { return waiter.inside.load(); }));
	xpv_grant_wait_cancel(&waiter);
	EXPECT_FALSE(waiter.inside);
	EXPECT_EQ(waiter.calls, 1u);
}

/* One that waits again in its call is taken out all the same. */
TEST_F(GnttabWait, CancelEndsOneThatWaitsAgain)
{
	Waiter waiter;
	waiter.again = true;
	ASSERT_EQ(xpv_grant_wait(&waiter, 1), 0);
	/* At once each time: the clock stands still. */
	while (waiter.calls <= 3)
		std::this_thread::yield();
	xpv_grant_wait_cancel(&waiter);
	waiter.gone = true;
	unsigned int calls = waiter.calls;
	EXPECT_TRUE(fake::wait_for_work(5000));
	EXPECT_EQ(waiter.calls, calls);
	EXPECT_FALSE(waiter.called_when_gone);
	EXPECT_EQ(grant_counts().waiters, 0u);
}

/* Registered, woken and cancelled as fast as it goes, with others that give back and take. */
TEST_F(GnttabWait, CancelRacesWithTheCall)
{
	std::atomic<bool> stop = false;
	fake::Thread churn([&] {
		while (!stop) {
			xpv_gref reference;
			if (xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference) == 0) {
				EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
			}
		}
	});
	unsigned int called = 0;
	for (unsigned int i = 0; i < 300; i++) {
		auto waiter = std::make_unique<Waiter>();
		ASSERT_EQ(xpv_grant_wait(waiter.get(), 1 + i % 40), 0);
		for (unsigned int rounds = i % 3 == 0 ? i % 16 : 0; rounds; rounds--)
			std::this_thread::yield();
		xpv_grant_wait_cancel(waiter.get());
		waiter->gone = true;
		called += waiter->calls;
		EXPECT_FALSE(waiter->inside);
		/* Freed here: the address sanitizer sees who comes late. */
	}
	stop = true;
	churn.join();
	RecordProperty("called", static_cast<int>(called));
}

/* With a table that is always nearly empty, who waits for one is always called. */
TEST_F(GnttabWait, NoWakeUpIsLost)
{
	auto taken = take_all();
	for (unsigned int i = 0; i < 200; i++) {
		Waiter waiter;
		fake::Thread giver([&] { EXPECT_EQ(xpv_grant_try_revoke(taken.back()), 0); });
		ASSERT_EQ(xpv_grant_wait(&waiter, 1), 0);
		giver.join();
		/* Perhaps it came before the waiter, and sits in the giver's magazine: then the next one wakes. */
		taken.pop_back();
		EXPECT_EQ(xpv_grant_try_revoke(taken.back()), 0);
		taken.pop_back();
		ASSERT_TRUE(eventually([&] { return waiter.calls == 1; }));
		xpv_grant_wait_cancel(&waiter);
		xpv_gref reference;
		while (xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference) == 0)
			taken.push_back(reference);
	}
	revoke_all(taken);
}

} // namespace
