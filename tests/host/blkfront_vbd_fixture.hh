/* SPDX-License-Identifier: GPL-2.0-only */
/* A vbd over the fake bus, with a backend that a test plays: as probed, connected, and suspended. */
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "blkfront/vbd.hh"
#include "gnttab/linux.h"
#include "hypervisor/suspend_part.h"
#include "tests/host/blkfront_backend.hh"
#include "tests/host/blkfront_bus_fake.hh"
#include "tests/host/fake/blkfront.hh"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/gnttab.hh"
#include "tests/host/fake/shim.hh"

namespace xpv_test {

using fake::disk_error;
using fake::disks;
using fake::ended;
using fake::grace_periods;
using fake::the_disk;

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

/* Connects the vbd before each test. */
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
	/* Lose the connection to a backend that still has a page of request 1 mapped: the next must not get that. */
	blkif_request lose_with_page_mapped(xpv_block_operation operation, unsigned int segment)
	{
		submit(1, operation);
		blkif_request seen = other.next().value();
		other.map(seen, segment);
		connection_lost();
		EXPECT_EQ(xpv_vbd_driver.negotiate(&device), -XEN_EBUSY);
		return seen;
	}
	/* Connect to the next backend, which is sent this request alone, and answers it. */
	void next_backend_serves(unsigned int number)
	{
		negotiate();
		connect();
		EXPECT_EQ(answer_all(), 1u);
		EXPECT_EQ(outcome(number), std::vector<int>{ 0 });
	}
	/* A restarted backend: the old one has let go of everything. */
	void reconnect()
	{
		connection_lost();
		negotiate();
		connect();
	}
};

/* Suspends the vbd as the bus does. The grant table takes part by its own module. */
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

} // namespace xpv_test
