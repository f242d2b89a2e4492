// SPDX-License-Identifier: GPL-2.0-only
/*
 * The toolstack's request, the suspend itself, the device bus and the client
 * together, over a store that stalls in the middle of it.
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "hypervisor/hypervisor_owned.h"
#include "hypervisor/linux.h"
#include "hypervisor/suspend_part.h"
#include "suspend/suspend.h"
#include "tests/fake/fake_hypervisor.h"
#include "tests/fake/fake_vcpus.h"
#include "tests/host/fake/shim.hh"
#include "tests/host/fake/spinning.hh"
#include "tests/host/fake/suspend.hh"
#include "tests/host/fake/xenbus.hh"
#include "tests/host/xenbus_store_fake.hh"

namespace {

using namespace std::chrono_literals;

const std::string home = "/local/domain/7/";
const std::string shutdown_node = home + "control/shutdown";
const std::string error_node = home + "error/control/shutdown/error";
const std::string frontend = home + "device/vbd/51712";
const std::string backend = "/local/domain/0/backend/vbd/7/51712";

/* libxl gives up 60 s after the acknowledgement; xpv does not suspend later than this. */
constexpr std::uint64_t limit_ms = 45000;

xpv::Store *the_store;

/* The device's driver: what was called, a letter each. */
class Calls {
public:
	void add(char call)
	{
		std::lock_guard guard(mutex_);
		all_ += call;
	}
	void clear()
	{
		std::lock_guard guard(mutex_);
		all_.clear();
	}
	std::string without_changes()
	{
		std::lock_guard guard(mutex_);
		std::string some = all_;
		std::erase(some, 'b');
		return some;
	}
	std::size_t changes()
	{
		std::lock_guard guard(mutex_);
		return static_cast<std::size_t>(std::count(all_.begin(), all_.end(), 'b'));
	}

private:
	std::mutex mutex_;
	std::string all_;
};
Calls calls;
std::atomic<bool> works; /* connected, and not held */

int negotiate(xpv_device *device)
{
	xpv_store_write_item items[] = { { "ring-ref", "8", 0 } };
	return xpv_device_initialised(device, items, 1);
}

int connect(xpv_device *)
{
	works = true;
	return 0;
}

void disconnect(xpv_device *)
{
	works = false;
}

/* The disks are stopped for the suspend: by a thread that does not wait for them. */
void hold(xpv_device *)
{
	EXPECT_TRUE(fake::noio_scope());
	works = false;
	calls.add('H');
}

void go_on(xpv_device *, xpv_resume_kind kind)
{
	EXPECT_EQ(kind, XPV_RESUME_CANCELLED);
	works = true;
	calls.add('C');
}

const xpv_frontend_driver driver = {
	.name = "test",
	.device_type = "vbd",
	.backend_keys = nullptr,
	.connects_first = false,
	.probe = [](xpv_device *) { return 0; },
	.negotiate = negotiate,
	.connect = connect,
	.backend_changed = [](xpv_device *) { calls.add('b'); },
	.connection_lost = disconnect,
	.retire = nullptr,
	.disconnect = disconnect,
	.remove = nullptr,
	.hold = hold,
	.drain = [](xpv_device *, uint64_t) { return 0; },
	.go_on = go_on,
};

} // namespace

/* As the connection does it (xenbus/store/connection.cc), whose page and port are the peer's here. */
int xpv_store_pause(uint64_t deadline_ms)
{
	return the_store->client.pause(xpv::Deadline::at(deadline_ms)).code();
}

void xpv_store_unpause(void)
{
	the_store->client.unpause();
}

int xpv_store_reconnect(void)
{
	ADD_FAILURE() << "no suspend here is a restore";
	return -XEN_EIO;
}

namespace {

class SuspendWithStore : public testing::Test {
protected:
	void SetUp() override
	{
		xpv_fake_reset();
		xpv_fake_suspend_result(1, false, nullptr);
		fake::reset_machine();
		fake::requests = &requests;
		calls.clear();
		fake::machine.at_step = [this](const std::string &name) {
			if (name == "core") {
				entered_ms = xpv_now_ms();
				return;
			}
			EXPECT_TRUE(fake::noio_scope()) << name;
			if (name == "respond" && meanwhile)
				std::exchange(meanwhile, nullptr)();
			if (name == slow_step)
				fake::pass(6s);
		};
		static bool parts = (xpv_suspend_parts_start(), true);
		ASSERT_TRUE(parts);
		ASSERT_EQ(xpv_hypervisor_start(), 0);
		for (unsigned int cpu = 0; cpu < fake::Machine::cpus; cpu++)
			ASSERT_EQ(xpv_hypervisor_vcpu_online(cpu), 0);
		ASSERT_EQ(xpv_suspend_start(), 0);

		/* As libxl makes them. */
		peer.set(shutdown_node, "");
		peer.set(home + "control/sysrq", "");
		for (const char *feature : { "poweroff", "reboot", "suspend" })
			peer.set(home + "control/feature-" + feature, "");
		peer.set(backend + "/frontend", frontend);
		peer.set(backend + "/online", "1");
		peer.set(backend + "/state", "2");
		peer.set(frontend + "/state", "1");
		peer.set(frontend + "/backend-id", "0");
		peer.set(frontend + "/backend", backend);
		peer.on_change = [this](const std::string &path) { blkback(path); };
		peer.on_request = [this](const StorePeer::Message &request) { look_at(request); };
		peer.start(store.client);
		ASSERT_TRUE(store.watches.start().ok());
		ASSERT_TRUE(store.client.start(&peer.page, peer.doorbell(), store.watches.sink()).ok());
		xpv::set_store(the_store = &store);
		ASSERT_EQ(xpv_bus_start(), 0);
		xpv_suspend_part_register(&xpv_xenbus_suspend_part);
		ASSERT_EQ(xpv_frontend_driver_register(&driver, nullptr), 0);
		ASSERT_EQ(xpv_control_start(), 0);
		ASSERT_TRUE(peer.becomes(frontend + "/state", "4"));
		settle();
	}
	void TearDown() override
	{
		xpv_control_stop();
		xpv_frontend_driver_unregister(&driver);
		xpv_suspend_part_unregister(&xpv_xenbus_suspend_part);
		xpv_bus_stop();
		store.client.stop();
		store.watches.stop();
		peer.stop();
		EXPECT_TRUE(fake::wait_for_work(5000));
		EXPECT_EQ(fake::live_threads(), 0u);
		xpv_suspend_stop();
		xpv_hypervisor_stop();
	}

	void blkback(const std::string &path)
	{
		if (path == frontend + "/state" && (peer.get(path) == "3" || peer.get(path) == "4") &&
		    peer.get(backend + "/state") != "4")
			peer.set(backend + "/state", "4");
	}
	/* Before the store answers: it may stall, and all that comes later waits too. */
	void look_at(const StorePeer::Message &request)
	{
		/* The first that the toolstack can see. */
		if (request.header.type == XS_TRANSACTION_END && request.payload[0] == 'T' && !acknowledged_ms)
			acknowledged_ms = xpv_now_ms();
		if (request.header.type != stalls_at || request.payload.find(stalls_at_path) == std::string::npos)
			return;
		stalls_at = 0;
		stalled = true;
		fake::sleep_for(stall);
	}
	void stall_at(std::uint32_t type, const std::string &path, fake::Clock::duration how_long = 70s)
	{
		stalls_at_path = path;
		stall = how_long;
		stalls_at = type;
	}
	/* Stall a reader's request once the devices are held. `result` is what the reader gets in the end. */
	void stall_reader(int result, fake::Clock::duration how_long = 70s)
	{
		meanwhile = [this, result, how_long] {
			stall_at(XS_READ, "name", how_long);
			reader = fake::Thread([result] {
				char name[16];
				EXPECT_EQ(xpv_store_read(XPV_STORE_NO_TRANSACTION, "name", name, sizeof(name)), result);
			});
			EXPECT_TRUE(fake::eventually([this] { return stalled.load(); }));
		};
	}
	/* The store has answered, and nothing is under way. */
	static void settle() { fake::advance(100ms); }
	bool notified(xpv_suspend_event event)
	{
		auto has = [&] { return !fake::machine.notified.empty() && fake::machine.notified.back() == event; };
		for (int i = 0; i < 1200 && !has(); i++)
			fake::advance(100ms);
		return has();
	}
	void ask()
	{
		acknowledged_ms = entered_ms = 0;
		peer.set(shutdown_node, "suspend");
	}

	/* With that reason, and all goes on. */
	void expect_refusal(const std::string &why, std::uint64_t by_ms)
	{
		ASSERT_TRUE(notified(XPV_SUSPEND_FAILED));
		EXPECT_TRUE(stalled);
		EXPECT_LE(xpv_now_ms() - acknowledged_ms, by_ms);
		EXPECT_EQ(entered_ms, 0u) << entered_ms - acknowledged_ms << " ms after the acknowledgement";
		EXPECT_EQ(xpv_fake_count_vcpu_calls().suspends, 0u);
		EXPECT_TRUE(peer.becomes(error_node, "110 suspend: " + why, 120000));
		expect_to_go_on();
	}
	/* The device works and follows its backend, and the next suspend takes place. */
	void expect_to_go_on()
	{
		fake::advance(120s);
		EXPECT_TRUE(works);
		const std::size_t before = calls.changes();
		peer.set(backend + "/state", "4");
		settle();
		EXPECT_GT(calls.changes(), before);
		slow_step.clear();
		ask();
		ASSERT_TRUE(notified(XPV_SUSPEND_CANCELLED));
		EXPECT_GE(entered_ms, acknowledged_ms);
		EXPECT_LT(entered_ms, acknowledged_ms + limit_ms);
		EXPECT_EQ(xpv_fake_count_vcpu_calls().suspends, 1u);
		settle();
		EXPECT_TRUE(works);
		EXPECT_FALSE(peer.get(error_node));
	}

	fake::Requests requests;
	ServedStore peer;
	xpv::Store store;
	std::atomic<std::uint32_t> stalls_at = 0; /* XS_*, of that path; 0: never */
	std::string stalls_at_path;
	fake::Clock::duration stall = 0s;
	std::atomic<bool> stalled = false;
	std::atomic<std::uint64_t> acknowledged_ms = 0;
	std::atomic<std::uint64_t> entered_ms = 0; /* the last step before the hypercall; 0: it was not reached */
	/* Called in the suspend, before the parts prepare. */
	std::function<void()> meanwhile;
	fake::Thread reader;
	std::string slow_step;
};

TEST_F(SuspendWithStore, SuspendsWhereTheStoreAnswers)
{
	ask();
	ASSERT_TRUE(notified(XPV_SUSPEND_CANCELLED));
	EXPECT_EQ(fake::machine.notified, (std::vector{ XPV_SUSPEND_PREPARE, XPV_SUSPEND_CANCELLED }));
	EXPECT_GE(entered_ms, acknowledged_ms);
	EXPECT_LT(entered_ms, acknowledged_ms + 1000);
	settle();
	EXPECT_EQ(calls.without_changes(), "HC");
	EXPECT_TRUE(works);
}

/* The toolstack has seen the acknowledgement long before xpv learns of it. */
TEST_F(SuspendWithStore, StallsWithTheAnswerToTheAcknowledgement)
{
	stall_at(XS_TRANSACTION_END, "T", 50s);
	ask();
	expect_refusal("deadline has passed", 50500);
}

/* Longer than any request may take: nothing is known of the acknowledgement, and nothing is done. */
TEST_F(SuspendWithStore, StallsUntilTheAcknowledgementFails)
{
	stall_at(XS_TRANSACTION_END, "T");
	ask();
	fake::advance(200s);
	EXPECT_TRUE(stalled);
	EXPECT_EQ(peer.get(shutdown_node), "");
	EXPECT_EQ(entered_ms, 0u);
	EXPECT_TRUE(fake::machine.notified.empty()) << "a suspend for nobody";
	expect_to_go_on();
}

TEST_F(SuspendWithStore, StallsRightAfterTheAcknowledgement)
{
	stall_at(XS_RM, "error/control/shutdown");
	ask();
	expect_refusal("deadline has passed", 60500);
}

/* A step of the device is under way, and waits for the store. */
TEST_F(SuspendWithStore, StallsInAStepOfADevice)
{
	meanwhile = [this] {
		stall_at(XS_READ, backend + "/state");
		peer.set(backend + "/state", "4");
		EXPECT_TRUE(fake::eventually([this] { return stalled.load(); }));
	};
	ask();
	expect_refusal("part xenstore: not ready to suspend (-ETIMEDOUT)", limit_ms + 200);
	EXPECT_EQ(calls.without_changes(), "HC") << "of the second";
}

TEST_F(SuspendWithStore, StallsWithARequestInFlight)
{
	stall_reader(-XEN_ETIMEDOUT);
	ask();
	expect_refusal("part xenstore: not ready to suspend (-ETIMEDOUT)", limit_ms + 200);
	EXPECT_EQ(calls.without_changes(), "HCHC");
	reader.join();
}

/* Each step is in time; it is the sum that is not, and CPU 0 sees it last. */
TEST_F(SuspendWithStore, StallsFor40SecondsAndStoppingTakes6)
{
	slow_step = "stop";
	stall_reader(-XEN_ENOENT, 40s);
	ask();
	expect_refusal("deadline has passed", limit_ms + 1500);
	EXPECT_EQ(calls.without_changes(), "HCHC");
	reader.join();
}

} // namespace
