// SPDX-License-Identifier: GPL-2.0-only
/* The grant table across a suspend: cancelled, and restored in a new domain whose table is empty. */
#include <atomic>

#include "hypervisor/hypercall.hh"
#include "hypervisor/suspend_part.h"
#include "tests/host/fake/clock.hh"
#include "tests/host/gnttab_fixture.hh"

namespace {

using namespace xpv_test;

class GnttabSuspend : public GnttabFixture, public testing::WithParamInterface<unsigned int> {
protected:
	void SetUp() override
	{
		xpv_fake_refuse_grant_version_1(GetParam() == 2);
		GnttabFixture::SetUp();
		ASSERT_EQ(grant_counts().version, GetParam());
		fake::take_log();
	}
	static void restore()
	{
		suspend();
		xpv_fake_restore();
		resume(XPV_RESUME_RESTORED);
	}
	static bool works()
	{
		xpv_gref reference;
		xpv_gfn seen = {};
		if (xpv_grant_page(backend, frame_number(7), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference) != 0)
			return false;
		bool mapped = xpv_fake_map_grant(backend, reference, true, &seen) == 0 &&
			      seen.value == frame_number(7).value;
		xpv_fake_unmap_grant(reference);
		return mapped && xpv_grant_revoke_pages(&reference, 1) == 0;
	}
};

INSTANTIATE_TEST_SUITE_P(Versions, GnttabSuspend, testing::Values(1u, 2u));

TEST_P(GnttabSuspend, CancelledKeepsWhatIsGranted)
{
	xpv_gref reference;
	xpv_gfn seen = {};
	ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
	suspend();
	resume(XPV_RESUME_CANCELLED);
	EXPECT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), 0);
	EXPECT_EQ(xpv_grant_revoke_pages(&reference, 1), 1u);
	xpv_fake_unmap_grant(reference);
	EXPECT_EQ(xpv_grant_revoke_pages(&reference, 1), 0u);
	EXPECT_TRUE(works());
}

TEST_P(GnttabSuspend, NothingIsGrantedAndRevokingSucceeds)
{
	xpv_gref mapped[3], pooled[2];
	std::vector<xpv_pfn> frames = frame_numbers(3);
	xpv_gfn seen = {};
	ASSERT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames.data(), 3, mapped), 0);
	ASSERT_EQ(xpv_fake_map_grant(backend, mapped[0], true, &seen), 0);
	xpv_grant_pool *pool = nullptr;
	ASSERT_EQ(xpv_grant_pool_create("test", 8, &pool), 0);
	ASSERT_EQ(xpv_grant_pool_issue(pool, backend, XPV_GRANT_READ_ONLY, frames.data(), 2, pooled), 0);
	ASSERT_EQ(xpv_fake_map_grant(backend, pooled[1], false, &seen), 0);
	xpv_grant_counts before = grant_counts();
	restore();
	EXPECT_EQ(xpv_fake_active_grants(), 0u);
	xpv_grant_counts after = grant_counts();
	EXPECT_EQ(after.free, before.free);
	EXPECT_EQ(after.frames, before.frames);

	EXPECT_EQ(xpv_grant_revoke_pages(mapped, 3), 0u);
	EXPECT_EQ(xpv_grant_pool_revoke(pool, pooled, 2), 0u);
	EXPECT_EQ(xpv_grant_pool_available(pool), 8u);
	EXPECT_EQ(fake::take_log(), std::vector<std::string>{});
	/* Once, as ever. */
	EXPECT_EQ(xpv_grant_try_revoke(mapped[0]), -XEN_EINVAL);
	EXPECT_EQ(xpv_grant_try_revoke(pooled[0]), -XEN_EINVAL);
	xpv_grant_pool_destroy(pool);
	EXPECT_TRUE(works());
}

TEST_P(GnttabSuspend, FreeReferencesAreAllStillThereOnce)
{
	/* Free on the list, in a magazine, and in a pool. */
	xpv_grant_pool *pool = nullptr;
	ASSERT_EQ(xpv_grant_pool_create("test", 8, &pool), 0);
	EXPECT_TRUE(works());
	for (unsigned int i = 0; i < 3; i++) {
		restore();
		std::vector<xpv_gref> all = take_all();
		std::vector<bool> seen(10000);
		for (xpv_gref reference : all) {
			EXPECT_FALSE(seen[reference.value]);
			seen[reference.value] = true;
		}
		EXPECT_EQ(all.size() + 8, grant_counts().total);
		revoke_all(all);
		fake::take_log();
	}
	/* None of the free ones counts as issued. */
	for (uint32_t i = 0; i < 100; i++)
		EXPECT_EQ(xpv_grant_try_revoke({ i }), -XEN_EINVAL);
	std::vector<xpv_pfn> frames = frame_numbers(8);
	xpv_gref references[8];
	EXPECT_EQ(xpv_grant_pool_issue(pool, backend, XPV_GRANT_READ_ONLY, frames.data(), 8, references), 0);
	EXPECT_EQ(xpv_fake_active_grants(), 8u);
	EXPECT_EQ(xpv_grant_pool_revoke(pool, references, 8), 0u);
	xpv_grant_pool_destroy(pool);
}

TEST_P(GnttabSuspend, ParkedPagesAreFreeAtOnce)
{
	xpv_gref reference;
	xpv_gfn seen = {};
	ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
	ASSERT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), 0);
	ASSERT_EQ(xpv_grant_revoke_pages(&reference, 1), 1u);
	xpv_grant_park(&reference, 1);
	fake::advance(std::chrono::milliseconds(300));
	EXPECT_EQ(grant_counts().parked, 1u);
	restore();
	EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_frames() == 0; }));
	EXPECT_EQ(lines_with(fake::take_log(), "revoked"), 0u);
}

TEST_P(GnttabSuspend, MappingsAreGone)
{
	ASSERT_NE(xpv_fake_foreign_grant(backend, { 11 }, true), nullptr);
	ASSERT_NE(xpv_fake_foreign_grant(backend, { 12 }, true), nullptr);
	xpv_gref references[2] = { { 11 }, { 12 } };
	xpv_grant_window *old = nullptr, *fresh = nullptr;
	ASSERT_EQ(xpv_grant_map_window(backend, references, 2, XPV_GRANT_READ_WRITE, &old), 0);
	restore();
	EXPECT_EQ(grant_counts().foreign_mapped, 0u);
	/* Which has the handles that the old one had. */
	ASSERT_EQ(xpv_grant_map_window(backend, references, 2, XPV_GRANT_READ_WRITE, &fresh), 0);
	xpv_grant_unmap_window(old);
	EXPECT_EQ(xpv_fake_foreign_mapped(), 2u);
	EXPECT_EQ(grant_counts().foreign_stuck, 0u);
	xpv_grant_unmap_window(fresh);
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
	EXPECT_EQ(xpv_fake_foreign_end(backend, { 11 }), 0u);
	EXPECT_EQ(xpv_fake_foreign_end(backend, { 12 }), 0u);
}

TEST_P(GnttabSuspend, SmallerTableLosesWhatDoesNotFit)
{
	std::vector<xpv_gref> all = take_all();
	fake::take_log();
	unsigned int per_frame = GetParam() == 1 ? 512 : 256;
	/* Some are free, in a magazine and on the list, when it happens. */
	std::vector<xpv_gref> back(all.end() - 100, all.end());
	all.resize(all.size() - 100);
	revoke_all(back);
	xpv_fake_set_max_grant_frames(2);
	restore();
	EXPECT_EQ(lines_with(fake::take_log(), "are lost"), 1u);
	EXPECT_EQ(grant_counts().frames, 2u);
	EXPECT_EQ(grant_counts().frames_limit, 2u);
	revoke_all(all);
	EXPECT_EQ(lines_with(fake::take_log(), "it is not granted"), 0u);
	EXPECT_EQ(grant_counts().free, grant_counts().total);
	EXPECT_EQ(grant_counts().total, 2 * per_frame - 8);
	EXPECT_TRUE(works());
	/* A larger machine later: what was lost stays so, for somebody may still have it. */
	xpv_fake_set_max_grant_frames(4);
	restore();
	EXPECT_EQ(grant_counts().frames_limit, 2u);
	EXPECT_TRUE(works());
}

TEST_P(GnttabSuspend, PoolsLoseWhatDoesNotFit)
{
	xpv_grant_pool *pool = nullptr;
	unsigned int size = GetParam() == 1 ? 1200 : 600;
	ASSERT_EQ(xpv_grant_pool_create("test", size, &pool), 0);
	std::vector<xpv_pfn> frames = frame_numbers(size / 2);
	std::vector<xpv_gref> references(size / 2);
	ASSERT_EQ(xpv_grant_pool_issue(pool, backend, XPV_GRANT_READ_ONLY, frames.data(), size / 2, references.data()), 0);
	xpv_fake_set_max_grant_frames(1);
	restore();
	EXPECT_EQ(xpv_grant_pool_revoke(pool, references.data(), size / 2), 0u);
	unsigned int left = xpv_grant_pool_available(pool);
	EXPECT_LE(left, GetParam() == 1 ? 504u : 248u);
	EXPECT_EQ(grant_counts().pooled, left);
	if (left != 0) {
		ASSERT_EQ(xpv_grant_pool_issue(pool, backend, XPV_GRANT_READ_ONLY, frames.data(), 1, references.data()),
			  0);
		EXPECT_EQ(xpv_fake_active_grants(), 1u);
		EXPECT_EQ(xpv_grant_pool_revoke(pool, references.data(), 1), 0u);
	}
	xpv_grant_pool_destroy(pool);
	EXPECT_EQ(lines_with(fake::take_log(), "it is not granted"), 0u);
}

TEST_P(GnttabSuspend, EachHypercallMayFail)
{
	struct Call {
		unsigned int number, command, skip;
	} calls[] = { { __HYPERVISOR_grant_table_op, GNTTABOP_set_version, 0 },
		      { __HYPERVISOR_grant_table_op, GNTTABOP_query_size, 0 },
		      { __HYPERVISOR_memory_op, XENMEM_add_to_physmap, 1 },
		      { __HYPERVISOR_memory_op, XENMEM_add_to_physmap, 0 } };
	xpv_grant_pool *pool = nullptr;
	ASSERT_EQ(xpv_grant_pool_create("test", 8, &pool), 0);
	for (const Call &call : calls) {
		xpv_gref reference;
		int granted = xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference);
		suspend();
		xpv_fake_restore();
		xpv_fake_fail(call.number, call.command, call.skip, XEN_ENOMEM);
		resume(XPV_RESUME_RESTORED);
		xpv_fake_fail(0, 0, 0, 0);
		if (granted == 0) {
			EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
		}
	}
	EXPECT_GE(lines_with(fake::take_log(), "are lost"), 1u);
	xpv_grant_pool_destroy(pool);
	/* Nothing is left of it; whoever asks is told so. */
	xpv_gref reference;
	EXPECT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), -XEN_ENOSPC);
}

/* A suspend that has begun when the module is loaded finds nothing that it does not know of. */
TEST_P(GnttabSuspend, LoadingWaitsForTheEnd)
{
	xpv_gnttab_unload();
	suspend();
	std::atomic<bool> loaded = false;
	fake::Thread loader([&] {
		EXPECT_EQ(xpv_gnttab_load(), 0);
		loaded = true;
	});
	fake::settle();
	EXPECT_FALSE(loaded);
	xpv_fake_restore();
	resume(XPV_RESUME_RESTORED);
	loader.join();
	EXPECT_TRUE(works());
	/* And is followed from then on. */
	restore();
	EXPECT_TRUE(works());
}

TEST_P(GnttabSuspend, TakingWaitsForTheEnd)
{
	suspend();
	xpv_grant_pool *pool = nullptr;
	fake::Thread taker([&] { EXPECT_EQ(xpv_grant_pool_create("test", 8, &pool), 0); });
	fake::advance(std::chrono::milliseconds(50));
	EXPECT_EQ(grant_counts().pooled, 0u);
	xpv_fake_restore();
	resume(XPV_RESUME_RESTORED);
	taker.join();
	xpv_grant_pool_destroy(pool);
}

} // namespace
