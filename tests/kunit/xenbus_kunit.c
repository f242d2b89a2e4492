// SPDX-License-Identifier: GPL-2.0-only
/* The suite xpv_xenbus: a KUnit case for each function of xenbus_kunit.h, and tracepoints that do nothing. */

#include <kunit/test.h>
#include <linux/ktime.h>
#include <linux/module.h>

#include "tests/kunit/xenbus_kunit.h"
#include "xenbus/linux.h"

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
XENBUS_CASE(client)
XENBUS_CASE(client_timeout)
XENBUS_CASE(client_reconnects)
XENBUS_CASE(client_restored)

/* The suite's own copy of the client has no tracepoints. */
void xpv_trace_store_request(u32 type, u32 transaction, u32 id, const char *path, size_t length)
{
}

void xpv_trace_store_reply(u32 type, u32 transaction, u32 id, const char *path, size_t length, int result, u64 nanoseconds)
{
}

void xpv_trace_store_watch(const char *path, size_t length, const char *token, size_t token_length)
{
}

void xpv_trace_store_watch_called(const char *path, u64 nanoseconds)
{
}

u64 xpv_store_clock_ns(void)
{
	return ktime_get_ns();
}

/* clang-format off */
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
	KUNIT_CASE(client),
	KUNIT_CASE(client_timeout),
	KUNIT_CASE(client_reconnects),
	KUNIT_CASE(client_restored),
	{}
};
/* clang-format on */

static struct kunit_suite xenbus_suite = {
	.name = "xpv_xenbus",
	.test_cases = xenbus_cases,
};
kunit_test_suite(xenbus_suite);

MODULE_DESCRIPTION("xpv: tests of the store ring and the device bus's states");
MODULE_LICENSE("GPL");
