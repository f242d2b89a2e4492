/* SPDX-License-Identifier: GPL-2.0-only */
/* The device bus over a served store, with a toolstack and a backend that a test plays. */
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <initializer_list>
#include <string>
#include <utility>

#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/xenbus_device_driver.hh"
#include "tests/host/xenbus_store_fake.hh"
#include "xenbus/linux.h"

namespace xpv_test {

inline std::string frontend(const std::string &id)
{
	return "/local/domain/7/device/vbd/" + id;
}

inline std::string backend(const std::string &id, int domain = 0)
{
	return "/local/domain/" + std::to_string(domain) + "/backend/vbd/7/" + id;
}

class Devices : public testing::Test {
protected:
	void SetUp() override
	{
		allocations = fake::live_allocations();
		fake::take_log();
		calls = &the_calls;
		store.client.set_timeout(20000);
		peer.start(store.client);
		peer.on_change = [this](const std::string &path) { blkback(path); };
		ASSERT_TRUE(store.watches.start().ok());
		ASSERT_TRUE(store.client.start(&peer.page, peer.doorbell(), store.watches.sink()).ok());
		xpv::set_store(&store);
	}
	void TearDown() override
	{
		if (registered)
			unregister();
		stop_bus();
		bool dead = store.client.dead();
		store.client.stop();
		if (!dead) {
			EXPECT_TRUE(peer.watches_become(0));
		}
		EXPECT_EQ(peer.open_transactions(), 0u);
		store.watches.stop();
		peer.stop();
		EXPECT_TRUE(fake::wait_for_work(5000));
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(fake::live_threads(), 0u);
	}
	void start_bus()
	{
		ASSERT_EQ(xpv_bus_start(), 0);
		bus = true;
	}
	void stop_bus()
	{
		if (std::exchange(bus, false))
			xpv_bus_stop();
	}
	void do_register()
	{
		registered = true;
		ASSERT_EQ(xpv_frontend_driver_register(driver_used, nullptr), 0);
	}
	void unregister()
	{
		registered = false;
		xpv_frontend_driver_unregister(driver_used);
	}
	/* Waits for such a line of the log. */
	bool logged(const std::string &part)
	{
		for (int i = 0; i < 1000; i++) {
			for (const std::string &line : fake::take_log())
				if (line.find(part) != line.npos)
					return true;
			xpv_sleep_ms(10);
		}
		return false;
	}

	/* As the toolstack makes a device. */
	void attach(const std::string &id, const char *own = "1", const char *theirs = "2", int domain = 0)
	{
		peer.set(backend(id, domain) + "/frontend", frontend(id));
		peer.set(backend(id, domain) + "/online", "1");
		peer.set(backend(id, domain) + "/sectors", "2048");
		peer.set(backend(id, domain) + "/state", theirs);
		peer.set(frontend(id) + "/state", own);
		peer.set(frontend(id) + "/backend-id", std::to_string(domain));
		peer.set(frontend(id) + "/backend", backend(id, domain));
	}
	void attach_connected(const std::string &id)
	{
		attach(id);
		connected(id);
	}
	/* Start the bus and the driver, and connect these devices. */
	void start_connected(std::initializer_list<const char *> ids)
	{
		start_bus();
		do_register();
		for (const char *id : ids)
			attach_connected(id);
	}
	/* Also its backend knows. */
	void connected(const std::string &id)
	{
		ASSERT_TRUE(peer.becomes(frontend(id) + "/state", "4"));
		/* The peer does one thing after another: when this is answered, it has reacted to the state. */
		char value[8];
		ASSERT_EQ(xpv_store_read(XPV_STORE_NO_TRANSACTION, "device/vbd/none", value, sizeof(value)), -XEN_ENOENT);
	}
	/* What xen-blkback does when the frontend's state changes. */
	void blkback(const std::string &path)
	{
		if (!automatic || !path.ends_with("/state") || !path.starts_with("/local/domain/7/device/vbd/"))
			return;
		std::string id = path.substr(27, path.size() - 27 - 6);
		auto own = peer.get(frontend(id) + "/backend");
		auto frontends = peer.get(path);
		if (!own || !frontends)
			return;
		std::string state = *own + "/state";
		auto present = peer.get(state);
		if (!present)
			return;
		const std::string &now = *present;
		if (*frontends == "1" && now == "6")
			peer.set(state, "2");
		else if ((*frontends == "3" || *frontends == "4") && now != "4" && now != "5")
			peer.set(state, "4");
		else if (*frontends == "5")
			peer.set(state, "5");
		else if (*frontends == "6")
			peer.set(state, "6");
	}

	Calls the_calls;
	ServedStore peer;
	xpv::Store store;
	std::atomic<bool> automatic = true;
	const xpv_frontend_driver *driver_used = &driver;
	bool bus = false;
	bool registered = false;
	std::size_t allocations = 0;
};

/* Restores the domain as another one: paths in xenstore have other numbers. */
class RestoredDevices : public Devices {
protected:
	/* As the registry calls it, with what Connection does in the kernel. */
	void suspend()
	{
		ASSERT_EQ(xpv_bus_hold(xpv_now_ms() + 10000), 0);
		ASSERT_TRUE(store.client.pause(xpv::Deadline::after(20000)).ok());
	}
	/* Suspend while the driver negotiates for device 1. */
	void suspend_in_handshake()
	{
		start_bus();
		do_register();
		the_calls.slow_ms = 100;
		attach("1");
		ASSERT_TRUE(the_calls.wait_for_more("1", "p", 'n'));
		suspend();
	}
	void cancel()
	{
		store.client.unpause();
		xpv_bus_go_on();
	}
	template <typename Toolstack>
	void restore(Toolstack toolstack)
	{
		suspend();
		peer.become_new();
		toolstack();
		xpv_bus_restored();
		peer.go_on();
		ASSERT_TRUE(store.client.restart(&peer.page).ok());
		xpv_bus_go_on();
	}
	/* As attach(), by a toolstack of whose domain the frontend is number 7 still, but the backend another. */
	void attach_elsewhere(const std::string &id, const char *theirs = "2") { attach(id, "1", theirs, 3); }
};

/* Registers whole_driver and connects device 1 before each test. */
class KeptDevices : public RestoredDevices {
protected:
	void SetUp() override
	{
		RestoredDevices::SetUp();
		retires_at_once = true;
		drain_result = 0;
		driver_used = &whole_driver;
		start_connected({ "1" });
	}
	/* As libxl detaches: one transaction. */
	void detach(const std::string &id)
	{
		peer.set(backend(id) + "/online", "0");
		peer.set(backend(id) + "/state", "5");
	}
	/* Let the backend close, up to `state`, and not react to the frontend any more. */
	void close_backend(const std::string &id, const char *state)
	{
		automatic = false;
		peer.set(backend(id) + "/state", state);
		ASSERT_TRUE(the_calls.wait(id, "pncl"));
		/* Before it begins again, the device waits for this backend to be Closed once more. */
		fake::settle();
	}
	/* As libxl attaches: the directory is made again. */
	void make_again(const std::string &id, int domain = 0)
	{
		peer.erase(frontend(id));
		attach(id, "1", "2", domain);
	}
};

} // namespace xpv_test
