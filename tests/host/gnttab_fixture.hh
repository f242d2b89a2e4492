/* SPDX-License-Identifier: GPL-2.0-only */
/* A loaded grant table over a new domain, and the check that a test left nothing behind. */
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gnttab/gnttab.h"
#include "gnttab/linux.h"
#include "hypervisor/suspend_part.h"
#include "lib/result.hh"
#include "lib/xen.hh"
#include "tests/fake/fake_hypervisor.h"
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
