// SPDX-License-Identifier: GPL-2.0-only
/* Copies by Xen, both ways, and what fails in a batch of them. */
#include <cstring>

#include "gnttab/batch.hh"
#include "tests/host/gnttab_fixture.hh"

namespace {

using namespace xpv_test;

constexpr xpv_domid owner = { 5 };
constexpr xpv_gref writable = { 40 }, read_only = { 41 };

class GnttabCopy : public GnttabFixture {
protected:
	void SetUp() override
	{
		GnttabFixture::SetUp();
		theirs = static_cast<char *>(xpv_fake_foreign_grant(owner, writable, true));
		theirs_read_only = static_cast<char *>(xpv_fake_foreign_grant(owner, read_only, false));
		ours = static_cast<char *>(xpv_pages_alloc(0, XPV_MAY_SLEEP));
		ASSERT_TRUE(theirs && theirs_read_only && ours);
		xpv_fake_largest_grant_batch();
	}
	void TearDown() override
	{
		xpv_pages_free(ours, 0);
		GnttabFixture::TearDown();
	}
	[[nodiscard]] xpv_pfn frame() const { return xpv_pages_pfn(ours); }

	char *theirs, *theirs_read_only, *ours;
};

TEST_F(GnttabCopy, GoesBothWays)
{
	std::strcpy(theirs_read_only + 8, "from them");
	std::strcpy(ours + 2000, "from us");
	xpv_grant_copy_op copies[] = {
		{ xpv_copy_granted(owner, read_only, 8), xpv_copy_local(frame(), 16), 10, 99 },
		{ xpv_copy_local(frame(), 2000), xpv_copy_granted(owner, writable, 0), 8, 99 },
		{ xpv_copy_granted(owner, read_only, 8), xpv_copy_granted(owner, writable, 100), 10, 99 },
	};
	EXPECT_EQ(xpv_grant_copy(copies, 3), 0u);
	for (const auto &copy : copies)
		EXPECT_EQ(copy.status, 0);
	EXPECT_STREQ(ours + 16, "from them");
	EXPECT_STREQ(theirs, "from us");
	EXPECT_STREQ(theirs + 100, "from them");
}

TEST_F(GnttabCopy, EachHasItsOutcome)
{
	std::strcpy(ours, "text");
	xpv_grant_copy_op copies[] = {
		{ xpv_copy_local(frame(), 0), xpv_copy_granted(owner, writable, 0), 5, 99 },
		{ xpv_copy_local(frame(), 0), xpv_copy_granted(owner, read_only, 0), 5, 99 },
		{ xpv_copy_local(frame(), 4090), xpv_copy_granted(owner, writable, 0), 7, 99 },
		{ xpv_copy_local(frame(), 0), xpv_copy_granted(owner, { 9 }, 0), 5, 99 },
		{ xpv_copy_local(frame(), 0), xpv_copy_granted({ 9 }, writable, 0), 5, 99 },
		{ xpv_copy_local(frame(), 4090), xpv_copy_granted(owner, writable, 4090), 6, 99 },
	};
	EXPECT_EQ(xpv_grant_copy(copies, 6), 4u);
	const int expected[] = { 0, -XEN_EIO, -XEN_EINVAL, -XEN_ENOENT, -XEN_ESRCH, 0 };
	for (unsigned int i = 0; i < 6; i++)
		EXPECT_EQ(copies[i].status, expected[i]) << i;
	EXPECT_STREQ(theirs, "text");
	EXPECT_EQ(theirs_read_only[0], 0);
}

TEST_F(GnttabCopy, LargeBatchesAreSplitAndTriedAgain)
{
	std::vector<xpv_grant_copy_op> copies;
	for (unsigned int i = 0; i < 150; i++) {
		ours[i] = static_cast<char>(i);
		copies.push_back({ xpv_copy_local(frame(), static_cast<uint16_t>(i)),
				   xpv_copy_granted(owner, writable, static_cast<uint16_t>(2 * i)), 1, 99 });
	}
	xpv_fake_foreign_answer(owner, writable, GNTST_eagain, 40);
	EXPECT_EQ(xpv_grant_copy(copies.data(), 150), 0u);
	EXPECT_EQ(xpv_fake_largest_grant_batch(), xpv::batch_size);
	for (unsigned int i = 0; i < 150; i++)
		EXPECT_EQ(theirs[2 * i], static_cast<char>(i));
}

TEST_F(GnttabCopy, PatienceEnds)
{
	xpv_grant_copy_op copy = { xpv_copy_local(frame(), 0), xpv_copy_granted(owner, writable, 0), 4, 99 };
	xpv_fake_foreign_answer(owner, writable, GNTST_eagain, UINT32_MAX);
	EXPECT_EQ(xpv_grant_copy(&copy, 1), 1u);
	EXPECT_EQ(copy.status, -XEN_EAGAIN);
}

TEST_F(GnttabCopy, HypercallThatFailsFailsItsBatch)
{
	xpv_grant_copy_op copy = { xpv_copy_local(frame(), 0), xpv_copy_granted(owner, writable, 0), 4, 99 };
	xpv_fake_fail(__HYPERVISOR_grant_table_op, GNTTABOP_copy, 0, XEN_ENOSYS);
	EXPECT_EQ(xpv_grant_copy(&copy, 1), 1u);
	EXPECT_EQ(copy.status, -XEN_ENOSYS);
	EXPECT_EQ(xpv_grant_copy(&copy, 0), 0u);
}

} // namespace
