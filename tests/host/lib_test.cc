// SPDX-License-Identifier: GPL-2.0-only
/* The checks of the base library that KUnit runs too, here under sanitizers. */
#include <gtest/gtest.h>

#include "tests/kunit/lib_kunit.h"

TEST(Lib, Result)
{
	EXPECT_STREQ(xpv_lib_test_result(), nullptr);
}
TEST(Lib, Untrusted)
{
	EXPECT_STREQ(xpv_lib_test_untrusted(), nullptr);
}
TEST(Lib, Ring)
{
	EXPECT_STREQ(xpv_lib_test_ring(), nullptr);
}
TEST(Lib, List)
{
	EXPECT_STREQ(xpv_lib_test_list(), nullptr);
}
TEST(Lib, Ownership)
{
	EXPECT_STREQ(xpv_lib_test_ownership(), nullptr);
}
TEST(Lib, Locks)
{
	EXPECT_STREQ(xpv_lib_test_locks(), nullptr);
}
TEST(Lib, Ordering)
{
	EXPECT_STREQ(xpv_lib_test_ordering(), nullptr);
}
TEST(Lib, Work)
{
	EXPECT_STREQ(xpv_lib_test_work(), nullptr);
}
TEST(Lib, Thread)
{
	EXPECT_STREQ(xpv_lib_test_thread(), nullptr);
}
TEST(Lib, LockClasses)
{
	EXPECT_STREQ(xpv_lib_test_lock_classes(), nullptr);
}
TEST(Lib, Deadline)
{
	EXPECT_STREQ(xpv_lib_test_deadline(), nullptr);
}
TEST(Lib, Number)
{
	EXPECT_STREQ(xpv_lib_test_number(), nullptr);
}
TEST(Lib, Edges)
{
	EXPECT_STREQ(xpv_lib_test_edges(), nullptr);
}
