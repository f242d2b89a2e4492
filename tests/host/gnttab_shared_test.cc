// SPDX-License-Identifier: GPL-2.0-only
/* The cases that KUnit runs too. */
#include "tests/host/gnttab_fixture.hh"
#include "tests/kunit/gnttab_kunit.h"

namespace {

class GnttabShared : public xpv_test::GnttabFixture {};

#define GNTTAB_CASE(name)                                                                                              \
	TEST_F(GnttabShared, name)                                                                                     \
	{                                                                                                              \
		const char *failed = xpv_gnttab_test_##name();                                                         \
		EXPECT_EQ(failed, nullptr) << failed;                                                                  \
	}

GNTTAB_CASE(entry_v2)
GNTTAB_CASE(entries)
GNTTAB_CASE(run)
GNTTAB_CASE(waiter)
GNTTAB_CASE(map)
GNTTAB_CASE(map_again)
GNTTAB_CASE(window)
GNTTAB_CASE(copy)

} // namespace
