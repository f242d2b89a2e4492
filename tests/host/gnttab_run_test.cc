// SPDX-License-Identifier: GPL-2.0-only
/* Runs of pages, the table's end, and the pools that debugfs shows. */
#include "tests/host/gnttab_fixture.hh"

namespace {

using namespace xpv_test;

class GnttabRun : public GnttabFixture {};

/* Fewer than a magazine has, as many, and far more. */
TEST_F(GnttabRun, GrantsEachFrameOnce)
{
	for (unsigned int count : { 0u, 1u, 15u, 16u, 31u, 32u, 300u }) {
		auto frames = frame_numbers(count);
		std::vector<xpv_gref> references(count + 1);
		ASSERT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames.data(), count,
					  references.data()),
			  0);
		references.pop_back();
		EXPECT_EQ(xpv_fake_active_grants(), count);
		for (unsigned int i = 0; i < count; i++) {
			xpv_gfn seen;
			ASSERT_EQ(xpv_fake_map_grant(backend, references[i], true, &seen), 0);
			EXPECT_EQ(seen.value, frames[i].value);
			xpv_fake_unmap_grant(references[i]);
		}
		revoke_all(references);
	}
}

TEST_F(GnttabRun, ReadOnlyRunIsReadOnly)
{
	auto frames = frame_numbers(20);
	std::vector<xpv_gref> references(20);
	ASSERT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_ONLY, XPV_ATOMIC, frames.data(), 20, references.data()), 0);
	for (xpv_gref reference : references) {
		xpv_gfn seen;
		EXPECT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), -XEN_EACCES);
	}
	revoke_all(references);
}

TEST_F(GnttabRun, OneFrameTooHighRefusesTheRun)
{
	auto frames = frame_numbers(8);
	frames[5].value = 1ull << 32;
	xpv_gref references[8];
	EXPECT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames.data(), 8, references), -XEN_ERANGE);
	EXPECT_EQ(xpv_fake_active_grants(), 0u);
}

TEST_F(GnttabRun, AllOrNothing)
{
	auto taken = take_all();
	std::vector<xpv_gref> back(taken.end() - 40, taken.end());
	taken.resize(taken.size() - 40);
	revoke_all(back);
	unsigned int active = xpv_fake_active_grants();
	auto frames = frame_numbers(41);
	xpv_gref references[41];
	EXPECT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames.data(), 41, references), -XEN_ENOSPC);
	EXPECT_EQ(xpv_fake_active_grants(), active);
	EXPECT_EQ(grant_counts().free, 40u);
	ASSERT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames.data(), 40, references), 0);
	EXPECT_EQ(grant_counts().free, 0u);
	EXPECT_EQ(xpv_grant_revoke_pages(references, 40), 0u);
	revoke_all(taken);
}

/* What was refused for want of references comes as soon as the table has grown. */
TEST_F(GnttabRun, TableGrowsToARunThatWasRefused)
{
	auto frames = frame_numbers(1500);
	std::vector<xpv_gref> references(1500);
	EXPECT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames.data(), 1500, references.data()),
		  -XEN_ENOSPC);
	EXPECT_TRUE(eventually([&] {
		return xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames.data(), 1500,
				       references.data()) == 0;
	}));
	revoke_all(references);
}

/* Who may sleep does not depend on when the work item runs. */
TEST_F(GnttabRun, SleepingCallerGrowsTheTable)
{
	auto frames = frame_numbers(1500);
	std::vector<xpv_gref> references(1500);
	ASSERT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_MAY_SLEEP, frames.data(), 1500, references.data()),
		  0);
	EXPECT_EQ(grant_counts().frames, 3u);
	revoke_all(references);
}

TEST_F(GnttabRun, SleepingCallerIsRefusedAtTheMaximum)
{
	std::vector<xpv_gref> taken = take_all();
	fake::take_log();
	xpv_gref reference;
	EXPECT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_MAY_SLEEP, &reference), -XEN_ENOSPC);
	EXPECT_EQ(lines_with(fake::take_log(), "grant table: full"), 1u);
	/* One that another CPU keeps in its magazine is found: here the only magazine is this thread's own. */
	EXPECT_EQ(xpv_grant_try_revoke(taken.back()), 0);
	taken.pop_back();
	EXPECT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_MAY_SLEEP, &reference), 0);
	taken.push_back(reference);
	revoke_all(taken);
}

TEST_F(GnttabRun, StillMappedAreReturned)
{
	auto frames = frame_numbers(5);
	xpv_gref references[5];
	ASSERT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames.data(), 5, references), 0);
	xpv_gref mapped = references[3];
	xpv_gfn seen;
	ASSERT_EQ(xpv_fake_map_grant(backend, mapped, true, &seen), 0);
	ASSERT_EQ(xpv_grant_revoke_pages(references, 5), 1u);
	EXPECT_EQ(references[0], mapped);
	EXPECT_EQ(xpv_fake_active_grants(), 1u);
	xpv_fake_unmap_grant(mapped);
	EXPECT_EQ(xpv_grant_revoke_pages(references, 1), 0u);
}

TEST_F(GnttabRun, FullTableSaysSoNotTooOften)
{
	auto taken = take_all();
	fake::take_log();
	xpv_gref reference;
	for (unsigned int i = 0; i < 100; i++)
		EXPECT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference),
			  -XEN_ENOSPC);
	auto log = fake::take_log();
	EXPECT_LE(log.size(), 5u);
	revoke_all(taken);
}

/* The text of the line; in a program of its own, for the limit above counts for all tests. */
TEST(GnttabFull, LineHasSizeAndMaximum)
{
	GTEST_FLAG_SET(death_test_style, "threadsafe");
	EXPECT_EXIT(
		{
			xpv_fake_set_max_grant_frames(2);
			xpv_fake_reset();
			xpv_grant_pool *pool;
			if (xpv_gnttab_load() != 0)
				std::exit(1);
			if (xpv_grant_pool_create("all", 1024 - 8, &pool) != 0)
				std::exit(2);
			xpv_gref reference;
			if (xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference) !=
			    -XEN_ENOSPC)
				std::exit(3);
			auto log = fake::take_log();
			bool found = false;
			for (const std::string &line : log)
				found |= line.find("full, 1024 references in 2 frames, Xen's maximum is 2 frames") !=
					 std::string::npos;
			std::_Exit(found ? 0 : 4);
		},
		testing::ExitedWithCode(0), "");
}

/* More than one set can hold: out of use rather than used again. */
TEST_F(GnttabRun, ParkingHasALimitForOneAllocation)
{
	constexpr unsigned int order = 7, count = 1 << order;
	void *pages = xpv_pages_alloc(order, XPV_MAY_SLEEP);
	ASSERT_NE(pages, nullptr);
	auto frames = frame_numbers(count);
	std::vector<xpv_gref> references(count);
	ASSERT_EQ(xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames.data(), count, references.data()), 0);
	xpv_gfn seen;
	/* Up to the limit they are parked, */
	for (unsigned int i = 0; i < 64; i++)
		ASSERT_EQ(xpv_fake_map_grant(backend, references[i], true, &seen), 0);
	xpv_grant_revoke_and_free(references.data(), count, pages, order);
	EXPECT_EQ(grant_counts().parked, 64u);
	EXPECT_EQ(grant_counts().lost, 0u);
	for (unsigned int i = 0; i < 64; i++)
		xpv_fake_unmap_grant(references[i]);
	EXPECT_TRUE(eventually([] { return grant_counts().parked == 0; }));
}

TEST(GnttabLostRun, PastTheParkingLimitIsLostAndCounted)
{
	xpv_fake_set_max_grant_frames(4);
	xpv_fake_reset();
	ASSERT_EQ(xpv_gnttab_load(), 0);
	constexpr unsigned int order = 7, count = 65;
	void *pages = xpv_pages_alloc(order, XPV_MAY_SLEEP);
	ASSERT_NE(pages, nullptr);
	std::vector<xpv_gref> references(count);
	for (xpv_gref &reference : references) {
		xpv_gfn seen;
		ASSERT_EQ(xpv_grant_page(backend, frame_number(1), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference), 0);
		ASSERT_EQ(xpv_fake_map_grant(backend, reference, true, &seen), 0);
	}
	xpv_grant_revoke_and_free(references.data(), count, pages, order);
	EXPECT_EQ(grant_counts().lost, count);
	EXPECT_EQ(grant_counts().parked, 0u);
	/* Not freed: the other end still writes there. */
	static_cast<volatile char *>(pages)[0] = 1;
	xpv_pages_free(pages, order);
	xpv_gnttab_unload();
}

TEST_F(GnttabRun, PoolsAreShownByName)
{
	xpv_grant_pool *one, *two;
	xpv_gnttab_pool_line line;
	EXPECT_FALSE(xpv_gnttab_describe_pool(0, &line));
	ASSERT_EQ(xpv_grant_pool_create("one", 10, &one), 0);
	ASSERT_EQ(xpv_grant_pool_create("a name of more than 24 characters", 20, &two), 0);
	xpv_pfn frame = frame_number(1);
	xpv_gref reference;
	ASSERT_EQ(xpv_grant_pool_issue(two, backend, XPV_GRANT_READ_WRITE, &frame, 1, &reference), 0);
	ASSERT_TRUE(xpv_gnttab_describe_pool(0, &line));
	EXPECT_STREQ(line.name, "one");
	EXPECT_EQ(line.owned, 10u);
	EXPECT_EQ(line.issued, 0u);
	ASSERT_TRUE(xpv_gnttab_describe_pool(1, &line));
	EXPECT_STREQ(line.name, "a name of more than 24 ");
	EXPECT_EQ(line.owned, 20u);
	EXPECT_EQ(line.issued, 1u);
	EXPECT_FALSE(xpv_gnttab_describe_pool(2, &line));
	xpv_grant_pool_destroy(one);
	ASSERT_TRUE(xpv_gnttab_describe_pool(0, &line));
	EXPECT_EQ(line.owned, 20u);
	EXPECT_EQ(xpv_grant_pool_revoke(two, &reference, 1), 0u);
	xpv_grant_pool_destroy(two);
}

} // namespace
