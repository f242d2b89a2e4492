// SPDX-License-Identifier: GPL-2.0-only
/* Mapping other domains' pages: the batches, what fails in them, windows, and the types that own. */
#include <cstring>
#include <type_traits>

#include "gnttab/foreign.hh"
#include "gnttab/gnttab.hh"
#include "hypervisor/hypervisor_owned.h"
#include "tests/host/gnttab_fixture.hh"

namespace {

using namespace xpv_test;

constexpr xpv_domid owner = { 5 };

/* What the types rule out. */
static_assert(!std::is_default_constructible_v<xpv::Mapping>);
static_assert(!std::is_copy_constructible_v<xpv::Mapping> && !std::is_copy_assignable_v<xpv::Mapping>);
static_assert(!std::is_copy_constructible_v<xpv::Grant> && !std::is_copy_constructible_v<xpv::ForeignWindow>);
template <typename T>
concept UnmapsInPlace = requires(T &mapping)
{
	mapping.unmap();
};
static_assert(!UnmapsInPlace<xpv::Mapping>, "unmapping must consume the mapping");
template <typename T>
concept TakesBareNumber = requires
{
	xpv::MapTarget::page_table_entry(T{});
};
static_assert(!TakesBareNumber<uint64_t> && !TakesBareNumber<xpv::Gfn>);

class GnttabForeign : public GnttabFixture {
protected:
	void SetUp() override
	{
		GnttabFixture::SetUp();
		for (unsigned int i = 0; i < pages; i++) {
			theirs[i] = static_cast<char *>(xpv_fake_foreign_grant(owner, reference(i), true));
			ASSERT_NE(theirs[i], nullptr);
			std::snprintf(theirs[i], 4096, "page %u", i);
		}
		xpv_fake_largest_grant_batch();
	}
	void TearDown() override
	{
		EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
		EXPECT_EQ(grant_counts().foreign_stuck, 0u);
		GnttabFixture::TearDown();
	}

	static xpv_gref reference(unsigned int i) { return { 100 + i }; }

	/* `count` operations onto claimed frames, the grants taken in turn. */
	std::vector<xpv_grant_map_op> operations(unsigned int count)
	{
		std::vector<xpv_grant_map_op> maps;
		EXPECT_EQ(xpv_frames_claim(count, &claimed), 0);
		for (unsigned int i = 0; i < count; i++)
			maps.push_back({ owner, reference(i % pages), XPV_GRANT_READ_WRITE, { claimed.value + i }, 99, {} });
		return maps;
	}
	static unsigned int map(std::vector<xpv_grant_map_op> &maps)
	{
		return xpv_grant_map(maps.data(), static_cast<unsigned int>(maps.size()));
	}
	static unsigned int unmap(std::vector<xpv_grant_map_op> &maps)
	{
		return xpv_grant_unmap(maps.data(), static_cast<unsigned int>(maps.size()));
	}
	void release(const std::vector<xpv_grant_map_op> &maps)
	{
		xpv_frames_release(claimed, static_cast<unsigned int>(maps.size()));
	}
	static const char *at(const xpv_grant_map_op &map) { return static_cast<char *>(xpv_fake_memory(map.target)); }

	static constexpr unsigned int pages = 8;
	char *theirs[pages];
	xpv_gfn claimed;
};

TEST_F(GnttabForeign, LargeBatchesAreSplit)
{
	auto maps = operations(200);
	ASSERT_EQ(map(maps), 0u);
	EXPECT_EQ(xpv_fake_largest_grant_batch(), xpv::batch_size);
	EXPECT_EQ(grant_counts().foreign_mapped, 200u);
	for (unsigned int i = 0; i < maps.size(); i++) {
		EXPECT_EQ(maps[i].status, 0);
		EXPECT_STREQ(at(maps[i]), theirs[i % pages]);
	}
	ASSERT_EQ(unmap(maps), 0u);
	EXPECT_EQ(xpv_fake_largest_grant_batch(), xpv::batch_size);
	EXPECT_EQ(grant_counts().foreign_mapped, 0u);
	/* A second time there is nothing left to unmap. */
	EXPECT_EQ(unmap(maps), 0u);
	EXPECT_EQ(xpv_fake_largest_grant_batch(), 0u);
	release(maps);
}

TEST_F(GnttabForeign, EachOperationHasItsOutcome)
{
	auto maps = operations(pages);
	maps[1].reference = { 7 };
	maps[2].domain = { 77 };
	xpv_fake_foreign_end(owner, reference(3));
	ASSERT_NE(xpv_fake_foreign_grant(owner, reference(3), false), nullptr);
	xpv_fake_foreign_answer(owner, reference(4), GNTST_permission_denied, 1);
	xpv_fake_foreign_answer(owner, reference(5), GNTST_no_space, 1);
	xpv_fake_foreign_answer(owner, reference(6), -99, 1);
	EXPECT_EQ(map(maps), 6u);
	const int expected[pages] = { 0, -XEN_ENOENT, -XEN_ESRCH, -XEN_EIO, -XEN_EACCES, -XEN_ENOSPC, -XEN_EIO, 0 };
	for (unsigned int i = 0; i < pages; i++) {
		EXPECT_EQ(maps[i].status, expected[i]) << i;
		EXPECT_EQ(maps[i].handle == XPV_NO_GRANT_HANDLE, expected[i] != 0) << i;
	}
	EXPECT_EQ(grant_counts().foreign_mapped, 2u);
	EXPECT_EQ(unmap(maps), 0u);
	release(maps);
}

TEST_F(GnttabForeign, ReadOnlyGrantIsMappedReadOnly)
{
	xpv_fake_foreign_end(owner, reference(0));
	ASSERT_NE(xpv_fake_foreign_grant(owner, reference(0), false), nullptr);
	auto maps = operations(1);
	maps[0].access = XPV_GRANT_READ_ONLY;
	EXPECT_EQ(map(maps), 0u);
	EXPECT_EQ(unmap(maps), 0u);
	release(maps);
}

TEST_F(GnttabForeign, PagedOutFramesAreTriedAgain)
{
	auto maps = operations(100);
	xpv_fake_foreign_answer(owner, reference(3), GNTST_eagain, 5);
	EXPECT_EQ(map(maps), 0u);
	EXPECT_EQ(unmap(maps), 0u);
	release(maps);
}

/* One that never comes back costs a second for the whole call, and itself only. */
TEST_F(GnttabForeign, PatienceEnds)
{
	auto maps = operations(100);
	xpv_fake_foreign_answer(owner, reference(3), GNTST_eagain, UINT32_MAX);
	uint64_t before = xpv_now_ms();
	EXPECT_EQ(map(maps), 100 / pages + 1);
	EXPECT_GE(xpv_now_ms() - before, 1000u);
	EXPECT_LT(xpv_now_ms() - before, 5000u);
	for (unsigned int i = 0; i < maps.size(); i++)
		EXPECT_EQ(maps[i].status, i % pages == 3 ? -XEN_EAGAIN : 0);
	EXPECT_EQ(unmap(maps), 0u);
	release(maps);
}

TEST_F(GnttabForeign, HypercallThatFailsFailsItsBatch)
{
	auto maps = operations(70);
	/* The second of three. */
	xpv_fake_fail(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, 1, XEN_EFAULT);
	EXPECT_EQ(map(maps), xpv::batch_size);
	for (unsigned int i = 0; i < maps.size(); i++)
		EXPECT_EQ(maps[i].status, i / xpv::batch_size == 1 ? -XEN_EFAULT : 0);
	xpv_fake_fail(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, 0, XEN_EPERM);
	EXPECT_EQ(unmap(maps), xpv::batch_size);
	EXPECT_EQ(maps[0].status, -XEN_EPERM);
	/* What failed has kept its handle. */
	EXPECT_EQ(unmap(maps), 0u);
	release(maps);
}

TEST_F(GnttabForeign, RefusedUnmapKeepsTheHandle)
{
	auto maps = operations(3);
	ASSERT_EQ(map(maps), 0u);
	xpv_fake_refuse_unmap(1);
	EXPECT_EQ(unmap(maps), 1u);
	EXPECT_EQ(maps[0].status, -XEN_EIO);
	EXPECT_FALSE(maps[0].handle == XPV_NO_GRANT_HANDLE);
	EXPECT_TRUE(maps[1].handle == XPV_NO_GRANT_HANDLE);
	EXPECT_EQ(grant_counts().foreign_mapped, 1u);
	EXPECT_EQ(unmap(maps), 0u);
	release(maps);
}

/* ---- Windows ---- */

TEST_F(GnttabForeign, WindowShowsAndWritesTheirPages)
{
	xpv_gref references[pages];
	for (unsigned int i = 0; i < pages; i++)
		references[i] = reference(i);
	{
		auto made = xpv::ForeignWindow::make(owner, references, pages, XPV_GRANT_READ_WRITE);
		ASSERT_TRUE(made.ok());
		xpv::ForeignWindow window = made.take();
		auto *ours = static_cast<char *>(window.get());
		for (unsigned int i = 0; i < pages; i++) {
			EXPECT_STREQ(ours + i * 4096, theirs[i]);
			ours[i * 4096 + 100] = static_cast<char>('a' + i);
		}
		EXPECT_EQ(grant_counts().foreign_mapped, pages);
		xpv::ForeignWindow moved = std::move(window);
		EXPECT_FALSE(window);
		EXPECT_EQ(moved.get(), ours);
	}
	for (unsigned int i = 0; i < pages; i++)
		EXPECT_EQ(theirs[i][100], 'a' + static_cast<int>(i));
	EXPECT_EQ(grant_counts().foreign_mapped, 0u);
}

TEST_F(GnttabForeign, WindowIsWholeOrNotAtAll)
{
	xpv_gref references[3] = { reference(0), { 7 }, reference(2) };
	std::size_t before = fake::live_allocations();
	xpv_grant_window *window;
	EXPECT_EQ(xpv_grant_map_window(owner, references, 3, XPV_GRANT_READ_WRITE, &window), -XEN_ENOENT);
	EXPECT_EQ(xpv_grant_map_window(owner, references, 0, XPV_GRANT_READ_WRITE, &window), -XEN_EINVAL);
	references[1] = reference(1);
	/* The object, its maps, the frames. */
	for (unsigned int n = 1; n <= 3; n++) {
		fake::fail_allocation(n);
		EXPECT_EQ(xpv_grant_map_window(owner, references, 3, XPV_GRANT_READ_WRITE, &window), -XEN_ENOMEM);
	}
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
	EXPECT_EQ(fake::live_allocations(), before);
	ASSERT_EQ(xpv_grant_map_window(owner, references, 3, XPV_GRANT_READ_ONLY, &window), 0);
	xpv_grant_unmap_window(window);
	xpv_grant_unmap_window(nullptr);
	EXPECT_EQ(fake::live_allocations(), before);
}

/* ---- One at a time, with an owner ---- */

TEST_F(GnttabForeign, MappingEndsWithItsOwner)
{
	xpv_gfn frame;
	ASSERT_EQ(xpv_frames_claim(1, &frame), 0);
	{
		auto made = xpv::Mapping::make(owner, reference(2), XPV_GRANT_READ_WRITE, xpv::MapTarget::frame(frame));
		ASSERT_TRUE(made.ok());
		EXPECT_EQ(grant_counts().foreign_mapped, 1u);
		EXPECT_STREQ(static_cast<char *>(xpv_fake_memory(frame)), "page 2");
		xpv::Mapping mapping = made.take();
		xpv::Mapping moved = std::move(mapping);
	}
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
	auto made = xpv::Mapping::make(owner, reference(2), XPV_GRANT_READ_WRITE, xpv::MapTarget::frame(frame));
	ASSERT_TRUE(made.ok());
	EXPECT_TRUE(made.take().unmap().ok());
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
	auto refused = xpv::Mapping::make(owner, { 7 }, XPV_GRANT_READ_WRITE, xpv::MapTarget::frame(frame));
	EXPECT_EQ(refused.code(), -XEN_ENOENT);
	xpv_frames_release(frame, 1);
}

/* As a PV guest does it: Xen fills in a page table entry. */
TEST_F(GnttabForeign, PageTableEntryIsFilledAndEmptied)
{
	alignas(8) uint64_t entry = 0;
	auto target = xpv::MapTarget::page_table_entry({ reinterpret_cast<uintptr_t>(&entry) });
	EXPECT_EQ(target.flags(XPV_GRANT_READ_ONLY), uint32_t{ GNTMAP_host_map | GNTMAP_contains_pte | GNTMAP_readonly });
	{
		auto mapping = xpv::Mapping::make(owner, reference(1), XPV_GRANT_READ_WRITE, target);
		ASSERT_TRUE(mapping.ok());
		EXPECT_EQ(entry, (xpv_pages_gfn(theirs[1]).value << 12 | 3));
	}
	EXPECT_EQ(entry, 0u);
	{
		auto mapping = xpv::Mapping::make(owner, reference(1), XPV_GRANT_READ_ONLY, target);
		ASSERT_TRUE(mapping.ok());
		EXPECT_EQ(entry & 7, 1u);
	}
	EXPECT_EQ(entry, 0u);
}

/* ---- What we granted, with an owner ---- */

TEST_F(GnttabForeign, GrantEndsWithItsOwner)
{
	{
		auto made = xpv::Grant::make(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC);
		ASSERT_TRUE(made.ok());
		xpv::Grant grant = made.take();
		xpv::Grant moved = std::move(grant);
		EXPECT_FALSE(grant);
		EXPECT_TRUE(moved);
		EXPECT_EQ(xpv_fake_active_grants(), 1u);
	}
	EXPECT_EQ(xpv_fake_active_grants(), 0u);

	auto grant = xpv::Grant::make(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC).take();
	EXPECT_TRUE(grant.try_revoke().ok());
	EXPECT_TRUE(grant.try_revoke().ok()) << "a second time there is nothing to do";
	EXPECT_TRUE(fake::take_log().empty());
}

TEST_F(GnttabForeign, GrantThatIsMappedIsParkedByItsOwner)
{
	xpv_gref mapped;
	{
		auto grant = xpv::Grant::make(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC).take();
		mapped = grant.reference();
		xpv_gfn seen;
		ASSERT_EQ(xpv_fake_map_grant(backend, mapped, true, &seen), 0);
		EXPECT_EQ(grant.try_revoke().code(), -XEN_EBUSY);
		EXPECT_TRUE(grant);
	}
	EXPECT_EQ(grant_counts().parked, 1u);
	xpv_fake_unmap_grant(mapped);
	EXPECT_TRUE(eventually([] { return grant_counts().parked == 0; }));
}

/* Last, for the module counts them as long as it is there. */
TEST(GnttabForeignStuck, WhatXenKeepsIsLeftOutOfUse)
{
	xpv_fake_reset();
	ASSERT_EQ(xpv_gnttab_load(), 0);
	xpv_gref references[2] = { { 100 }, { 101 } };
	for (xpv_gref reference : references)
		ASSERT_NE(xpv_fake_foreign_grant(owner, reference, true), nullptr);
	xpv_grant_window *window;
	ASSERT_EQ(xpv_grant_map_window(owner, references, 2, XPV_GRANT_READ_WRITE, &window), 0);
	void *pages = xpv_grant_window_address(window);
	fake::take_log();
	std::size_t before = fake::live_allocations();
	xpv_fake_refuse_unmap(1);
	xpv_grant_unmap_window(window);
	EXPECT_EQ(grant_counts().foreign_stuck, 1u);
	EXPECT_EQ(grant_counts().foreign_mapped, 1u);
	EXPECT_EQ(xpv_fake_foreign_mapped(), 1u);
	/* The object and its list went; the frames are still claimed, and nobody else's. */
	EXPECT_EQ(fake::live_allocations(), before - 2);
	static_cast<volatile char *>(pages)[0] = 1;
	EXPECT_EQ(fake::take_log().size(), 1u);
	EXPECT_EQ(held_module(), 1u);

	xpv_gfn frame;
	ASSERT_EQ(xpv_frames_claim(1, &frame), 0);
	{
		auto mapping = xpv::Mapping::make(owner, references[1], XPV_GRANT_READ_WRITE,
						  xpv::MapTarget::frame(frame));
		ASSERT_TRUE(mapping.ok());
		xpv_fake_refuse_unmap(1);
		EXPECT_EQ(mapping.take().unmap().code(), -XEN_EIO);
	}
	EXPECT_EQ(grant_counts().foreign_stuck, 2u);
	EXPECT_EQ(xpv_fake_foreign_mapped(), 2u);
	xpv_gnttab_unload();
	xpv_fake_reset();
}

} // namespace
