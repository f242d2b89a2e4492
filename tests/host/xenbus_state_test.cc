// SPDX-License-Identifier: GPL-2.0-only
/* The checks of the state table and the ring that KUnit runs too, here under sanitizers. */
#include <gtest/gtest.h>

#include "tests/kunit/xenbus_kunit.h"
#include "xenbus/bus/bus.hh"
#include "xenbus/store/text.hh"

/* Cases 21, 23 and 28 to 30: tests/kunit/xenbus_kunit_cases.cc describes each check. */
TEST(State, EveryPair)
{
	EXPECT_STREQ(xpv_xenbus_test_every_pair(), nullptr);
}
TEST(State, Late)
{
	EXPECT_STREQ(xpv_xenbus_test_late(), nullptr);
}
TEST(State, Published)
{
	EXPECT_STREQ(xpv_xenbus_test_published(), nullptr);
}
TEST(State, FirstPhase)
{
	EXPECT_STREQ(xpv_xenbus_test_first_phase(), nullptr);
}
TEST(State, ParseState)
{
	EXPECT_STREQ(xpv_xenbus_test_parse_state(), nullptr);
}
TEST(Ring, Ring)
{
	EXPECT_STREQ(xpv_xenbus_test_ring(), nullptr);
}
TEST(Ring, Indices)
{
	EXPECT_STREQ(xpv_xenbus_test_ring_indices(), nullptr);
}
TEST(Ring, Messages)
{
	EXPECT_STREQ(xpv_xenbus_test_messages(), nullptr);
}
TEST(Ring, Client)
{
	EXPECT_STREQ(xpv_xenbus_test_client(), nullptr);
}
TEST(Ring, ClientTimeout)
{
	EXPECT_STREQ(xpv_xenbus_test_client_timeout(), nullptr);
}
TEST(Ring, ClientReconnects)
{
	EXPECT_STREQ(xpv_xenbus_test_client_reconnects(), nullptr);
}
TEST(Ring, ClientRestored)
{
	EXPECT_STREQ(xpv_xenbus_test_client_restored(), nullptr);
}
TEST(Ring, WatchEvents)
{
	EXPECT_STREQ(xpv_xenbus_test_watch_events(), nullptr);
}

TEST(Names, OfDevices)
{
	EXPECT_TRUE(xpv::acceptable_name("vbd"));
	EXPECT_TRUE(xpv::acceptable_name("51712"));
	EXPECT_TRUE(xpv::acceptable_name("event-channel"));
	EXPECT_FALSE(xpv::acceptable_name(""));
	EXPECT_FALSE(xpv::acceptable_name(".."));
	EXPECT_FALSE(xpv::acceptable_name("a/b"));
	EXPECT_FALSE(xpv::acceptable_name("%s"));
	EXPECT_FALSE(xpv::acceptable_name(std::string(40, 'a')));
}

/*
 * Case 26. A device's directory names its backend by a path. A driver that
 * takes any path reads and watches nodes that other domains, or the guest
 * itself, can write. The path must be below the backend directory of the domain
 * that backend-id names, without ".." and without empty names.
 */
TEST(Names, OfBackends)
{
	EXPECT_TRUE(xpv::acceptable_backend_path("/local/domain/0/backend/vbd/7/51712", { 0 }));
	EXPECT_TRUE(xpv::acceptable_backend_path("/local/domain/12/backend/qdisk/7/768", { 12 }));
	EXPECT_FALSE(xpv::acceptable_backend_path("/local/domain/1/backend/vbd/7/51712", { 0 }));
	EXPECT_FALSE(xpv::acceptable_backend_path("/local/domain/0/device/vbd/7", { 0 }));
	EXPECT_FALSE(xpv::acceptable_backend_path("/local/domain/0/backend/", { 0 }));
	EXPECT_FALSE(xpv::acceptable_backend_path("/local/domain/0/backend//vbd", { 0 }));
	EXPECT_FALSE(xpv::acceptable_backend_path("/local/domain/0/backend/../../vm", { 0 }));
	EXPECT_FALSE(xpv::acceptable_backend_path("backend/vbd/7/51712", { 0 }));
	EXPECT_FALSE(xpv::acceptable_backend_path("", { 0 }));
}

TEST(Names, ChangesThatMatterToTheBus)
{
	EXPECT_TRUE(xpv::may_be_device_change("device"));
	EXPECT_TRUE(xpv::may_be_device_change("device/vbd"));
	EXPECT_TRUE(xpv::may_be_device_change("device/vbd/51712"));
	EXPECT_TRUE(xpv::may_be_device_change("device/vbd/51712/backend"));
	EXPECT_TRUE(xpv::may_be_device_change("device/vbd/51712/backend-id"));
	EXPECT_FALSE(xpv::may_be_device_change("device/vbd/51712/state"));
	EXPECT_FALSE(xpv::may_be_device_change("device/vif/0/queue-0/tx-ring-ref"));
}

TEST(Text, Numbers)
{
	EXPECT_EQ(xpv::parse_decimal("0").value_or(1), 0u);
	EXPECT_EQ(xpv::parse_decimal("4294967295").value_or(1), UINT32_MAX);
	EXPECT_FALSE(xpv::parse_decimal("4294967296").ok());
	EXPECT_FALSE(xpv::parse_decimal("").ok());
	EXPECT_FALSE(xpv::parse_decimal("1x").ok());
	EXPECT_FALSE(xpv::parse_decimal("11", 10).ok());
	EXPECT_EQ(xpv::parse_hexadecimal("deadbeef").value_or(0), 0xdeadbeefu);
	EXPECT_FALSE(xpv::parse_hexadecimal("123456789").ok());
	EXPECT_FALSE(xpv::parse_hexadecimal("").ok());
	EXPECT_FALSE(xpv::parse_hexadecimal("0x1").ok());
}

TEST(Text, FixedText)
{
	xpv::FixedText<8> text;
	EXPECT_TRUE(text.assign({ "abc", "defg" }).ok());
	EXPECT_EQ(text.view(), "abcdefg");
	EXPECT_FALSE(text.assign({ "abc", "defgh" }).ok());
	EXPECT_EQ(text.view(), "");
	text.assign_cut("0123456789");
	EXPECT_EQ(text.view(), "0123456");
}
