// SPDX-License-Identifier: GPL-2.0-only
/* A disk stops for a suspend; after a restore the new backend gets its requests. */
#include <gtest/gtest.h>

#include <atomic>

#include "tests/host/blkfront_vbd_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(BlkfrontSuspend, DisksShareOneGracePeriod)
{
	xpv_device second;
	second.own = { { "virtual-device", "51728" }, { "device-type", "disk" } };
	second.backend = device.backend;
	second.id = "51728";
	second.path = "device/vbd/51728";
	ASSERT_EQ(xpv_vbd_driver.probe(&second), 0);
	ASSERT_EQ(xpv_vbd_driver.negotiate(&second), 0);
	ASSERT_EQ(xpv_vbd_driver.connect(&second), 0);
	ASSERT_EQ(disks.size(), 2u);
	unsigned int before = grace_periods;
	xpv_vbd_driver.hold(&device);
	xpv_vbd_driver.hold(&second);
	EXPECT_EQ(grace_periods, before);
	EXPECT_EQ(xpv_vbd_driver.drain(&device, 0), 0);
	EXPECT_EQ(xpv_vbd_driver.drain(&second, 0), 0);
	EXPECT_EQ(grace_periods, before + 1);
	for (xpv_disk *disk : disks)
		EXPECT_TRUE(disk->stopped);
	xpv_vbd_driver.go_on(&device, XPV_RESUME_CANCELLED);
	xpv_vbd_driver.go_on(&second, XPV_RESUME_CANCELLED);
	for (xpv_disk *disk : disks)
		EXPECT_FALSE(disk->stopped);
	xpv_vbd_driver.disconnect(&second);
	xpv_vbd_driver.remove(&second);
	end();
}

/* A refused suspend may end before drain(). */
TEST_F(BlkfrontSuspend, HeldDiskGoesOnWithoutADrain)
{
	xpv_vbd_driver.hold(&device);
	cancel();
	EXPECT_FALSE(the_disk()->stopped || the_disk()->stopping);
	submit(1);
	EXPECT_EQ(answer_all(), 1u);
	end();
}

TEST_F(BlkfrontSuspend, CancelledGoesOn)
{
	submit(1);
	begin();
	auto seen = other.next();
	other.respond(*seen);
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	cancel();
	EXPECT_FALSE(the_disk()->stopped);
	submit(2);
	EXPECT_TRUE(other.next());
	disconnect();
	EXPECT_EQ(outcome(2), std::vector<int>{ -XEN_EIO });
	remove();
}

TEST_F(BlkfrontSuspend, DrainWaitsForWhatIsInFlight)
{
	for (unsigned int i = 0; i < 3; i++)
		submit(i, XPV_BLOCK_WRITE_THROUGH);
	std::vector<blkif_request> seen;
	while (auto next = other.next())
		seen.push_back(*next);
	xpv_vbd_driver.hold(&device);
	std::atomic<bool> answered = false;
	fake::Thread backend_thread([&] {
		fake::settle(); /* drain() waits */
		for (const blkif_request &request : seen) {
			other.respond(request);
			event();
		}
		/* The flushes that follow are part of it. */
		while (auto flush = other.next())
			other.respond(*flush);
		answered = true;
		event();
	});
	EXPECT_EQ(xpv_vbd_driver.drain(&device, xpv_now_ms() + 60000), 0);
	EXPECT_TRUE(answered);
	backend_thread.join();
	for (unsigned int i = 0; i < 3; i++)
		EXPECT_EQ(outcome(i), std::vector<int>{ 0 });
	cancel();
	end();
}

TEST_F(BlkfrontSuspend, DrainEndsAtTheDeadline)
{
	submit(1);
	fake::take_log();
	begin();
	bool logged = false;
	for (const std::string &line : fake::take_log())
		logged |= line.find("1 requests still in flight at the suspend") != std::string::npos;
	EXPECT_TRUE(logged);
	cancel();
	EXPECT_EQ(answer_all(), 1u);
	end();
}

/* After a restore nothing would tell that the old backend still writes. */
TEST_F(BlkfrontSuspend, DrainWaitsForPagesOfALostConnection)
{
	auto seen = lose_with_page_mapped(XPV_BLOCK_WRITE, 0);
	std::atomic<bool> unmapped = false;
	fake::Thread backend_thread([&] {
		fake::sleep_for(std::chrono::seconds(3));
		unmapped = true;
		other.unmap(seen, 0);
	});
	xpv_vbd_driver.hold(&device);
	EXPECT_EQ(xpv_vbd_driver.drain(&device, xpv_now_ms() + 60000), 0);
	EXPECT_TRUE(unmapped);
	backend_thread.join();
	cancel();
	negotiate();
	connect();
	EXPECT_EQ(answer_all(), 1u);
	end();
}

TEST_F(BlkfrontSuspend, RequestsInFlightAreDoneOnceByTheNewBackend)
{
	for (unsigned int i = 0; i < 32; i++)
		submit(i);
	auto seen = other.next();
	other.map(*seen, 0); /* which it cannot give back */
	other.respond(*other.next());
	fake::take_log();
	device.backend["sectors"] = "4096";
	device.backend["feature-flush-cache"] = "0";
	device.backend["feature-barrier"] = "0";
	restore();
	/* Its page may have been saved before the old backend wrote to it, and the ring after it answered. */
	EXPECT_EQ(outcome(1), std::vector<int>{}) << "an answer of before the restore counts";
	poll();
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{});
	EXPECT_EQ(grant_counts().parked, 0u);

	negotiate();
	EXPECT_TRUE(the_disk()->stopped);
	connect();
	EXPECT_FALSE(the_disk()->stopped);
	EXPECT_EQ(the_disk()->resized, 4096u);
	EXPECT_EQ(answer_all(), 32u);
	for (unsigned int i = 0; i < 32; i++)
		EXPECT_EQ(outcome(i), std::vector<int>{ 0 });
	EXPECT_EQ(device.failure, "");
	for (const std::string &line : fake::take_log())
		EXPECT_EQ(line.find("it is not granted"), std::string::npos);
	end();
}

/* With its irq, its affinity. */
TEST_F(BlkfrontSuspend, ChannelIsKept)
{
	xpv_event_channel *channel = the_channel;
	restore();
	EXPECT_EQ(the_channel, channel);
	negotiate();
	connect();
	EXPECT_EQ(the_channel, channel);
	EXPECT_EQ(the_channel->rebound, 1u);
	submit(1);
	EXPECT_EQ(answer_all(), 1u);
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	end();
}

/*
 * Case 4, after a restore. The new backend answers the request that was
 * submitted again, then also the one of the old connection. A driver that
 * accepts both completes a request that is over. The first answer must count,
 * and the second must fail the device.
 */
TEST_F(BlkfrontSuspend, NewBackendMayBeHostile)
{
	submit(1);
	auto seen = other.next();
	restore();
	negotiate();
	connect();
	/* The backend responds to the request that was submitted again, then once more to the old one. */
	auto request = other.next();
	ASSERT_TRUE(request);
	other.respond(*request);
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	other.respond(*seen);
	event();
	EXPECT_NE(device.failure, "");
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	end();
}

TEST_F(BlkfrontSuspend, RemovedWhileItWaitsForABackend)
{
	submit(1);
	restore();
	/* A suspend that is cancelled does not start what has no backend. */
	begin();
	cancel();
	EXPECT_TRUE(the_disk()->stopped);
	xpv_vbd_driver.disconnect(&device);
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
	EXPECT_EQ(the_channel, nullptr);
	remove();
}

TEST_F(BlkfrontSuspend, RestoredTwiceBeforeItConnects)
{
	submit(1);
	restore();
	negotiate();
	restore();
	restore(false);
	next_backend_serves(1);
	end();
}

TEST_F(BlkfrontSuspend, DetachedRightAfterConnectingAgain)
{
	restore();
	negotiate();
	connect();
	end();
}

TEST_F(BlkfrontSuspend, SuspendBeforeThereIsADisk)
{
	disconnect();
	negotiate();
	begin();
	cancel();
	connect();
	EXPECT_FALSE(the_disk()->stopped);
	end();
}

} // namespace
