// SPDX-License-Identifier: GPL-2.0-only
#include <kunit/test.h>
#include <linux/module.h>

#include "tests/kunit/xenbus_kunit.h"

#define XENBUS_CASE(name)                                                                                              \
	static void name(struct kunit *test)                                                                           \
	{                                                                                                              \
		KUNIT_EXPECT_STREQ(test, xpv_xenbus_test_##name() ?: "", "");                                          \
	}

XENBUS_CASE(every_pair)
XENBUS_CASE(late)
XENBUS_CASE(published)
XENBUS_CASE(first_phase)
XENBUS_CASE(parse_state)
XENBUS_CASE(ring)
XENBUS_CASE(ring_indices)
XENBUS_CASE(messages)
XENBUS_CASE(watch_events)

static struct kunit_case xenbus_cases[] = {
	KUNIT_CASE(every_pair),
	KUNIT_CASE(late),
	KUNIT_CASE(published),
	KUNIT_CASE(first_phase),
	KUNIT_CASE(parse_state),
	KUNIT_CASE(ring),
	KUNIT_CASE(ring_indices),
	KUNIT_CASE(messages),
	KUNIT_CASE(watch_events),
	{}
};

static struct kunit_suite xenbus_suite = {
	.name = "xpv_xenbus",
	.test_cases = xenbus_cases,
};
kunit_test_suite(xenbus_suite);

MODULE_DESCRIPTION("xpv: tests of the store ring and the device bus's states");
MODULE_LICENSE("GPL");
