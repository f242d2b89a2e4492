// SPDX-License-Identifier: GPL-2.0-only
/* Where Xen refuses version 1 of the table: the same contract over version 2. */
#include "tests/host/gnttab_fixture.hh"

#include <xen/memory.h>

namespace {

using namespace xpv_test;

class GnttabV2 : public GnttabFixture {
protected:
	static constexpr unsigned int max_references = max_frames * 256 - GNTTAB_NR_RESERVED_ENTRIES;

	void SetUp() override
	{
		xpv_fake_refuse_grant_version_1(true);
		GnttabFixture::SetUp();
		ASSERT_EQ(grant_counts().version, 2u);
	}
};

TEST_F(GnttabV2, GivesAccessAndTakesItAway)
{
	xpv_gref reference = {};
	give_access_and_take_it_away(reference);
	EXPECT_EQ(xpv_grant_try_revoke(reference), -XEN_EINVAL);
	EXPECT_EQ(xpv_grant_try_revoke({ 7 }), -XEN_EINVAL);
	EXPECT_EQ(xpv_grant_try_revoke({ UINT32_MAX }), -XEN_EINVAL);
}

TEST_F(GnttabV2, FramesBeyond16TiBCanBeGranted)
{
	xpv_gref reference;
	xpv_gfn seen;
	ASSERT_EQ(xpv_grant_page(backend, { 1ull << 36 }, XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
	ASSERT_EQ(xpv_fake_map_grant(backend, reference, false, &seen), 0);
	EXPECT_EQ(seen.value, 1ull << 36);
	xpv_fake_unmap_grant(reference);
	EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
}

/* A failed attempt has withdrawn the permission; the next must still be able to end it. */
TEST_F(GnttabV2, StillMappedCanBeRevokedLater)
{
	xpv_gref reference = {};
	xpv_gfn seen;
	grant_mapped(reference, false);
	EXPECT_EQ(xpv_grant_try_revoke(reference), -XEN_EBUSY);
	EXPECT_EQ(xpv_grant_try_revoke(reference), -XEN_EBUSY);
	xpv_fake_unmap_grant(reference);
	EXPECT_EQ(xpv_fake_map_grant(backend, reference, false, &seen), -XEN_EACCES);
	EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
	EXPECT_EQ(xpv_grant_try_revoke(reference), -XEN_EINVAL);
}

/* Who has a read-only page mapped while it is being revoked cannot write it by mapping it once more. */
TEST_F(GnttabV2, ReadOnlyStaysReadOnlyWhileItIsRevoked)
{
	xpv_gref reference;
	xpv_gfn seen;
	ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_ONLY, XPV_ATOMIC, &reference), 0);
	EXPECT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), -XEN_EACCES);
	ASSERT_EQ(xpv_fake_map_grant(backend, reference, false, &seen), 0);
	EXPECT_EQ(xpv_grant_try_revoke(reference), -XEN_EBUSY);
	EXPECT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), -XEN_EACCES);
	xpv_fake_unmap_grant(reference);
	EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
	/* And the next one with this reference may be writable. */
	ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
	ASSERT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), 0);
	xpv_fake_unmap_grant(reference);
	EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
}

TEST_F(GnttabV2, ParksUntilLetGo)
{
	xpv_grant_pool *pool;
	ASSERT_EQ(xpv_grant_pool_create("test", 4, &pool), 0);
	xpv_pfn frames[4] = { frame_number(0), frame_number(1), frame_number(2), frame_number(3) };
	xpv_gfn seen;
	xpv_gref references[4];
	ASSERT_EQ(xpv_grant_pool_issue(pool, backend, XPV_GRANT_READ_WRITE, frames, 4, references), 0);
	xpv_gref mapped = references[2];
	ASSERT_EQ(xpv_fake_map_grant(backend, mapped, true, &seen), 0);
	ASSERT_EQ(xpv_grant_pool_revoke(pool, references, 4), 1u);
	xpv_grant_park(references, 1);
	EXPECT_EQ(held_frames(), 1u);
	xpv_grant_pool_destroy(pool);
	xpv_fake_unmap_grant(mapped);
	EXPECT_TRUE(eventually([] { return grant_counts().parked == 0; }));
}

TEST_F(GnttabV2, UsesTheWholeTable)
{
	auto taken = take_all();
	EXPECT_EQ(taken.size(), max_references);
	EXPECT_EQ(xpv_fake_active_grants(), max_references);
	revoke_all(taken);
	EXPECT_EQ(grant_counts().free, max_references);
}

/*
 * Case 14 (XSA-396), version 2: the type and the status bits are in two words,
 * so one compare-and-swap cannot cover both. A driver that reads the status
 * before it has cleared the type lets the page be mapped in between. After a
 * successful revocation the other end must have no mapping.
 */
TEST_F(GnttabV2, RevokeAgainstMapHasOneWinner)
{
	revoke_against_map();
}

TEST_F(GnttabV2, ReloadsManyTimes)
{
	for (unsigned int i = 0; i < 5; i++) {
		auto taken = take_all();
		revoke_all(taken);
		xpv_gnttab_unload();
		ASSERT_EQ(xpv_gnttab_load(), 0);
	}
}

TEST_F(GnttabV2, FailureToAddStatusOrEntriesIsOvercome)
{
	xpv_gnttab_unload();
	for (unsigned int n = 0; n < 2; n++) {
		xpv_fake_fail(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, n, XEN_ENOMEM);
		EXPECT_EQ(xpv_gnttab_load(), -XEN_ENOMEM);
	}
	ASSERT_EQ(xpv_gnttab_load(), 0);
}

/* ---- Choosing the version ---- */

class GnttabVersion : public GnttabFixture {};

TEST_F(GnttabVersion, OneIsPreferred)
{
	EXPECT_EQ(grant_counts().version, 1u);
	EXPECT_TRUE(fake::take_log().empty());
}

TEST_F(GnttabVersion, XenWithoutVersionsHasOne)
{
	xpv_gnttab_unload();
	xpv_fake_fail(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, 0, XEN_ENOSYS);
	ASSERT_EQ(xpv_gnttab_load(), 0);
	EXPECT_EQ(grant_counts().version, 1u);
}

TEST_F(GnttabVersion, AgainIsTriedAgain)
{
	xpv_gnttab_unload();
	xpv_fake_fail(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, 0, XEN_EAGAIN);
	ASSERT_EQ(xpv_gnttab_load(), 0);
	EXPECT_EQ(grant_counts().version, 1u);
}

TEST_F(GnttabVersion, RefusalIsLogged)
{
	xpv_gnttab_unload();
	xpv_fake_fail(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, 0, XEN_EBUSY);
	ASSERT_EQ(xpv_gnttab_load(), 0);
	EXPECT_EQ(grant_counts().version, 2u);
	EXPECT_EQ(lines_with(fake::take_log(), "cannot set version 1"), 1u);
}

TEST_F(GnttabVersion, NoVersionIsAnError)
{
	xpv_gnttab_unload();
	/* Version 1 is refused for good, 2 because it is asked second. */
	xpv_fake_refuse_grant_version_1(true);
	xpv_fake_fail(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, 1, XEN_EINVAL);
	EXPECT_EQ(xpv_gnttab_load(), -XEN_EINVAL);
	xpv_fake_refuse_grant_version_1(false);
	xpv_fake_fail(0, 0, 0, 0);
	ASSERT_EQ(xpv_gnttab_load(), 0);
}

} // namespace
