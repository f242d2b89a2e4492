// SPDX-License-Identifier: GPL-2.0-only
/* A disk outlives its connections: its requests reach the next backend once, if that can serve them. */
#include <gtest/gtest.h>

#include "tests/host/blkfront_vbd_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(BlkfrontReconnect, UnansweredRequestsAreDoneOnceByTheNextBackend)
{
	xpv_disk *disk = the_disk();
	for (unsigned int i = 0; i < 5; i++)
		submit(i, XPV_BLOCK_WRITE);
	auto answered = other.next();
	other.respond(*answered); /* and no event comes */
	connection_lost();
	/* What is in the ring counts. */
	EXPECT_EQ(outcome(0), std::vector<int>{ 0 });
	EXPECT_EQ(ended.size(), 1u);
	poll(); /* Linux's timeouts go on */
	negotiate();
	EXPECT_TRUE(the_disk()->stopped);
	event();
	connect();
	EXPECT_FALSE(the_disk()->stopped);
	EXPECT_EQ(the_disk(), disk);
	EXPECT_EQ(answer_all(), 4u);
	for (unsigned int i = 0; i < 5; i++)
		EXPECT_EQ(outcome(i), std::vector<int>{ 0 });
	EXPECT_EQ(device.failure, "");
	end();
}

/* Each failure leaves the disk as it was, and nothing half made. */
TEST_F(BlkfrontReconnect, EachStepMayFailAndBeTriedAgain)
{
	submit(1);
	connection_lost();
	std::size_t before = fake::live_allocations();
	unsigned int free_before = grant_counts().free;
	channel_error = -XEN_ENOSPC;
	EXPECT_EQ(xpv_vbd_driver.negotiate(&device), -XEN_ENOSPC);
	channel_error = 0;
	device.publish_error = -XEN_EIO;
	EXPECT_EQ(xpv_vbd_driver.negotiate(&device), -XEN_EIO);
	device.publish_error = 0;
	for (unsigned int n = 1;; n++) {
		fake::fail_allocation(n);
		if (xpv_vbd_driver.negotiate(&device) == 0)
			break;
		EXPECT_EQ(fake::live_allocations(), before);
		EXPECT_EQ(grant_counts().free, free_before);
		EXPECT_EQ(the_channel, nullptr);
		EXPECT_TRUE(the_disk()->stopped);
		ASSERT_LT(n, 30u);
	}
	fake::fail_allocation(0);
	other.attach({ static_cast<uint32_t>(std::stoul(device.own.at("ring-ref"))) });
	device.read_error = -XEN_EIO;
	EXPECT_EQ(xpv_vbd_driver.connect(&device), -XEN_EIO);
	device.read_error = 0;
	device.backend["sectors"] = "nonsense";
	EXPECT_LT(xpv_vbd_driver.connect(&device), 0);
	device.backend["sectors"] = "2048";
	EXPECT_TRUE(the_disk()->stopped);
	EXPECT_TRUE(ended.empty());
	connect();
	EXPECT_EQ(answer_all(), 1u);
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	end();
}

TEST_F(BlkfrontReconnect, ConnectionMayBeLostBeforeItWorks)
{
	submit(1);
	for (unsigned int i = 0; i < 3; i++) {
		connection_lost();
		negotiate();
		event();
	}
	connection_lost();
	EXPECT_EQ(the_channel, nullptr);
	next_backend_serves(1);
	end();
}

TEST_F(BlkfrontVbd, ConnectionMayBeLostBeforeThereIsADisk)
{
	probe();
	for (unsigned int i = 0; i < 2; i++) {
		negotiate();
		connection_lost();
		EXPECT_EQ(the_channel, nullptr);
	}
	negotiate();
	connect();
	disconnect();
	remove();
}

TEST_F(BlkfrontReconnect, DisconnectWithoutAConnectionFailsWhatWaits)
{
	submit(1);
	submit(2);
	connection_lost();
	xpv_vbd_driver.disconnect(&device);
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
	EXPECT_EQ(outcome(2), std::vector<int>{ -XEN_EIO });
	EXPECT_EQ(the_disk(), nullptr);
	/* And begins again. */
	negotiate();
	connect();
	end();
}

/* Smaller blocks can serve the disk, larger ones cannot; it waits for a backend that can. */
TEST_F(BlkfrontReconnect, LargerBlocksKeepTheDiskStopped)
{
	submit(1);
	connection_lost();
	device.backend["sector-size"] = "4096";
	negotiate();
	fake::take_log();
	EXPECT_EQ(xpv_vbd_driver.connect(&device), -XEN_EINVAL);
	bool logged = false;
	for (const std::string &line : fake::take_log())
		logged |= line.find("backend's sector size 4096 is larger than the disk's 512") != std::string::npos;
	EXPECT_TRUE(logged);
	EXPECT_EQ(xpv_vbd_driver.connect(&device), -XEN_EINVAL);
	ASSERT_NE(the_disk(), nullptr);
	EXPECT_TRUE(the_disk()->stopped);
	EXPECT_TRUE(ended.empty());
	EXPECT_FALSE(other.next());
	/* Migrated back. */
	connection_lost();
	device.backend["sector-size"] = "512";
	next_backend_serves(1);
	end();
}

TEST_F(BlkfrontVbd, SmallerBlocksServeTheDisk)
{
	device.backend["sector-size"] = "4096";
	probe();
	negotiate();
	connect();
	EXPECT_EQ(the_disk()->parameters.logical_block_size, 4096u);
	for (const char *size : { "512", "2048", "4096" }) {
		connection_lost();
		device.backend["sector-size"] = size;
		negotiate();
		connect();
		EXPECT_FALSE(the_disk()->stopped);
	}
	EXPECT_EQ(disks.size(), 1u);
	disconnect();
	remove();
}

/* A flush that was submitted while the disk was stopped is one for the next backend, which has a cache. */
TEST_F(BlkfrontVbd, FlushesFollowTheBackendAndNotTheDisk)
{
	device.backend["feature-flush-cache"] = device.backend["feature-barrier"] = "0";
	probe();
	negotiate();
	connect();
	BlockRequest flush(XPV_BLOCK_FLUSH, 0, 0);
	EXPECT_EQ(xpv_block_submit(the_disk()->queues[0], &flush, true), XPV_BLOCK_DONE);
	submit(1, XPV_BLOCK_WRITE_THROUGH);
	connection_lost();
	device.backend["feature-flush-cache"] = "1";
	negotiate();
	connect();
	submit(2, XPV_BLOCK_FLUSH);
	auto write = other.next(), seen = other.next();
	ASSERT_TRUE(write && seen);
	EXPECT_EQ(write->operation, BLKIF_OP_WRITE);
	EXPECT_EQ(seen->operation, BLKIF_OP_FLUSH_DISKCACHE);
	other.respond(*write);
	other.respond(*seen);
	event();
	EXPECT_EQ(outcome(2), std::vector<int>{ 0 });
	EXPECT_EQ(outcome(1), std::vector<int>{});
	EXPECT_EQ(answer_all(), 1u);
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	disconnect();
	remove();
}

TEST_F(BlkfrontReconnect, PermissionToWriteFollowsTheBackend)
{
	EXPECT_FALSE(the_disk()->read_only);
	device.backend["mode"] = "r";
	fake::take_log();
	reconnect();
	EXPECT_TRUE(the_disk()->read_only);
	bool logged = false;
	for (const std::string &line : fake::take_log())
		logged |= line.find("xvda: backend is now read-only") != std::string::npos;
	EXPECT_TRUE(logged);
	submit(1, XPV_BLOCK_FLUSH);
	other.respond(*other.next(), BLKIF_RSP_ERROR);
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	device.backend["mode"] = "w";
	reconnect();
	EXPECT_FALSE(the_disk()->read_only);
	submit(1, XPV_BLOCK_FLUSH);
	other.respond(*other.next(), BLKIF_RSP_ERROR);
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
	end();
}

TEST_F(BlkfrontReconnect, SizeFollowsTheBackend)
{
	connection_lost();
	device.backend["sectors"] = "4096";
	negotiate();
	connect();
	EXPECT_EQ(the_disk()->resized, 4096u);
	end();
}

/*
 * Case 13, at a lost connection. The backend keeps a page of an unanswered
 * write mapped, and may still execute the write. A driver that submits it again
 * at once risks that the late one overwrites newer data. negotiate() must fail
 * with EBUSY until the page is unmapped; then the write is done once.
 */
TEST_F(BlkfrontReconnect, PagesThatAreStillMappedDelayTheNextConnection)
{
	auto seen = lose_with_page_mapped(XPV_BLOCK_WRITE, 0);
	EXPECT_EQ(xpv_vbd_driver.negotiate(&device), -XEN_EBUSY);
	EXPECT_EQ(grant_counts().parked, 0u);
	EXPECT_TRUE(ended.empty());
	other.unmap(seen, 0);
	next_backend_serves(1);
	end();
}

/*
 * xen-blkback unmaps a ring that it closed with requests in flight only when
 * it makes the next connection. What it takes from such a ring is no request.
 */
TEST_F(BlkfrontReconnect, RingThatIsStillMappedDoesNotDelayTheNextConnection)
{
	submit(1, XPV_BLOCK_WRITE);
	Backend first = other;
	xpv_vbd_driver.connection_lost(&device);
	auto late = first.next();
	EXPECT_TRUE(!late || late->nr_segments == 0);
	next_backend_serves(1);
	EXPECT_EQ(grant_counts().parked, 0u);
	EXPECT_EQ(device.parked, 0u);
	first.release();
	end();
}

/*
 * Case 13. The backend never unmaps the ring of a connection that it lost. A
 * driver that frees such a ring lets the backend write into other data; one
 * that keeps each loses memory without a bound. From the ninth on, each must be
 * parked and reported to the bus, which counts them; at the end all must be.
 */
TEST_F(BlkfrontVbd, RingThatIsParkedIsReported)
{
	probe();
	negotiate();
	std::vector<Backend> before;
	for (unsigned int i = 0; i < 10; i++) {
		before.push_back(other);
		xpv_vbd_driver.connection_lost(&device);
		EXPECT_EQ(device.parked, i < 8 ? 0 : i - 7);
		negotiate();
	}
	connect();
	disconnect();
	EXPECT_EQ(device.parked, 10u);
	remove();
	for (Backend &backend : before)
		backend.release();
}

/*
 * Case 13. The backend keeps a page of an unanswered read mapped until after
 * the disk is gone. A driver that frees the page lets the backend write to its
 * next user. The request must end with EIO, and the page be parked and
 * reported.
 */
TEST_F(BlkfrontReconnect, PagesThatAreStillMappedAreParkedAtTheEnd)
{
	auto seen = lose_with_page_mapped(XPV_BLOCK_READ, 1);
	xpv_vbd_driver.disconnect(&device);
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
	EXPECT_EQ(grant_counts().parked, 1u);
	EXPECT_EQ(device.parked, 1u);
	EXPECT_EQ(held_frames(), 1u);
	remove();
	other.unmap(seen, 1);
}

/*
 * Case 4, at a lost connection. The ring has an answer to a slot that is not in
 * use. A driver that takes what it finds there completes a request that does
 * not exist. The last reading of the ring must fail the device, and the request
 * in flight end with EIO at disconnect().
 */
TEST_F(BlkfrontReconnect, ViolationFoundAtTheEndFailsTheDevice)
{
	submit(1);
	static_cast<void>(other.next());
	other.respond(31, BLKIF_OP_READ);
	connection_lost();
	EXPECT_NE(device.failure, "");
	EXPECT_TRUE(ended.empty());
	xpv_vbd_driver.disconnect(&device);
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
	remove();
}

} // namespace
