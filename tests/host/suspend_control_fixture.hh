/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The toolstack's requests over a served store. It defines xpv_suspend(), in place
 * of the module: include it once in a program.
 */
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "suspend/suspend.h"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/fake/suspend.hh"
#include "tests/host/xenbus_store_fake.hh"

namespace xpv_test {

using namespace std::chrono_literals;

inline const std::string home = "/local/domain/7/";
inline const std::string shutdown_node = home + "control/shutdown";
inline const std::string sysrq_node = home + "control/sysrq";
inline const std::string error_node = home + "error/control/shutdown/error";
inline const std::string features[] = { home + "control/feature-poweroff", home + "control/feature-reboot",
					home + "control/feature-suspend" };

/* What Linux was asked for, and S for a suspend. */
struct Linux : fake::Requests {
	std::atomic<int> suspend_result = 0;
	std::atomic<std::uint64_t> suspend_deadline_ms = 0;
	bool hold_suspend = false;

	void hold(bool on)
	{
		{
			std::lock_guard guard(mutex);
			hold_suspend = on;
		}
		changed.notify_all();
	}
};

inline Linux *the_linux;

inline bool logged(const std::vector<std::string> &log, const std::string &text)
{
	for (const std::string &line : log)
		if (line.find(text) != std::string::npos)
			return true;
	return false;
}

} // namespace xpv_test

int xpv_suspend(uint64_t deadline_ms, char *reason, unsigned int reason_size)
{
	/* It is for this thread to start all disks again. */
	EXPECT_TRUE(fake::noio_scope());
	xpv_test::the_linux->suspend_deadline_ms = deadline_ms;
	xpv_test::the_linux->add('S');
	std::unique_lock guard(xpv_test::the_linux->mutex);
	xpv_test::the_linux->changed.wait(guard, [] { return !xpv_test::the_linux->hold_suspend; });
	/* As rudely as it may be: filled to the last byte. */
	if (xpv_test::the_linux->suspend_result)
		std::memset(reason, 'x', reason_size);
	return xpv_test::the_linux->suspend_result;
}

namespace xpv_test {

class Control : public testing::Test {
protected:
	void SetUp() override
	{
		allocations = fake::live_allocations();
		fake::take_log();
		fake::requests = the_linux = &kernel;
		store.client.set_timeout(20000);
		/* As libxl makes them. */
		peer.set(shutdown_node, "");
		peer.set(sysrq_node, "");
		for (const std::string &feature : features)
			peer.set(feature, "");
	}
	void TearDown() override
	{
		stop();
		store.client.stop();
		store.watches.stop();
		peer.stop();
		if (!timed_out) {
			EXPECT_EQ(peer.open_transactions(), 0u);
		}
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(fake::live_threads(), 0u);
	}
	void connect()
	{
		peer.start(store.client);
		ASSERT_TRUE(store.watches.start().ok());
		ASSERT_TRUE(store.client.start(&peer.page, peer.doorbell(), store.watches.sink()).ok());
		xpv::set_store(&store);
	}
	void start()
	{
		connect();
		ASSERT_EQ(xpv_control_start(), 0);
		running = true;
	}
	void stop()
	{
		if (std::exchange(running, false))
			xpv_control_stop();
	}
	void ask(const std::string &request) { peer.set(shutdown_node, request); }
	bool acknowledged() { return peer.becomes(shutdown_node, ""); }

	Linux kernel;
	ServedStore peer;
	xpv::Store store;
	std::size_t allocations = 0;
	bool running = false;
	/* A transaction whose number came too late stays open. */
	bool timed_out = false;
};

} // namespace xpv_test
