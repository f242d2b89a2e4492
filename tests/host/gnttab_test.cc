// SPDX-License-Identifier: GPL-2.0-only
/* Grants through the contract, with the fake hypervisor as Xen and the other domain. */
#include <vector>

#include "tests/host/fake/clock.hh"
#include "tests/host/gnttab_fixture.hh"

#include <xen/memory.h>

namespace {

using namespace xpv_test;

bool nothing_in_use(const xpv_grant_counts &counts)
{
	return counts.free == counts.total && counts.pooled == 0 && counts.parked == 0 && counts.lost == 0;
}

class Gnttab : public GnttabFixture {
protected:
	static constexpr unsigned int max_references = max_frames * 512 - GNTTAB_NR_RESERVED_ENTRIES;

	void TearDown() override
	{
		EXPECT_TRUE(nothing_in_use(grant_counts()));
		GnttabFixture::TearDown();
		EXPECT_EQ(held_module(), 0u);
		EXPECT_EQ(held_frames(), 0u);
	}
};

TEST_F(Gnttab, GivesAccessAndTakesItAway)
{
	xpv_gref reference = {};
	give_access_and_take_it_away(reference);
}

TEST_F(Gnttab, ReadOnlyIsReadOnly)
{
	xpv_gref reference;
	xpv_gfn seen;
	ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_ONLY, XPV_ATOMIC, &reference), 0);
	EXPECT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), -XEN_EACCES);
	EXPECT_EQ(xpv_fake_map_grant(backend, reference, false, &seen), 0);
	xpv_fake_unmap_grant(reference);
	EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
}

TEST_F(Gnttab, RevokeOfMappedIsBusyAndChangesNothing)
{
	xpv_gref reference = {};
	grant_mapped(reference, false);
	EXPECT_EQ(xpv_grant_try_revoke(reference), -XEN_EBUSY);
	EXPECT_EQ(xpv_grant_try_revoke(reference), -XEN_EBUSY);
	EXPECT_EQ(xpv_fake_active_grants(), 1u);
	xpv_fake_unmap_grant(reference);
	EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
}

TEST_F(Gnttab, RevokeOfWhatIsNotGrantedIsRefused)
{
	xpv_gref reference;
	ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
	ASSERT_EQ(xpv_grant_try_revoke(reference), 0);
	EXPECT_EQ(xpv_grant_try_revoke(reference), -XEN_EINVAL);
	EXPECT_EQ(xpv_grant_try_revoke({ 0 }), -XEN_EINVAL);
	EXPECT_EQ(xpv_grant_try_revoke({ 7 }), -XEN_EINVAL);
	EXPECT_EQ(xpv_grant_try_revoke({ 512 * max_frames }), -XEN_EINVAL);
	EXPECT_EQ(xpv_grant_try_revoke({ UINT32_MAX }), -XEN_EINVAL);
}

TEST_F(Gnttab, FrameNumbersAreNotCut)
{
	xpv_gref reference;
	EXPECT_EQ(xpv_grant_page(backend, { 1ull << 32 }, XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), -XEN_ERANGE);
	ASSERT_EQ(xpv_grant_page(backend, { UINT32_MAX }, XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
	EXPECT_EQ(xpv_grant_try_revoke(reference), 0);

	xpv_grant_pool *pool;
	ASSERT_EQ(xpv_grant_pool_create("test", 4, &pool), 0);
	xpv_pfn frames[3] = { { 1 }, { 1ull << 32 }, { 2 } };
	xpv_gref references[3];
	EXPECT_EQ(xpv_grant_pool_issue(pool, backend, XPV_GRANT_READ_WRITE, frames, 3, references), -XEN_ERANGE);
	EXPECT_EQ(xpv_grant_pool_available(pool), 4u);
	EXPECT_EQ(xpv_fake_active_grants(), 0u);
	xpv_grant_pool_destroy(pool);
}

TEST_F(Gnttab, SinglesUseTheWholeTableAndNoMore)
{
	std::vector<xpv_gref> references = take_all();
	EXPECT_EQ(references.size(), max_references);
	EXPECT_EQ(xpv_fake_active_grants(), max_references);
	xpv_gref one_more;
	EXPECT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &one_more), -XEN_ENOSPC);
	EXPECT_EQ(grant_counts().free, 0u);
	EXPECT_EQ(grant_counts().frames, max_frames);

	std::vector<bool> seen(max_frames * 512);
	for (xpv_gref reference : references) {
		EXPECT_FALSE(seen[reference.value]);
		seen[reference.value] = true;
		EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
	}
	EXPECT_EQ(grant_counts().free, max_references);
}

TEST_F(Gnttab, GrowsBeforeReferencesAreGone)
{
	/* Never asked to wait while Xen has more, as long as the work item gets to run. */
	std::vector<xpv_gref> references;
	for (unsigned int i = 0; i < 1200; i++) {
		xpv_gref reference;
		ASSERT_TRUE(eventually([] { return grant_counts().free >= 32; }));
		ASSERT_EQ(xpv_grant_page(backend, frame_number(i), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
		references.push_back(reference);
	}
	for (xpv_gref reference : references)
		EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
}

TEST_F(Gnttab, PoolIssuesWhatItHas)
{
	xpv_grant_pool *pool;
	ASSERT_EQ(xpv_grant_pool_create("test", 700, &pool), 0); /* more than the first frame has */
	EXPECT_EQ(grant_counts().pooled, 700u);
	EXPECT_EQ(grant_counts().frames, 2u);
	auto frames = frame_numbers(701);
	std::vector<xpv_gref> references(701);
	EXPECT_EQ(xpv_grant_pool_issue(pool, backend, XPV_GRANT_READ_WRITE, frames.data(), 701, references.data()),
		  -XEN_ENOSPC);
	EXPECT_EQ(xpv_fake_active_grants(), 0u);
	ASSERT_EQ(xpv_grant_pool_issue(pool, backend, XPV_GRANT_READ_WRITE, frames.data(), 700, references.data()), 0);
	EXPECT_EQ(xpv_grant_pool_available(pool), 0u);
	EXPECT_EQ(xpv_fake_active_grants(), 700u);
	for (unsigned int i = 0; i < 700; i++) {
		xpv_gfn seen;
		ASSERT_EQ(xpv_fake_map_grant(backend, references[i], true, &seen), 0);
		EXPECT_EQ(seen.value, frames[i].value);
		xpv_fake_unmap_grant(references[i]);
	}
	EXPECT_EQ(xpv_grant_pool_revoke(pool, references.data(), 700), 0u);
	EXPECT_EQ(xpv_grant_pool_available(pool), 700u);
	xpv_grant_pool_destroy(pool);
}

TEST_F(Gnttab, PoolLargerThanTheTableIsRefusedWhole)
{
	xpv_grant_pool *pool;
	EXPECT_EQ(xpv_grant_pool_create("test", max_references + 1, &pool), -XEN_ENOSPC);
	EXPECT_TRUE(nothing_in_use(grant_counts()));
	ASSERT_EQ(xpv_grant_pool_create("test", max_references, &pool), 0);
	xpv_grant_pool_destroy(pool);
}

TEST_F(Gnttab, FailureToGrowIsOvercomeLater)
{
	xpv_grant_pool *pool;
	xpv_fake_fail(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, 0, XEN_ENOMEM);
	EXPECT_EQ(xpv_grant_pool_create("test", 700, &pool), -XEN_ENOSPC);
	EXPECT_TRUE(nothing_in_use(grant_counts()));
	ASSERT_EQ(xpv_grant_pool_create("test", 700, &pool), 0);
	xpv_grant_pool_destroy(pool);
}

/*
 * Cases 12 and 13. The other end keeps two of eight pages mapped. A table that
 * gives their references and pages to others lets it read and write what these
 * put there. The two must be parked, with a hold on each page and on the
 * module, until they are unmapped; the other six return to the pool at once.
 */
TEST_F(Gnttab, WhatIsStillMappedIsParkedUntilItIsNot)
{
	xpv_grant_pool *pool;
	ASSERT_EQ(xpv_grant_pool_create("test", 8, &pool), 0);
	auto frames = frame_numbers(8);
	xpv_gref references[8], mapped[2];
	ASSERT_EQ(xpv_grant_pool_issue(pool, backend, XPV_GRANT_READ_WRITE, frames.data(), 8, references), 0);
	mapped[0] = references[2];
	mapped[1] = references[5];
	xpv_gfn seen;
	for (xpv_gref reference : mapped)
		ASSERT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), 0);

	ASSERT_EQ(xpv_grant_pool_revoke(pool, references, 8), 2u);
	EXPECT_EQ(references[0], mapped[0]);
	EXPECT_EQ(references[1], mapped[1]);
	EXPECT_EQ(xpv_grant_pool_available(pool), 6u);
	xpv_grant_park(references, 2);
	EXPECT_EQ(grant_counts().parked, 2u);
	EXPECT_EQ(held_frames(), 2u);
	EXPECT_EQ(held_module(), 1u);
	/* Its references are not the pool's any more, so it may go. */
	xpv_grant_pool_destroy(pool);
	EXPECT_EQ(grant_counts().pooled, 0u);
	EXPECT_EQ(grant_counts().free, grant_counts().total - 2);

	xpv_fake_unmap_grant(mapped[0]);
	EXPECT_TRUE(eventually([] { return grant_counts().parked == 1; }));
	EXPECT_TRUE(eventually([] { return held_frames() == 1; }));
	EXPECT_EQ(held_module(), 1u);
	xpv_fake_unmap_grant(mapped[1]);
	EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
}

/* However often more is parked, the retry that was due first comes when it was due. */
TEST_F(Gnttab, ParkingMoreDoesNotPutOffARetry)
{
	xpv_gref references[10];
	for (xpv_gref &reference : references)
		grant_mapped(reference, true);
	xpv_grant_park(references, 1);
	xpv_fake_unmap_grant(references[0]);
	for (unsigned int i = 1; i < 10; i++) {
		fake::advance(std::chrono::milliseconds(5));
		xpv_grant_park(&references[i], 1);
	}
	EXPECT_EQ(grant_counts().parked, 9u);
	for (unsigned int i = 1; i < 10; i++)
		xpv_fake_unmap_grant(references[i]);
	EXPECT_TRUE(eventually([] { return grant_counts().parked == 0; }));
}

/*
 * Case 13. The other end keeps one of two pages mapped when their owner frees
 * them. Pages that are freed then are still writable by the other end, whatever
 * they hold next. They must stay allocated until it unmaps the page: the
 * address sanitizer reports the access below if they do not.
 */
TEST_F(Gnttab, MappedPagesAreFreedOnlyWhenLetGo)
{
	void *pages = xpv_pages_alloc(1, XPV_MAY_SLEEP);
	ASSERT_NE(pages, nullptr);
	xpv_gref references[2];
	for (unsigned int i = 0; i < 2; i++)
		ASSERT_EQ(xpv_grant_page(backend, frame_number(i), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &references[i]), 0);
	xpv_gfn seen;
	ASSERT_EQ(xpv_fake_map_grant(backend, references[1], true, &seen), 0);
	xpv_grant_revoke_and_free(references, 2, pages, 1);
	EXPECT_EQ(grant_counts().parked, 1u);
	/* The address sanitizer complains when it was freed. */
	static_cast<volatile char *>(pages)[4096] = 1;
	xpv_fake_unmap_grant(references[1]);
	EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
}

/*
 * Case 14 (XSA-396). The other end maps and unmaps a page as fast as it can
 * while the grant is revoked. A driver that asks whether the page is mapped,
 * and then ends the grant, lets it be mapped in between. Each attempt must
 * either succeed or fail with EBUSY, and in the end one must succeed.
 */
TEST_F(Gnttab, RevokeAgainstMapHasOneWinner)
{
	revoke_against_map();
}

TEST_F(Gnttab, ReloadsManyTimes)
{
	for (unsigned int i = 0; i < 10; i++) {
		xpv_grant_pool *pool;
		ASSERT_EQ(xpv_grant_pool_create("test", 1000, &pool), 0);
		xpv_grant_pool_destroy(pool);
		xpv_gref reference;
		ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
		ASSERT_EQ(xpv_grant_try_revoke(reference), 0);
		xpv_gnttab_unload();
		ASSERT_EQ(xpv_gnttab_load(), 0);
	}
}

/* Each allocation fails once. */
TEST_F(Gnttab, PoolIsMadeWholeOrNotAtAll)
{
	xpv_grant_pool *pool;
	for (unsigned int n = 1;; n++) {
		fake::fail_allocation(n);
		int code = xpv_grant_pool_create("test", 100, &pool);
		if (code == 0)
			break;
		EXPECT_EQ(code, -XEN_ENOMEM);
		EXPECT_TRUE(nothing_in_use(grant_counts()));
		ASSERT_LT(n, 10u);
	}
	fake::fail_allocation(0);
	xpv_grant_pool_destroy(pool);
}

TEST(GnttabLost, ParkingWithoutMemoryLosesAndCounts)
{
	xpv_fake_reset();
	ASSERT_EQ(xpv_gnttab_load(), 0);
	for (unsigned int n = 1; n <= 2; n++) {
		xpv_gref reference;
		xpv_gfn seen;
		ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
		ASSERT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), 0);
		ASSERT_EQ(xpv_grant_try_revoke(reference), -XEN_EBUSY);
		fake::fail_allocation(n);
		xpv_grant_park(&reference, 1);
		EXPECT_EQ(grant_counts().lost, n);
		EXPECT_EQ(grant_counts().parked, 0u);
		/* The page is out of use with it. */
		EXPECT_EQ(held_frames(), n);
	}
	fake::fail_allocation(0);
	xpv_gnttab_unload();
	xpv_gnttab_release_frame(frame_number(1));
	xpv_gnttab_release_frame(frame_number(1));
}

TEST(GnttabLoad, SurvivesEachAllocationFailing)
{
	for (unsigned int n = 1;; n++) {
		xpv_fake_reset();
		std::size_t before = fake::live_allocations();
		fake::fail_allocation(n);
		int code = xpv_gnttab_load();
		if (code == 0)
			break;
		EXPECT_EQ(code, -XEN_ENOMEM);
		EXPECT_EQ(fake::live_allocations(), before);
		ASSERT_LT(n, 20u);
	}
	fake::fail_allocation(0);
	xpv_gnttab_unload();
}

TEST(GnttabLoad, FailsCleanly)
{
	const struct {
		unsigned int number, command;
	} calls[] = { { __HYPERVISOR_grant_table_op, GNTTABOP_query_size },
		      { __HYPERVISOR_memory_op, XENMEM_add_to_physmap } };
	for (auto &call : calls) {
		xpv_fake_reset();
		xpv_fake_fail(call.number, call.command, 0, XEN_EPERM);
		EXPECT_EQ(xpv_gnttab_load(), -XEN_EPERM);
	}
}

} // namespace
