// SPDX-License-Identifier: GPL-2.0-only
/* A vbd from probe to removal. The bus and the event channel are fakes in this file. */
#include <gtest/gtest.h>

#include <atomic>
#include <cstdarg>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "blkfront/vbd.hh"
#include "gnttab/linux.h"
#include "tests/host/blkfront_backend.hh"
#include "tests/host/fake/blkfront.hh"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/gnttab.hh"
#include "tests/host/fake/shim.hh"

using namespace xpv_test;
using fake::disk_error;
using fake::disks;
using fake::ended;
using fake::grace_periods;
using fake::the_disk;

/* ---- The bus ---- */

struct xpv_device {
	std::map<std::string, std::string> own, backend;
	std::string id = "51712", path = "device/vbd/51712", failure;
	xpv_device_context *context = nullptr;
	int read_error = 0, publish_error = 0;
	unsigned int retired = 0, parked = 0;
};

namespace {

int read_from(const std::map<std::string, std::string> &directory, xpv_store_read_item *items, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		auto found = directory.find(items[i].path);
		if (found == directory.end())
			items[i].result = -XEN_ENOENT;
		else if (found->second.size() >= items[i].size)
			items[i].result = -XEN_EMSGSIZE;
		else
			items[i].result = xpv_format(items[i].value, items[i].size, "%s", found->second.c_str());
	}
	return 0;
}

} // namespace

extern "C" {

void xpv_device_set_context(xpv_device *device, xpv_device_context *context)
{
	device->context = context;
}
xpv_device_context *xpv_device_get_context(const xpv_device *device)
{
	return device->context;
}
struct device *xpv_device_linux(xpv_device *)
{
	return nullptr;
}
const char *xpv_device_path(const xpv_device *device)
{
	return device->path.c_str();
}
const char *xpv_device_id(const xpv_device *device)
{
	return device->id.c_str();
}
xpv_domid xpv_device_backend_domain(const xpv_device *)
{
	return backend;
}
int xpv_device_read_backend(xpv_device *device, xpv_store_read_item *items, unsigned int count)
{
	return device->read_error ? device->read_error : read_from(device->backend, items, count);
}
int xpv_device_read_own(xpv_device *device, xpv_store_read_item *items, unsigned int count)
{
	return device->read_error ? device->read_error : read_from(device->own, items, count);
}
int xpv_device_publish(xpv_device *device, xpv_store_write_item *items, unsigned int count)
{
	for (unsigned int i = 0; i < count && !device->publish_error; i++)
		device->own[items[i].path] = items[i].value;
	return device->publish_error;
}
int xpv_device_initialised(xpv_device *device, xpv_store_write_item *items, unsigned int count)
{
	return xpv_device_publish(device, items, count);
}
void xpv_device_retired(xpv_device *device)
{
	device->retired++;
}
void xpv_device_parked(xpv_device *device, unsigned int pages)
{
	device->parked += pages;
}
void xpv_device_fail(xpv_device *device, int, const char *format, ...)
{
	char text[129];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	device->failure = text;
}

} // extern "C"

/* ---- The event channel ---- */

struct xpv_event_channel {
	xpv_event_handler *handler;
	xpv_event_context *context;
	bool lost = false;
	unsigned int sent = 0, masked = 0, spurious = 0, rebound = 0;
};

namespace {

xpv_event_channel *the_channel;
int channel_error;

} // namespace

extern "C" {

int xpv_event_channel_alloc_unbound(xpv_domid, const xpv_event_channel_args *args, xpv_event_channel **channel)
{
	if (channel_error)
		return channel_error;
	*channel = the_channel = new xpv_event_channel{ args->handler, args->context };
	return 0;
}
void xpv_event_channel_close(xpv_event_channel *channel)
{
	if (the_channel == channel)
		the_channel = nullptr;
	delete channel;
}
void xpv_event_channel_synchronize(xpv_event_channel *)
{
}
bool xpv_event_channel_lost(const xpv_event_channel *channel)
{
	return channel->lost;
}
int xpv_event_channel_rebind_unbound(xpv_event_channel *channel, xpv_domid)
{
	EXPECT_TRUE(channel->lost);
	if (!channel_error) {
		channel->lost = false;
		channel->rebound++;
	}
	return channel_error;
}
xpv_port xpv_event_channel_port(const xpv_event_channel *)
{
	return { 17 };
}
int xpv_event_channel_notify(xpv_event_channel *channel)
{
	channel->sent++;
	return 0;
}
void xpv_event_channel_mask(xpv_event_channel *channel)
{
	channel->masked++;
}
void xpv_event_channel_spurious(xpv_event_channel *channel)
{
	channel->spurious++;
}

} // extern "C"

/* ---- Tests ---- */

namespace {

class BlkfrontVbd : public testing::Test {
protected:
	void SetUp() override
	{
		xpv_fake_set_max_grant_frames(4);
		xpv_fake_reset();
		ASSERT_EQ(xpv_gnttab_load(), 0);
		xpv_vbds_start();
		channel_error = disk_error = 0;
		ended.clear();
		device.own = { { "virtual-device", "51712" }, { "device-type", "disk" } };
		device.backend = { { "sectors", "2048" },
				   { "sector-size", "512" },
				   { "info", "0" },
				   { "mode", "w" },
				   { "feature-flush-cache", "1" },
				   { "feature-barrier", "1" },
				   { "physical-sector-size", "4096" } };
	}
	void TearDown() override
	{
		EXPECT_EQ(the_disk(), nullptr);
		EXPECT_EQ(the_channel, nullptr);
		EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
		EXPECT_TRUE(fake::wait_for_work(5000));
		EXPECT_EQ(grant_counts().free, grant_counts().total);
		xpv_gnttab_unload();
	}

	void probe() { ASSERT_EQ(xpv_vbd_driver.probe(&device), 0); }
	void negotiate()
	{
		ASSERT_EQ(xpv_vbd_driver.negotiate(&device), 0);
		other.attach({ static_cast<uint32_t>(std::stoul(device.own.at("ring-ref"))) });
	}
	void connect() { ASSERT_EQ(xpv_vbd_driver.connect(&device), 0); }
	void disconnect()
	{
		other.release();
		xpv_vbd_driver.disconnect(&device);
	}
	void remove() { xpv_vbd_driver.remove(&device); }
	void submit(unsigned int number, xpv_block_operation operation = XPV_BLOCK_READ)
	{
		requests.erase(number);
		auto &request = requests.try_emplace(number, operation, 8 * number, operation == XPV_BLOCK_FLUSH ? 0 : 2)
					.first->second;
		ended.erase(&request);
		ASSERT_FALSE(the_disk()->stopped);
		ASSERT_EQ(xpv_block_submit(the_disk()->queues[0], &request, true), XPV_BLOCK_QUEUED);
	}
	static void event() { the_channel->handler(the_channel->context); }
	static void poll() { xpv_block_poll(the_disk()->queues[0]); }
	std::vector<int> outcome(unsigned int number) { return ended[&requests.at(number)]; }
	/* Everything that the backend was sent, answered with success. */
	unsigned int answer_all()
	{
		unsigned int count = 0;
		for (; auto seen = other.next(); count++)
			other.respond(*seen);
		event();
		return count;
	}
	void connection_lost()
	{
		other.release();
		xpv_vbd_driver.connection_lost(&device);
		if (the_disk()) {
			EXPECT_TRUE(the_disk()->stopped);
		}
	}

	xpv_device device;
	Backend other{ backend };
	std::map<unsigned int, BlockRequest> requests;
};

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

/* ---- A disk outlives its connections ---- */

class BlkfrontReconnect : public BlkfrontVbd {
protected:
	void SetUp() override
	{
		BlkfrontVbd::SetUp();
		probe();
		negotiate();
		connect();
	}
	void end()
	{
		disconnect();
		remove();
	}
	/* A restarted backend: the old one has let go of everything. */
	void reconnect()
	{
		connection_lost();
		negotiate();
		connect();
	}
};

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

/* A8 to A6: each of them leaves the disk as it was, and nothing half made. */
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
	negotiate();
	connect();
	EXPECT_EQ(answer_all(), 1u);
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
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

/* A1: smaller blocks can serve the disk, larger ones cannot; it waits for a backend that can. */
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
		logged |= line.find("sector size 4096 of the backend is larger than the disk's 512") != std::string::npos;
	EXPECT_TRUE(logged);
	EXPECT_EQ(xpv_vbd_driver.connect(&device), -XEN_EINVAL);
	ASSERT_NE(the_disk(), nullptr);
	EXPECT_TRUE(the_disk()->stopped);
	EXPECT_TRUE(ended.empty());
	EXPECT_FALSE(other.next());
	/* Migrated back. */
	connection_lost();
	device.backend["sector-size"] = "512";
	negotiate();
	connect();
	EXPECT_EQ(answer_all(), 1u);
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
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

/* A3: a flush that was submitted while the disk was stopped is one for the next backend, which has a cache. */
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

/* A11 */
TEST_F(BlkfrontReconnect, PermissionToWriteFollowsTheBackend)
{
	EXPECT_FALSE(the_disk()->read_only);
	device.backend["mode"] = "r";
	fake::take_log();
	reconnect();
	EXPECT_TRUE(the_disk()->read_only);
	bool logged = false;
	for (const std::string &line : fake::take_log())
		logged |= line.find("xvda: now read-only") != std::string::npos;
	EXPECT_TRUE(logged);
	/* A9 */
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

/* The last backend may still carry out what it maps: no other is given that before it lets go. */
TEST_F(BlkfrontReconnect, PagesThatAreStillMappedDelayTheNextConnection)
{
	submit(1, XPV_BLOCK_WRITE);
	auto seen = other.next();
	other.map(*seen, 0);
	connection_lost();
	EXPECT_EQ(xpv_vbd_driver.negotiate(&device), -XEN_EBUSY);
	EXPECT_EQ(xpv_vbd_driver.negotiate(&device), -XEN_EBUSY);
	EXPECT_EQ(grant_counts().parked, 0u);
	EXPECT_TRUE(ended.empty());
	other.unmap(*seen, 0);
	negotiate();
	connect();
	EXPECT_EQ(answer_all(), 1u);
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
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
	negotiate();
	connect();
	EXPECT_EQ(answer_all(), 1u);
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	EXPECT_EQ(grant_counts().parked, 0u);
	EXPECT_EQ(device.parked, 0u);
	first.release();
	end();
}

/* A backend that restarts without end must not cost memory without end. */
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

TEST_F(BlkfrontReconnect, PagesThatAreStillMappedAreParkedAtTheEnd)
{
	submit(1);
	auto seen = other.next();
	other.map(*seen, 1);
	connection_lost();
	EXPECT_EQ(xpv_vbd_driver.negotiate(&device), -XEN_EBUSY);
	xpv_vbd_driver.disconnect(&device);
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
	EXPECT_EQ(grant_counts().parked, 1u);
	EXPECT_EQ(device.parked, 1u);
	EXPECT_EQ(held_frames(), 1u);
	remove();
	other.unmap(*seen, 1);
}

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

/* ---- A8: an orderly end ---- */

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

/* ---- Suspend, as the bus does it; the grant table's part is that of its module ---- */

class BlkfrontSuspend : public BlkfrontReconnect {
protected:
	void begin(uint64_t patience_ms = 0)
	{
		xpv_vbd_driver.hold(&device);
		EXPECT_EQ(xpv_vbd_driver.drain(&device, xpv_now_ms() + patience_ms), 0);
		EXPECT_TRUE(!the_disk() || the_disk()->stopped);
	}
	void cancel() { xpv_vbd_driver.go_on(&device, XPV_RESUME_CANCELLED); }
	/* Up to where the bus has called connection_lost(). */
	void restore(bool connected = true)
	{
		begin();
		const char *refused = nullptr;
		xpv_suspend_parts_lock();
		ASSERT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), 0);
		xpv_suspend_parts_suspend_early();
		xpv_fake_restore();
		if (the_channel)
			the_channel->lost = true;
		xpv_suspend_parts_resume_early(XPV_RESUME_RESTORED);
		xpv_suspend_parts_resume_late(XPV_RESUME_RESTORED);
		xpv_suspend_parts_unlock();
		if (the_disk())
			poll(); /* as Linux's timer does, at any time */
		xpv_vbd_driver.go_on(&device, XPV_RESUME_RESTORED);
		EXPECT_TRUE(the_disk()->stopped);
		if (connected)
			xpv_vbd_driver.connection_lost(&device);
		EXPECT_TRUE(the_disk()->stopped);
		other = Backend{ backend };
	}
};

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

/* A5 */
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

/* A5: after a restore nothing would tell that the old backend still writes. */
TEST_F(BlkfrontSuspend, DrainWaitsForPagesOfALostConnection)
{
	submit(1, XPV_BLOCK_WRITE);
	auto seen = other.next();
	other.map(*seen, 0);
	connection_lost();
	EXPECT_EQ(xpv_vbd_driver.negotiate(&device), -XEN_EBUSY);
	std::atomic<bool> unmapped = false;
	fake::Thread backend_thread([&] {
		fake::sleep_for(std::chrono::seconds(3));
		unmapped = true;
		other.unmap(*seen, 0);
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
		EXPECT_EQ(line.find("was not granted"), std::string::npos);
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

TEST_F(BlkfrontSuspend, NewBackendMayBeHostile)
{
	submit(1);
	auto seen = other.next();
	restore();
	negotiate();
	connect();
	/* It answers what the old one was asked, a second time, and what nobody asked. */
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
	negotiate();
	connect();
	EXPECT_EQ(answer_all(), 1u);
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
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

/* Fault 34: each allocation fails once. */
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
