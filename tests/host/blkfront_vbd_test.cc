// SPDX-License-Identifier: GPL-2.0-only
/* A vbd from probe to removal. The bus, the event channel and Linux's disk are fakes in this file. */
#include <gtest/gtest.h>

#include <cstdarg>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "blkfront/vbd.hh"
#include "gnttab/linux.h"
#include "hypervisor/suspend_part.h"
#include "tests/host/blkfront_backend.hh"
#include "tests/host/fake/gnttab.hh"
#include "tests/host/fake/shim.hh"

using namespace xpv_test;

/* ---- The bus ---- */

struct xpv_device {
	std::map<std::string, std::string> own, backend;
	std::string id = "51712", path = "device/vbd/51712", failure;
	xpv_device_context *context = nullptr;
	int read_error = 0, publish_error = 0;
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

void xpv_device_set_context(xpv_device *device, xpv_device_context *context) { device->context = context; }
xpv_device_context *xpv_device_get_context(const xpv_device *device) { return device->context; }
struct device *xpv_device_linux(xpv_device *) { return nullptr; }
const char *xpv_device_path(const xpv_device *device) { return device->path.c_str(); }
const char *xpv_device_id(const xpv_device *device) { return device->id.c_str(); }
xpv_domid xpv_device_backend_domain(const xpv_device *) { return backend; }
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
	unsigned int sent = 0, masked = 0, spurious = 0;
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
	delete channel;
	the_channel = nullptr;
}
bool xpv_event_channel_lost(const xpv_event_channel *channel) { return channel->lost; }
int xpv_event_channel_rebind_unbound(xpv_event_channel *channel, xpv_domid)
{
	if (!channel_error)
		channel->lost = false;
	return channel_error;
}
xpv_port xpv_event_channel_port(const xpv_event_channel *) { return { 17 }; }
int xpv_event_channel_notify(xpv_event_channel *channel)
{
	channel->sent++;
	return 0;
}
void xpv_event_channel_mask(xpv_event_channel *channel) { channel->masked++; }
void xpv_event_channel_spurious(xpv_event_channel *channel) { channel->spurious++; }

} // extern "C"

/* ---- Linux's disk ---- */

struct xpv_disk {
	xpv_disk_shape shape;
	xpv_vbd *vbd;
	std::vector<request *> requeued;
	bool added = false, stopping = false, stopped = false;
	uint64_t resized = 0;
	bool write_cache = true;
};

namespace {

std::vector<xpv_disk *> disks;
unsigned int grace_periods;
int disk_error;
std::map<request *, std::vector<int>> ended;

/* The last of them. */
xpv_disk *the_disk()
{
	return disks.empty() ? nullptr : disks.back();
}

} // namespace

extern "C" {

int xpv_disk_create(struct device *, const xpv_disk_shape *shape, xpv_vbd *vbd, xpv_disk **disk)
{
	if (disk_error)
		return disk_error;
	*disk = new xpv_disk{ *shape, vbd, {} };
	disks.push_back(*disk);
	return 0;
}
void xpv_disk_add(xpv_disk *disk) { disk->added = true; }
void xpv_disk_begin_stop(xpv_disk *disk)
{
	EXPECT_FALSE(disk->stopping || disk->stopped);
	disk->stopping = true;
}
void xpv_disks_wait_stopped(void)
{
	grace_periods++;
	for (xpv_disk *disk : disks)
		disk->stopped |= std::exchange(disk->stopping, false);
}
void xpv_disk_start(xpv_disk *disk)
{
	EXPECT_TRUE(disk->stopped);
	disk->stopped = false;
	/* As Linux dispatches them, maybe to be told that there is no disk any more. */
	for (request *one : std::exchange(disk->requeued, {})) {
		xpv_block_segments segments = segments_of(2);
		xpv_block_completion refused = { one, -XEN_EIO };
		if (xpv_vbd_submit(disk->vbd, one, XPV_BLOCK_READ, 0, &segments, true) == XPV_BLOCK_DEAD)
			xpv_disk_complete(&refused, 1);
	}
}
void xpv_disk_requeue(xpv_disk *disk, const xpv_block_completion *unfinished, unsigned int count)
{
	EXPECT_TRUE(disk->stopped);
	for (unsigned int i = 0; i < count; i++)
		disk->requeued.push_back(unfinished[i].request);
}
void xpv_disk_set_cache(xpv_disk *disk, bool write_cache, bool) { disk->write_cache = write_cache; }
void xpv_disk_resize(xpv_disk *disk, uint64_t sectors) { disk->resized = sectors; }
void xpv_disk_remove(xpv_disk *disk)
{
	EXPECT_FALSE(disk->stopped);
	/* What Linux still has queued must be refused. */
	xpv_block_segments segments = segments_of(1);
	EXPECT_EQ(xpv_vbd_submit(disk->vbd, request_number(999), XPV_BLOCK_READ, 0, &segments, true), XPV_BLOCK_DEAD);
	xpv_vbd_commit(disk->vbd);
	xpv_vbd_poll(disk->vbd);
	std::erase(disks, disk);
	delete disk;
}
void xpv_disk_complete(const xpv_block_completion *completions, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		ended[completions[i].request].push_back(completions[i].error);
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
		ASSERT_EQ(xpv_vbds_start(), 0);
		channel_error = disk_error = 0;
		ended.clear();
		device.own = { { "virtual-device", "51712" }, { "device-type", "disk" } };
		device.backend = { { "sectors", "2048" },	{ "sector-size", "512" },	{ "info", "0" },
				   { "mode", "w" },		{ "feature-flush-cache", "1" }, { "feature-barrier", "1" },
				   { "physical-sector-size", "4096" } };
	}
	void TearDown() override
	{
		EXPECT_EQ(the_disk(), nullptr);
		EXPECT_EQ(the_channel, nullptr);
		EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
		EXPECT_TRUE(fake::wait_for_work(5000));
		EXPECT_EQ(grant_counts().free, grant_counts().total);
		xpv_vbds_stop();
		xpv_gnttab_unload();
	}

	void probe() { ASSERT_EQ(xpv_vbd_probe(&device), 0); }
	void negotiate()
	{
		ASSERT_EQ(xpv_vbd_negotiate(&device), 0);
		other.attach({ static_cast<uint32_t>(std::stoul(device.own.at("ring-ref"))) });
	}
	void connect() { ASSERT_EQ(xpv_vbd_connect(&device), 0); }
	void disconnect()
	{
		other.release();
		xpv_vbd_disconnect(&device);
	}
	void remove() { xpv_vbd_remove(&device); }
	void submit(unsigned int number, xpv_block_operation operation = XPV_BLOCK_READ)
	{
		xpv_block_segments segments = segments_of(2);
		ASSERT_EQ(xpv_vbd_submit(the_disk()->vbd, request_number(number), operation, 0, &segments, true),
			  XPV_BLOCK_QUEUED);
	}
	static void event() { the_channel->handler(the_channel->context); }
	static std::vector<int> outcome(unsigned int number) { return ended[request_number(number)]; }

	xpv_device device;
	Backend other{ backend };
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
	EXPECT_STREQ(the_disk()->shape.name, "xvda");
	EXPECT_EQ(the_disk()->shape.sectors, 2048u);
	EXPECT_EQ(the_disk()->shape.physical_block_size, 4096u);
	EXPECT_TRUE(the_disk()->shape.write_cache);
	EXPECT_FALSE(the_disk()->shape.write_through);

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
	xpv_vbd_poll(the_disk()->vbd);
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	disconnect();
	remove();
}

/* ---- Suspend: the parts of grant table and disks are those of the modules ---- */

class BlkfrontSuspend : public BlkfrontVbd {
protected:
	void SetUp() override
	{
		BlkfrontVbd::SetUp();
		xpv_suspend_part_register(&xpv_vbds_suspend_part);
		probe();
		negotiate();
		connect();
	}
	void TearDown() override
	{
		xpv_suspend_part_unregister(&xpv_vbds_suspend_part);
		BlkfrontVbd::TearDown();
	}
	static void begin()
	{
		const char *refused = nullptr;
		xpv_suspend_parts_lock();
		ASSERT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), 0);
		EXPECT_TRUE(the_disk()->stopped);
		xpv_suspend_parts_suspend_early();
	}
	static void end(xpv_resume_kind kind)
	{
		xpv_suspend_parts_resume_early(kind);
		xpv_suspend_parts_resume_late(kind);
		xpv_suspend_parts_unlock();
	}
	/* Up to where the bus has told the driver. */
	void restore()
	{
		begin();
		xpv_fake_restore();
		the_channel->lost = true;
		end(XPV_RESUME_RESTORED);
		EXPECT_TRUE(the_disk()->stopped);
		xpv_vbd_connection_lost(&device);
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
	ASSERT_EQ(xpv_vbd_probe(&second), 0);
	ASSERT_EQ(xpv_vbd_negotiate(&second), 0);
	ASSERT_EQ(xpv_vbd_connect(&second), 0);
	ASSERT_EQ(disks.size(), 2u);
	unsigned int before = grace_periods;
	begin();
	EXPECT_EQ(grace_periods, before + 1);
	for (xpv_disk *disk : disks)
		EXPECT_TRUE(disk->stopped);
	end(XPV_RESUME_CANCELLED);
	for (xpv_disk *disk : disks)
		EXPECT_FALSE(disk->stopped);
	xpv_vbd_disconnect(&second);
	xpv_vbd_remove(&second);
	disconnect();
	remove();
}

TEST_F(BlkfrontSuspend, CancelledGoesOn)
{
	submit(1);
	begin();
	auto seen = other.next();
	other.respond(*seen);
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	end(XPV_RESUME_CANCELLED);
	EXPECT_FALSE(the_disk()->stopped);
	submit(2);
	EXPECT_TRUE(other.next());
	disconnect();
	EXPECT_EQ(outcome(2), std::vector<int>{ -XEN_EIO });
	remove();
}

TEST_F(BlkfrontSuspend, RequestsInFlightAreDoneOnceByTheNewBackend)
{
	for (unsigned int i = 0; i < xpv::Ring::slots; i++)
		submit(i);
	auto seen = other.next();
	other.map(*seen, 0); /* which it cannot give back */
	other.respond(*other.next());
	fake::take_log();
	device.backend["sectors"] = "4096";
	device.backend["feature-flush-cache"] = "0";
	device.backend["feature-barrier"] = "0";
	restore();
	EXPECT_EQ(the_disk()->requeued.size(), 32u) << "an answer that nobody saw is none";
	EXPECT_TRUE(ended.empty());
	xpv_vbd_poll(the_disk()->vbd); /* Linux's timeouts do not stop */
	event();
	EXPECT_TRUE(ended.empty());
	EXPECT_EQ(grant_counts().parked, 0u);

	negotiate();
	EXPECT_TRUE(the_disk()->stopped);
	connect();
	EXPECT_FALSE(the_disk()->stopped);
	EXPECT_EQ(the_disk()->resized, 4096u);
	EXPECT_FALSE(the_disk()->write_cache);
	for (unsigned int i = 0; i < xpv::Ring::slots; i++) {
		auto request = other.next();
		ASSERT_TRUE(request);
		other.respond(*request);
	}
	EXPECT_FALSE(other.next());
	event();
	for (unsigned int i = 0; i < xpv::Ring::slots; i++)
		EXPECT_EQ(outcome(i), std::vector<int>{ 0 });
	EXPECT_EQ(device.failure, "");
	for (const std::string &line : fake::take_log())
		EXPECT_EQ(line.find("was not granted"), std::string::npos);
	disconnect();
	remove();
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
	disconnect();
	remove();
}

TEST_F(BlkfrontSuspend, RemovedWhileItWaitsForABackend)
{
	submit(1);
	restore();
	/* A suspend that is cancelled does not start what has no backend. */
	const char *refused = nullptr;
	xpv_suspend_parts_lock();
	ASSERT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), 0);
	xpv_suspend_parts_resume_late(XPV_RESUME_CANCELLED);
	xpv_suspend_parts_unlock();
	EXPECT_TRUE(the_disk()->stopped);
	xpv_vbd_disconnect(&device);
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
	remove();
}

TEST_F(BlkfrontSuspend, RestoredTwiceBeforeItConnects)
{
	submit(1);
	restore();
	negotiate();
	begin();
	xpv_fake_restore();
	the_channel->lost = true;
	end(XPV_RESUME_RESTORED);
	xpv_vbd_connection_lost(&device);
	other = Backend{ backend };
	negotiate();
	connect();
	other.respond(*other.next());
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	disconnect();
	remove();
}

TEST_F(BlkfrontSuspend, DetachedRightAfterConnectingAgain)
{
	restore();
	negotiate();
	connect();
	disconnect();
	remove();
}

TEST_F(BlkfrontSuspend, AnotherDiskInItsPlaceIsRefused)
{
	submit(1);
	restore();
	device.backend["sector-size"] = "4096";
	negotiate();
	EXPECT_EQ(xpv_vbd_connect(&device), -XEN_EINVAL);
	disconnect();
	EXPECT_EQ(outcome(1), std::vector<int>{ -XEN_EIO });
	remove();
}

/* Fault 34, on the way back. */
TEST_F(BlkfrontSuspend, EachStepMayFailAndBeTriedAgain)
{
	submit(1);
	restore();
	channel_error = -XEN_ENOSPC;
	EXPECT_EQ(xpv_vbd_negotiate(&device), -XEN_ENOSPC);
	channel_error = 0;
	device.publish_error = -XEN_EAGAIN;
	EXPECT_EQ(xpv_vbd_negotiate(&device), -XEN_EAGAIN);
	device.publish_error = 0;
	for (unsigned int n = 1;; n++) {
		fake::fail_allocation(n);
		if (xpv_vbd_negotiate(&device) == 0)
			break;
		ASSERT_LT(n, 20u);
	}
	fake::fail_allocation(0);
	device.read_error = -XEN_ETIMEDOUT;
	EXPECT_EQ(xpv_vbd_connect(&device), -XEN_ETIMEDOUT);
	device.read_error = 0;
	negotiate();
	connect();
	other.respond(*other.next());
	event();
	EXPECT_EQ(outcome(1), std::vector<int>{ 0 });
	disconnect();
	remove();
}

TEST_F(BlkfrontVbd, ResizeFollowsTheBackend)
{
	probe();
	negotiate();
	connect();
	xpv_vbd_backend_changed(&device);
	EXPECT_EQ(the_disk()->resized, 0u);
	device.backend["sectors"] = "4096";
	xpv_vbd_backend_changed(&device);
	EXPECT_EQ(the_disk()->resized, 4096u);
	device.backend["sectors"] = "18446744073709551615";
	xpv_vbd_backend_changed(&device);
	EXPECT_EQ(the_disk()->resized, 4096u);
	device.backend.erase("sectors");
	xpv_vbd_backend_changed(&device);
	EXPECT_EQ(the_disk()->resized, 4096u);
	disconnect();
	remove();
}

TEST_F(BlkfrontVbd, ProbeRefusesWhatIsNoDisk)
{
	device.own["device-type"] = "cdrom";
	EXPECT_EQ(xpv_vbd_probe(&device), -XEN_ENODEV);
	EXPECT_EQ(device.own["state"], "6");
	device.own["device-type"] = "disk";
	for (const char *number : { "", "nonsense", "1", "4294967295", "99999999999999999999" }) {
		SCOPED_TRACE(number);
		device.own["virtual-device"] = number;
		EXPECT_LT(xpv_vbd_probe(&device), 0);
	}
	device.read_error = -XEN_EIO;
	EXPECT_EQ(xpv_vbd_probe(&device), -XEN_EIO);
	EXPECT_EQ(device.context, nullptr);
}

TEST_F(BlkfrontVbd, VirtualDeviceMayBeExtended)
{
	device.own.erase("virtual-device");
	device.own["virtual-device-ext"] = "268442112"; /* xvdaa */
	probe();
	negotiate();
	connect();
	EXPECT_STREQ(the_disk()->shape.name, "xvdaa");
	EXPECT_EQ(the_disk()->shape.minors, 256u);
	disconnect();
	remove();
}

TEST_F(BlkfrontVbd, NegotiateThatFailsLeavesNothing)
{
	probe();
	device.publish_error = -XEN_EAGAIN;
	EXPECT_EQ(xpv_vbd_negotiate(&device), -XEN_EAGAIN);
	EXPECT_EQ(the_channel, nullptr);
	EXPECT_EQ(grant_counts().free, grant_counts().total);
	device.publish_error = 0;
	channel_error = -XEN_ENOSPC;
	EXPECT_EQ(xpv_vbd_negotiate(&device), -XEN_ENOSPC);
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
		if (xpv_vbd_negotiate(&device) == 0)
			break;
		EXPECT_EQ(grant_counts().free, grant_counts().total);
		EXPECT_EQ(fake::live_allocations(), before);
		ASSERT_LT(n, 20u);
	}
	fake::fail_allocation(0);
	xpv_vbd_disconnect(&device);
	remove();
}

TEST_F(BlkfrontVbd, ConnectThatFailsIsUndoneByDisconnect)
{
	probe();
	negotiate();
	device.backend["sector-size"] = "3";
	EXPECT_EQ(xpv_vbd_connect(&device), -XEN_EINVAL);
	EXPECT_EQ(the_disk(), nullptr);
	device.backend["sector-size"] = "4096";
	disk_error = -XEN_EBUSY;
	EXPECT_EQ(xpv_vbd_connect(&device), -XEN_EBUSY);
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
