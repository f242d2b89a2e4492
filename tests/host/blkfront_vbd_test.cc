// SPDX-License-Identifier: GPL-2.0-only
/* A vbd probes, connects, serves requests and is removed. */
#include <gtest/gtest.h>

#include "tests/host/blkfront_vbd_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(BlkfrontVbd, WholeLife)
{
	probe();
	negotiate();
	EXPECT_EQ(device.own["event-channel"], "17");
	EXPECT_EQ(device.own["protocol"], "x86_64-abi");
	connect();
	ASSERT_NE(the_disk(), nullptr);
	EXPECT_TRUE(the_disk()->added);
	EXPECT_STREQ(the_disk()->parameters.name, "xvda");
	EXPECT_EQ(the_disk()->parameters.sectors, 2048u);
	EXPECT_EQ(the_disk()->parameters.physical_block_size, 4096u);

	submit(1);
	submit(2, XPV_BLOCK_WRITE);
	EXPECT_EQ(the_channel->sent, 1u); /* the backend did not go back to sleep between */
	auto first = other.next(), second = other.next();
	ASSERT_TRUE(first && second);
	other.respond(*second);
	other.respond(*first, BLKIF_RSP_ERROR);
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
	EXPECT_EQ(outcome(2), std::vector<int>{ 0 });
	EXPECT_EQ(device.failure, "");
	disconnect();
	remove();
}

TEST_F(BlkfrontVbd, ConnectsAgainAfterTheBackendCloses)
{
	probe();
	for (unsigned int i = 0; i < 3; i++) {
		negotiate();
		connect();
		submit(i);
		disconnect();
		EXPECT_EQ(outcome(i), std::vector<int>{ -XEN_EIO });
	}
	remove();
}

TEST_F(BlkfrontVbd, RequestsInFlightFailOnceWhenItGoes)
{
	probe();
	negotiate();
	connect();
	for (unsigned int i = 0; i < 5; i++)
		submit(i);
	auto seen = other.next();
	other.map(*seen, 1); /* and keeps it */
	disconnect();
	for (unsigned int i = 0; i < 5; i++)
		EXPECT_EQ(outcome(i), std::vector<int>{ -XEN_EIO });
	EXPECT_EQ(grant_counts().parked, 1u);
	remove();
	other.unmap(*seen, 1);
}

/*
 * Cases 3 and 17. A response has id 77, which no request can have, and the
 * backend goes on sending events. A driver that keeps its channel open finds
 * and logs the same response with each event. The device must fail once, and
 * the channel be masked; the request in flight ends with EIO at disconnect().
 */
TEST_F(BlkfrontVbd, ViolationFailsTheDeviceAndStopsEvents)
{
	probe();
	negotiate();
	connect();
	submit(1);
	submit(2);
	auto seen = other.next();
	other.respond(*seen);
	other.respond(77, BLKIF_OP_READ);
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	EXPECT_EQ(outcome(2), std::vector<int>{});
	EXPECT_NE(device.failure.find("77"), std::string::npos);
	EXPECT_EQ(the_channel->masked, 1u);
	/* Case 17: whatever still comes. */
	device.failure = "";
	for (unsigned int i = 0; i < 10; i++)
		event();
	EXPECT_EQ(device.failure, "");
	disconnect();
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	EXPECT_EQ(outcome(2), std::vector<int>{ -XEN_EIO });
	remove();
}

/*
 * Case 17. The backend sends events without a response. A driver that handles
 * each as useful lets the backend occupy a CPU. Each must be reported to the
 * channel as spurious, which then backs off; an event that brings a response
 * must not.
 */
TEST_F(BlkfrontVbd, EventsThatBringNothingAreReported)
{
	probe();
	negotiate();
	connect();
	submit(1);
	auto seen = other.next();
	other.respond(*seen);
	event();
	EXPECT_EQ(the_channel->spurious, 0u);
	event();
	event();
	EXPECT_EQ(the_channel->spurious, 2u);
	disconnect();
	remove();
}

TEST_F(BlkfrontVbd, FlushAfterAWriteThroughIsTheDriversOwn)
{
	probe();
	negotiate();
	connect();
	submit(1, XPV_BLOCK_WRITE_THROUGH);
	other.respond(*other.next());
	other.sleep();
	unsigned int sent = the_channel->sent;
	event();
	EXPECT_EQ(the_channel->sent, sent + 1);
	EXPECT_EQ(the_channel->spurious, 0u);
	EXPECT_TRUE(outcome(1).empty());
	auto flush = other.next();
	ASSERT_TRUE(flush);
	EXPECT_EQ(flush->operation, BLKIF_OP_FLUSH_DISKCACHE);
	other.respond(*flush);
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	disconnect();
	remove();
}

/*
 * Case 4, before connect(). The ring and the channel exist from negotiate() on,
 * so the backend can send an event, and a response to no request, while there
 * is no disk. A driver that completes it dereferences a disk that does not
 * exist. The event alone must do nothing, and the response must fail the
 * device.
 */
TEST_F(BlkfrontVbd, EventBeforeConnectIsHarmless)
{
	probe();
	negotiate();
	event();
	EXPECT_EQ(device.failure, "");
	other.respond(0, BLKIF_OP_READ);
	event();
	EXPECT_NE(device.failure, "");
	disconnect();
	remove();
}

/*
 * Case 18. The backend answers, but sends no event. A driver that reads the
 * ring on events only leaves the request, and the task that waits for it,
 * hanging. The poll, which blk-mq's timeout handler calls, must find the
 * response.
 */
TEST_F(BlkfrontVbd, LostEventIsFoundByPolling)
{
	probe();
	negotiate();
	connect();
	submit(1);
	other.respond(*other.next());
	poll();
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	disconnect();
	remove();
}

/*
 * Case 25. The backend changes its number of sectors. A driver that passes on
 * any number gives Linux a disk whose size in bytes overflows. A valid number
 * must be followed; one that is too large, or a missing node, must leave the
 * size as it is.
 */
TEST_F(BlkfrontVbd, ResizeFollowsTheBackend)
{
	probe();
	negotiate();
	connect();
	xpv_vbd_driver.backend_changed(&device);
	EXPECT_EQ(the_disk()->resized, 0u);
	device.backend["sectors"] = "4096";
	xpv_vbd_driver.backend_changed(&device);
	EXPECT_EQ(the_disk()->resized, 4096u);
	device.backend["sectors"] = "18446744073709551615";
	xpv_vbd_driver.backend_changed(&device);
	EXPECT_EQ(the_disk()->resized, 4096u);
	device.backend.erase("sectors");
	xpv_vbd_driver.backend_changed(&device);
	EXPECT_EQ(the_disk()->resized, 4096u);
	disconnect();
	remove();
}

/* Case 25. The backend changes the size again and again. Each change must be followed, and few of them logged. */
TEST_F(BlkfrontVbd, SizesDoNotFloodTheLog)
{
	probe();
	negotiate();
	connect();
	fake::take_log();
	for (unsigned int i = 1; i <= 1000; i++) {
		device.backend["sectors"] = std::to_string(i * 8);
		xpv_vbd_driver.backend_changed(&device);
		EXPECT_EQ(the_disk()->resized, i * 8);
	}
	EXPECT_LE(fake::take_log().size(), 5u);
	disconnect();
	remove();
}

TEST_F(BlkfrontVbd, ProbeRefusesWhatIsNoDisk)
{
	device.own["device-type"] = "cdrom";
	EXPECT_EQ(xpv_vbd_driver.probe(&device), -XEN_ENODEV);
	EXPECT_EQ(device.own["state"], "6");
	device.own["device-type"] = "disk";
	for (const char *number : { "", "nonsense", "1", "4294967295", "99999999999999999999" }) {
		SCOPED_TRACE(number);
		device.own["virtual-device"] = number;
		EXPECT_LT(xpv_vbd_driver.probe(&device), 0);
	}
	device.read_error = -XEN_EIO;
	EXPECT_EQ(xpv_vbd_driver.probe(&device), -XEN_EIO);
	EXPECT_EQ(device.context, nullptr);
}

TEST_F(BlkfrontVbd, VirtualDeviceMayBeExtended)
{
	device.own.erase("virtual-device");
	device.own["virtual-device-ext"] = "268442112"; /* xvdaa */
	probe();
	negotiate();
	connect();
	EXPECT_STREQ(the_disk()->parameters.name, "xvdaa");
	EXPECT_EQ(the_disk()->parameters.minors, 256u);
	disconnect();
	remove();
}

TEST_F(BlkfrontVbd, NegotiateThatFailsLeavesNothing)
{
	probe();
	device.publish_error = -XEN_EAGAIN;
	EXPECT_EQ(xpv_vbd_driver.negotiate(&device), -XEN_EAGAIN);
	EXPECT_EQ(the_channel, nullptr);
	EXPECT_EQ(grant_counts().free, grant_counts().total);
	device.publish_error = 0;
	channel_error = -XEN_ENOSPC;
	EXPECT_EQ(xpv_vbd_driver.negotiate(&device), -XEN_ENOSPC);
	EXPECT_EQ(grant_counts().free, grant_counts().total);
	channel_error = 0;
	negotiate();
	disconnect();
	remove();
}

/* Each allocation fails once. */
TEST_F(BlkfrontVbd, NegotiateSurvivesEachAllocationFailing)
{
	probe();
	for (unsigned int n = 1;; n++) {
		std::size_t before = fake::live_allocations();
		fake::fail_allocation(n);
		if (xpv_vbd_driver.negotiate(&device) == 0)
			break;
		EXPECT_EQ(grant_counts().free, grant_counts().total);
		EXPECT_EQ(fake::live_allocations(), before);
		ASSERT_LT(n, 20u);
	}
	fake::fail_allocation(0);
	xpv_vbd_driver.disconnect(&device);
	remove();
}

TEST_F(BlkfrontVbd, ConnectThatFailsIsUndoneByDisconnect)
{
	probe();
	negotiate();
	device.backend["sector-size"] = "3";
	EXPECT_EQ(xpv_vbd_driver.connect(&device), -XEN_EINVAL);
	EXPECT_EQ(the_disk(), nullptr);
	device.backend["sector-size"] = "4096";
	disk_error = -XEN_EBUSY;
	EXPECT_EQ(xpv_vbd_driver.connect(&device), -XEN_EBUSY);
	disconnect();
	remove();
}

TEST_F(BlkfrontVbd, RemoveWithoutDisconnectFreesAll)
{
	probe();
	negotiate();
	connect();
	submit(1);
	other.release();
	remove();
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
}

} // namespace
