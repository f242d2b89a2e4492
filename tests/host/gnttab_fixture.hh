/* SPDX-License-Identifier: GPL-2.0-only */
/* A loaded grant table over a new domain, and the check that a test left nothing behind. */
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "gnttab/gnttab.h"
#include "gnttab/linux.h"
#include "hypervisor/suspend_part.h"
#include "lib/result.hh"
#include "lib/xen.hh"
#include "tests/fake/fake_hypervisor.h"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/gnttab.hh"
#include "tests/host/fake/shim.hh"

#include <xen/grant_table.h>

namespace xpv_test {

class GnttabFixture : public testing::Test {
protected:
	static constexpr unsigned int max_frames = 4;

	void SetUp() override
	{
		xpv_fake_set_max_grant_frames(max_frames);
		xpv_fake_reset();
		fake::take_log();
		ASSERT_EQ(xpv_gnttab_load(), 0);
	}
	void TearDown() override
	{
		fake::fail_allocation(0);
		EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
		/* References on their way from a CPU's list to the shared one are in neither count, for a moment. */
		EXPECT_TRUE(fake::wait_for_work(5000));
		xpv_grant_counts counts = grant_counts();
		EXPECT_EQ(counts.free, counts.total);
		EXPECT_EQ(counts.pooled, 0u);
		EXPECT_EQ(counts.lost, 0u);
		EXPECT_EQ(counts.waiters, 0u);
		EXPECT_EQ(counts.foreign_mapped, xpv_fake_foreign_mapped());
		EXPECT_EQ(xpv_fake_active_grants(), 0u);
		EXPECT_EQ(held_frames(), 0u);
		xpv_gnttab_unload();
		xpv_fake_refuse_grant_version_1(false);
	}

	/* What the suspend does before the hypercall, and after it. */
	static void suspend()
	{
		const char *refused = nullptr;
		xpv_suspend_parts_lock();
		ASSERT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), 0);
		xpv_suspend_parts_suspend_early();
	}
	static void resume(xpv_resume_kind kind)
	{
		xpv_suspend_parts_resume_early(kind);
		xpv_suspend_parts_resume_late(kind);
		xpv_suspend_parts_unlock();
	}

	/* All references that the table can ever have, in use. */
	static std::vector<xpv_gref> take_all()
	{
		std::vector<xpv_gref> taken;
		EXPECT_TRUE(eventually([&] {
			xpv_gref reference;
			while (xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference) == 0)
				taken.push_back(reference);
			xpv_grant_counts counts = grant_counts();
			return counts.frames == counts.frames_limit && counts.free == 0;
		}));
		return taken;
	}

	/* Grant a page, and map it as the backend. */
	static void grant_mapped(xpv_gref &reference, bool write)
	{
		xpv_gfn seen;
		ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
		ASSERT_EQ(xpv_fake_map_grant(backend, reference, write, &seen), 0);
	}

	/* Grant a page and revoke it: only the backend can map it, and only in between. */
	static void give_access_and_take_it_away(xpv_gref &reference)
	{
		xpv_gfn seen;
		ASSERT_EQ(xpv_grant_page(backend, frame_number(7), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
		EXPECT_GE(reference.value, unsigned{ GNTTAB_NR_RESERVED_ENTRIES });
		EXPECT_EQ(xpv_fake_map_grant({ 9 }, reference, false, &seen), -XEN_EACCES);
		ASSERT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), 0);
		EXPECT_EQ(seen.value, frame_number(7).value);
		xpv_fake_unmap_grant(reference);
		EXPECT_EQ(xpv_grant_try_revoke(reference), 0);
		EXPECT_EQ(xpv_fake_map_grant(backend, reference, false, &seen), -XEN_EACCES);
	}

	/* Revoke pages while the backend maps and unmaps them. A page that is revoked is not mapped. */
	static void revoke_against_map()
	{
		std::atomic<bool> stop = false;
		std::atomic<uint32_t> target = 0;
		std::atomic<int> mapped = 0;
		fake::Thread mapper([&] {
			while (!stop) {
				uint32_t current = target;
				xpv_gfn seen;
				if (current && xpv_fake_map_grant(backend, { current }, true, &seen) == 0) {
					mapped++;
					mapped--;
					xpv_fake_unmap_grant({ current });
				}
			}
		});
		unsigned int busy = 0;
		for (unsigned int i = 0; i < 20000; i++) {
			xpv_gref reference;
			ASSERT_EQ(xpv_grant_page(backend, frame_number(i), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference),
				  0);
			target = reference.value;
			int code;
			while ((code = xpv_grant_try_revoke(reference)) == -XEN_EBUSY)
				busy++;
			ASSERT_EQ(code, 0);
			ASSERT_EQ(mapped, 0);
		}
		stop = true;
		mapper.join();
		RecordProperty("busy", static_cast<int>(busy));
	}

	static void revoke_all(std::vector<xpv_gref> &references)
	{
		EXPECT_EQ(xpv_grant_revoke_pages(references.data(), static_cast<unsigned int>(references.size())), 0u);
		references.clear();
	}

	static unsigned int lines_with(const std::vector<std::string> &log, const char *text)
	{
		unsigned int lines = 0;
		for (const std::string &line : log)
			lines += line.find(text) != std::string::npos;
		return lines;
	}
};

} // namespace xpv_test
