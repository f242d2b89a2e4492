// SPDX-License-Identifier: GPL-2.0-only
/* The suite xpv_lib: a KUnit case for each function of lib_kunit.h. */

#include <kunit/test.h>
#include <linux/module.h>

#include "tests/kunit/lib_kunit.h"

#define LIB_CASE(name)                                                                                                 \
	static void name(struct kunit *test)                                                                           \
	{                                                                                                              \
		KUNIT_EXPECT_STREQ(test, xpv_lib_test_##name() ?: "", "");                                             \
	}

LIB_CASE(result)
LIB_CASE(untrusted)
LIB_CASE(ring)
LIB_CASE(list)
LIB_CASE(ownership)
LIB_CASE(locks)
LIB_CASE(ordering)
LIB_CASE(work)
LIB_CASE(thread)
LIB_CASE(lock_classes)
LIB_CASE(deadline)
LIB_CASE(number)
LIB_CASE(edges)

/* clang-format off */
static struct kunit_case lib_cases[] = {
	KUNIT_CASE(result),
	KUNIT_CASE(untrusted),
	KUNIT_CASE(ring),
	KUNIT_CASE(list),
	KUNIT_CASE(ownership),
	KUNIT_CASE(locks),
	KUNIT_CASE(ordering),
	KUNIT_CASE(work),
	KUNIT_CASE(thread),
	KUNIT_CASE(lock_classes),
	KUNIT_CASE(deadline),
	KUNIT_CASE(number),
	KUNIT_CASE(edges),
	{}
};
/* clang-format on */

static struct kunit_suite lib_suite = {
	.name = "xpv_lib",
	.test_cases = lib_cases,
};
kunit_test_suite(lib_suite);

MODULE_DESCRIPTION("xpv: tests of the base library");
MODULE_LICENSE("GPL");
