// SPDX-License-Identifier: GPL-2.0-only
/* A disk retires: it works until Linux has written back, or until its time is over. */
#include <gtest/gtest.h>

#include "tests/host/blkfront_vbd_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(BlkfrontReconnect, RetiredDiskWorksUntilItIsRemoved)
{
	xpv_vbd_driver.retire(&device);
	EXPECT_TRUE(the_disk()->retiring);
	EXPECT_EQ(device.retired, 0u);
	/* Linux writes back, also over another connection. */
	submit(1, XPV_BLOCK_WRITE);
	EXPECT_EQ(answer_all(), 1u);
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	submit(2, XPV_BLOCK_WRITE);
	reconnect();
	EXPECT_EQ(answer_all(), 1u);
	EXPECT_EQ(outcome(2), std::vector<int>{ 0 });
	the_disk()->retired = true;
	xpv_vbd_retired(the_disk()->vbd);
	EXPECT_EQ(device.retired, 1u);
	end();
	EXPECT_EQ(device.retired, 1u);
}

TEST_F(BlkfrontReconnect, RetiredDiskIsTakenAwayWhenItsBoundHasPassed)
{
	submit(1, XPV_BLOCK_WRITE);
	xpv_vbd_driver.retire(&device);
	connection_lost();
	xpv_vbd_driver.disconnect(&device);
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
	EXPECT_EQ(device.retired, 1u);
	remove();
}

TEST_F(BlkfrontVbd, RetireWithoutADiskIsDoneAtOnce)
{
	probe();
	negotiate();
	xpv_vbd_driver.retire(&device);
	EXPECT_EQ(device.retired, 1u);
	disconnect();
	remove();
}

} // namespace
