// SPDX-License-Identifier: GPL-2.0-only
/* The bus over a served store: devices come, shake hands with a backend, fail, and go. */
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>

#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/fake/xenbus.hh"
#include "tests/host/xenbus_store_fake.hh"
#include "xenbus/linux.h"

namespace {

using namespace std::chrono_literals;

/* What a driver was called for, per device id. Reads of it are after the fact. */
struct Calls {
	std::mutex mutex;
	fake::Condition changed;
	std::map<std::string, std::string> of; /* a letter for each call */
	std::set<const xpv_device *> live;
	std::map<std::string, xpv_device *> device;
	std::atomic<int> negotiate_result = 0;
	std::atomic<int> connect_result = 0;
	std::atomic<int> probe_result = 0;
	std::atomic<bool> only_publishes = false;
	/* What connect() reads, and what that gave. */
	std::function<unsigned int()> reads;
	std::size_t info_size = 80;
	bool wants_other = false;
	unsigned int asked = 0;
	std::string sectors, info;
	int info_result = 0;
	std::atomic<unsigned int> slow_ms = 0;
	std::atomic<int> overlapping = 0;
	std::atomic<int> most_overlapping = 0;

	void add(const char *id, char call)
	{
		{
			std::lock_guard guard(mutex);
			of[id] += call;
		}
		changed.notify_all();
	}
	/* Without 'b': the event of the Connected that connect() answered may still be under way. */
	std::string get(const std::string &id)
	{
		std::lock_guard guard(mutex);
		return without_changes(of[id]);
	}
	std::size_t changes(const std::string &id)
	{
		std::lock_guard guard(mutex);
		return static_cast<std::size_t>(std::count(of[id].begin(), of[id].end(), 'b'));
	}
	static std::string without_changes(std::string all)
	{
		std::erase(all, 'b');
		return all;
	}
	void clear(const std::string &id)
	{
		std::lock_guard guard(mutex);
		of[id].clear();
	}
	/* What was called, and then this. */
	bool wait_for_more(const std::string &id, const std::string &calls, char more)
	{
		return wait_until(id, [&](const std::string &all) {
			return all.starts_with(calls) && all.find(more, calls.size()) != all.npos;
		});
	}
	bool wait_for_last(const std::string &id, char call)
	{
		return wait_until(id, [&](const std::string &all) { return all.ends_with(call); });
	}
	template <typename Condition>
	bool wait_until(const std::string &id, Condition condition)
	{
		std::unique_lock guard(mutex);
		return changed.wait_for(guard, 10s, [&] { return condition(without_changes(of[id])); });
	}
	bool wait(const std::string &id, const std::string &calls, std::chrono::milliseconds time = 10s)
	{
		std::unique_lock guard(mutex);
		return changed.wait_for(guard, time, [&] { return without_changes(of[id]) == calls; });
	}
};

Calls *calls;

int probe(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'p');
	std::lock_guard guard(calls->mutex);
	calls->device[xpv_device_id(device)] = device;
	return calls->probe_result;
}

int negotiate(xpv_device *device)
{
	int now = ++calls->overlapping;
	int most = calls->most_overlapping;
	while (now > most && !calls->most_overlapping.compare_exchange_weak(most, now)) {
	}
	fake::sleep_for(std::chrono::milliseconds(calls->slow_ms));
	--calls->overlapping;
	/* Before the test learns of the call, and changes it. */
	int result = calls->negotiate_result;
	calls->add(xpv_device_id(device), 'n');
	xpv_store_write_item items[] = { { "ring-ref", "8", 0 }, { "event-channel", "5", 0 } };
	int published = calls->only_publishes ? xpv_device_publish(device, items, 2) :
						xpv_device_initialised(device, items, 2);
	return result ? result : published;
}

int connect(xpv_device *device)
{
	int result = calls->connect_result;
	calls->add(xpv_device_id(device), 'c');
	char sectors[16];
	char info[80];
	char other[16];
	xpv_store_read_item items[] = { { "sectors", sectors, sizeof(sectors), 0 },
					{ "info", info, calls->info_size, 0 },
					{ "other", other, sizeof(other), 0 } };
	auto reads = [] { return calls->reads ? calls->reads() : 0; };
	unsigned int before = reads();
	int read = xpv_device_read_backend(device, items, calls->wants_other ? 3 : 2);
	calls->asked = reads() - before;
	calls->sectors = items[0].result < 0 ? "" : sectors;
	calls->info = items[1].result < 0 ? "" : info;
	calls->info_result = items[1].result;
	return result ? result : read;
}

void backend_changed(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'b');
}

void disconnect(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'd');
}

void remove(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'r');
}

void connection_lost(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'l');
}

const char *const keys[] = { "sectors", "info", nullptr };

const xpv_frontend_driver driver = {
	.name = "test",
	.device_type = "vbd",
	.backend_keys = keys,
	.probe = probe,
	.negotiate = negotiate,
	.connect = connect,
	.backend_changed = backend_changed,
	.connection_lost = connection_lost,
	.retire = nullptr,
	.disconnect = disconnect,
	.remove = remove,
	.hold = nullptr,
	.drain = nullptr,
	.go_on = nullptr,
};

std::string frontend(const std::string &id)
{
	return "/local/domain/7/device/vbd/" + id;
}

std::string backend(const std::string &id, int domain = 0)
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

TEST_F(Devices, FromAttachToConnected)
{
	start_bus();
	do_register();
	attach_connected("51712");
	EXPECT_EQ(the_calls.get("51712"), "pnc");
	EXPECT_EQ(peer.get(frontend("51712") + "/ring-ref"), "8");
	EXPECT_EQ(peer.history(frontend("51712") + "/state"), (std::vector<std::string>{ "1", "3", "4" }));
	EXPECT_EQ(xpv_device_state(the_calls.device["51712"]), XenbusStateConnected);
	EXPECT_STREQ(xpv_device_path(the_calls.device["51712"]), "device/vbd/51712");
	unregister();
	EXPECT_EQ(the_calls.get("51712"), "pncdr");
	EXPECT_EQ(peer.history(frontend("51712") + "/state"), (std::vector<std::string>{ "1", "3", "4", "5", "6" }));
	EXPECT_EQ(peer.get(backend("51712") + "/state"), "6");
}

/* ---- Round trips that are saved ---- */

TEST_F(Devices, KeysAreReadWithTheState)
{
	struct {
		std::optional<std::string> info;
		std::size_t size;
		bool other;
		unsigned int asked; /* of the two nodes, by connect() itself */
		int result;
	} cases[] = {
		{ "4", 80, false, 0, 1 },
		{ std::nullopt, 80, false, 0, -XEN_ENOENT },
		{ std::string(63, 'x'), 80, false, 0, 63 },
		/* Of the driver's size, as if it had asked. */
		{ std::string(40, 'x'), 20, false, 0, -XEN_EMSGSIZE },
		/* Too long to be kept, and something that was not declared. */
		{ std::string(64, 'x'), 80, false, 2, 64 },
		{ "4", 80, true, 2, 1 },
	};
	start_bus();
	do_register();
	unsigned int number = 51712;
	for (const auto &one : cases) {
		std::string id = std::to_string(number += 16);
		SCOPED_TRACE(id);
		the_calls.reads = [&] {
			return peer.reads(backend(id) + "/sectors") + peer.reads(backend(id) + "/info");
		};
		the_calls.info_size = one.size;
		the_calls.wants_other = one.other;
		if (one.info)
			peer.set(backend(id) + "/info", *one.info);
		attach_connected(id);
		EXPECT_EQ(the_calls.asked, one.asked);
		EXPECT_EQ(the_calls.sectors, "2048");
		EXPECT_EQ(the_calls.info_result, one.result);
		if (one.result >= 0) {
			EXPECT_EQ(the_calls.info, *one.info);
		}
	}
	the_calls.reads = nullptr;
}

TEST_F(Devices, StateIsWrittenWithTheKeysOrAfterThem)
{
	start_bus();
	do_register();
	for (bool only_publishes : { false, true }) {
		the_calls.only_publishes = only_publishes;
		std::string id = only_publishes ? "51728" : "51712";
		attach_connected(id);
		EXPECT_EQ(peer.history(frontend(id) + "/state"), (std::vector<std::string>{ "1", "3", "4" }));
		EXPECT_EQ(peer.get(frontend(id) + "/event-channel"), "5");
	}
}

TEST_F(Devices, KeyThatCannotBeWritten)
{
	start_bus();
	peer.read_only.insert(frontend("1") + "/ring-ref");
	do_register();
	attach("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
	EXPECT_EQ(the_calls.get("1"), "pn");
}

/* ---- The domain is restored as another: paths in the store have other numbers ---- */

class RestoredDevices : public Devices {
protected:
	/* As the registry calls it, with what Connection does in the kernel. */
	void suspend()
	{
		ASSERT_EQ(xpv_bus_hold(xpv_now_ms() + 10000), 0);
		ASSERT_TRUE(store.client.pause(xpv::Deadline::after(20000)).ok());
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

TEST_F(RestoredDevices, ConnectAnewAllTogether)
{
	start_bus();
	do_register();
	for (const char *id : { "1", "2", "3", "4" })
		attach_connected(id);
	the_calls.slow_ms = 100;
	std::size_t watches = peer.watch_count();
	restore([&] {
		for (const char *id : { "1", "2", "3", "4" })
			attach_elsewhere(id);
	});
	for (const std::string id : { "1", "2", "3", "4" }) {
		EXPECT_TRUE(peer.becomes(frontend(id) + "/state", "4"));
		EXPECT_EQ(the_calls.get(id), "pnclnc");
		EXPECT_EQ(xpv_device_backend_path(the_calls.device[id]), backend(id, 3));
		EXPECT_EQ(xpv_device_backend_domain(the_calls.device[id]).value, 3);
	}
	EXPECT_GT(the_calls.most_overlapping, 1);
	EXPECT_TRUE(peer.watches_become(watches));
	/* The new backend is watched. */
	peer.set(backend("2", 3) + "/online", "0");
	peer.set(backend("2", 3) + "/state", "5");
	EXPECT_TRUE(the_calls.wait("2", "pnclncd"));
}

TEST_F(RestoredDevices, ThoseKnownDoNotWaitForTheDirectories)
{
	start_bus();
	do_register();
	attach_connected("1");
	attach_connected("2");
	restore([&] {
		attach_elsewhere("1");
		attach_elsewhere("3");
		peer.hold_directories = true;
	});
	EXPECT_TRUE(the_calls.wait("1", "pnclnc")) << the_calls.get("1");
	EXPECT_EQ(xpv_device_backend_path(the_calls.device["1"]), backend("1", 3));
	EXPECT_EQ(the_calls.get("2"), "pnc") << "the directory tells that it is gone";
	EXPECT_EQ(the_calls.get("3"), "");
	peer.answer_directories();
	EXPECT_TRUE(the_calls.wait("2", "pncdr"));
	EXPECT_TRUE(the_calls.wait("3", "pnc"));
	EXPECT_EQ(the_calls.get("1"), "pnclnc");
	EXPECT_EQ(peer.history(frontend("1") + "/state"), (std::vector<std::string>{ "1", "1", "3", "4" }));
}

TEST_F(RestoredDevices, CancelledChangesNothing)
{
	start_bus();
	do_register();
	attach_connected("1");
	suspend();
	fake::Thread asks([&] {
		char value[8];
		EXPECT_EQ(xpv_store_read(XPV_STORE_NO_TRANSACTION, "device/vbd/1/state", value, sizeof(value)), 1);
	});
	unsigned int before = peer.requests;
	fake::advance(100ms);
	EXPECT_EQ(peer.requests, before);
	cancel();
	asks.join();
	EXPECT_EQ(the_calls.get("1"), "pnc");
	peer.set(backend("1") + "/online", "0");
	peer.set(backend("1") + "/state", "5");
	EXPECT_TRUE(the_calls.wait("1", "pncd"));
}

TEST_F(RestoredDevices, BackendMayComeLate)
{
	start_bus();
	do_register();
	attach_connected("1");
	restore([&] { attach_elsewhere("1", "1"); });
	EXPECT_TRUE(the_calls.wait("1", "pncl"));
	fake::advance(100ms);
	EXPECT_EQ(the_calls.get("1"), "pncl");
	peer.set(backend("1", 3) + "/state", "2");
	EXPECT_TRUE(the_calls.wait("1", "pnclnc"));
}

TEST_F(RestoredDevices, SomeVanishAndOthersAppear)
{
	start_bus();
	do_register();
	attach_connected("1");
	attach_connected("2");
	restore([&] {
		attach_elsewhere("2");
		attach_elsewhere("3");
	});
	EXPECT_TRUE(peer.becomes(frontend("2") + "/state", "4"));
	EXPECT_TRUE(peer.becomes(frontend("3") + "/state", "4"));
	/* Nobody says that it lost the connection: it is gone altogether. */
	EXPECT_TRUE(the_calls.wait("1", "pncdr"));
	EXPECT_EQ(the_calls.get("3"), "pnc");
}

TEST_F(RestoredDevices, DetachRightAfterwards)
{
	start_bus();
	do_register();
	attach_connected("1");
	automatic = false;
	restore([&] {
		attach_elsewhere("1", "5");
		peer.set(backend("1", 3) + "/online", "0");
	});
	EXPECT_TRUE(the_calls.wait("1", "pncld"));
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
	peer.set(backend("1", 3) + "/state", "6");
	peer.erase(frontend("1"));
	EXPECT_TRUE(the_calls.wait("1", "pncldr"));
}

TEST_F(RestoredDevices, UnbindWhileItWaitsForItsBackend)
{
	start_bus();
	do_register();
	attach_connected("1");
	restore([&] { attach_elsewhere("1", "1"); });
	EXPECT_TRUE(the_calls.wait("1", "pncl"));
	unregister();
	EXPECT_EQ(the_calls.get("1"), "pncldr");
}

TEST_F(RestoredDevices, TransactionsAreDead)
{
	start_bus();
	xpv_store_transaction old;
	ASSERT_EQ(xpv_store_transaction_start(&old), 0);
	restore([&] { peer.set("/local/domain/7/name", "other"); });
	EXPECT_EQ(xpv_store_write(old, "name", "x"), -XEN_EAGAIN);
	EXPECT_EQ(xpv_store_transaction_end(old, true), -XEN_EAGAIN);
	xpv_store_transaction fresh;
	ASSERT_EQ(xpv_store_transaction_start(&fresh), 0);
	EXPECT_NE(fresh.value, old.value) << "whatever the store's own numbers are";
	EXPECT_EQ(xpv_store_transaction_end(fresh, false), 0);
}

TEST_F(RestoredDevices, DeadConnectionIsRevived)
{
	start_bus();
	do_register();
	attach_connected("1");
	__atomic_store_n(&peer.page.rsp_prod, peer.page.rsp_prod + 5000, __ATOMIC_SEQ_CST);
	peer.ring();
	EXPECT_TRUE(store.client.dead());
	restore([&] { attach_elsewhere("1"); });
	EXPECT_FALSE(store.client.dead());
	EXPECT_TRUE(the_calls.wait("1", "pnclnc"));
}

TEST_F(RestoredDevices, StepUnderWayEndsBeforeTheSuspend)
{
	start_bus();
	do_register();
	the_calls.slow_ms = 100;
	attach("1", "1", "2");
	ASSERT_TRUE(the_calls.wait_for_more("1", "p", 'n'));
	suspend();
	EXPECT_EQ(the_calls.overlapping, 0);
	const std::string before = the_calls.get("1");
	fake::advance(200ms);
	EXPECT_EQ(the_calls.get("1"), before) << "no step is begun";
	peer.become_new();
	attach_elsewhere("1");
	std::size_t writes = peer.history(frontend("1") + "/state").size();
	xpv_bus_restored();
	peer.go_on();
	ASSERT_TRUE(store.client.restart(&peer.page).ok());
	fake::advance(100ms);
	EXPECT_EQ(peer.history(frontend("1") + "/state").size(), writes) << "nothing of the old handshake is written";
	xpv_bus_go_on();
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
	EXPECT_EQ(the_calls.get("1").back(), 'c');
}

TEST_F(RestoredDevices, CancelledInTheMiddleOfAHandshake)
{
	start_bus();
	do_register();
	the_calls.slow_ms = 100;
	attach("1", "1", "2");
	ASSERT_TRUE(the_calls.wait_for_more("1", "p", 'n'));
	suspend();
	fake::advance(100ms);
	cancel();
	EXPECT_TRUE(the_calls.wait("1", "pnc"));
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
}

TEST_F(RestoredDevices, TwiceInShortOrder)
{
	start_bus();
	do_register();
	attach_connected("1");
	restore([&] { attach_elsewhere("1"); });
	restore([&] { attach("1", "1", "2", 5); });
	ASSERT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
	EXPECT_EQ(xpv_device_backend_path(the_calls.device["1"]), backend("1", 5));
}

/*
 * C8: xenstored grants no watch for an hour. Meanwhile what they are for is
 * polled, and once it does they are registered.
 */
TEST_F(RestoredDevices, WatchesRefusedForAnHourAreRegisteredInTheEnd)
{
	start_bus();
	do_register();
	attach_connected("1");
	const std::size_t watches = peer.watch_count();
	restore([&] {
		attach_elsewhere("1");
		peer.refuse_watches = true;
	});
	EXPECT_TRUE(the_calls.wait("1", "pnclnc"));
	fake::advance(50min);
	EXPECT_EQ(peer.watch_count(), 0u);
	/* The watch on the directory; and that on a backend's state. */
	attach_elsewhere("2");
	EXPECT_TRUE(the_calls.wait("2", "pnc", 70s));
	peer.set(backend("1", 3) + "/online", "0");
	peer.set(backend("1", 3) + "/state", "5");
	EXPECT_TRUE(the_calls.wait("1", "pnclncd", 3s));
	fake::advance(10min);
	EXPECT_EQ(peer.watch_count(), 0u);

	peer.refuse_watches = false;
	fake::advance(70s);
	EXPECT_EQ(peer.watch_count(), watches + 1);
	peer.set(backend("2", 3) + "/online", "0");
	peer.set(backend("2", 3) + "/state", "5");
	fake::settle();
	EXPECT_TRUE(the_calls.wait("2", "pncd", 0s)) << "by the watch, not by a poll";
}

/* A2: every disk is stopped, so that no memory for a worker can be reclaimed through them. */
TEST_F(RestoredDevices, ConnectWithoutMemoryForAnotherWorker)
{
	start_bus();
	do_register();
	for (const char *id : { "1", "2", "3" })
		attach_connected(id);
	const std::size_t watches = peer.watch_count();
	fake::only_rescuers(true);
	restore([&] {
		for (const char *id : { "1", "2", "3" })
			attach_elsewhere(id);
	});
	for (const std::string id : { "1", "2", "3" })
		EXPECT_TRUE(the_calls.wait(id, "pnclnc")) << the_calls.get(id);
	EXPECT_TRUE(peer.watches_become(watches));
	fake::only_rescuers(false);
}

/* A2: nor may those that start them again wait for memory that is reclaimed through them. */
TEST_F(RestoredDevices, NothingWaitsForIoWhileDisksAreStopped)
{
	start_bus();
	do_register();
	attach_connected("1");
	attach_connected("2");
	fake::forbid_io(true);
	{
		xpv::NoIoScope as_the_suspend;
		restore([&] {
			for (const char *id : { "1", "2", "3" })
				attach_elsewhere(id);
		});
	}
	EXPECT_TRUE(the_calls.wait("1", "pnclnc"));
	EXPECT_TRUE(the_calls.wait("2", "pnclnc"));
	EXPECT_TRUE(the_calls.wait("3", "pnc"));
	fake::settle();
	EXPECT_EQ(fake::io_waits(), 0u);
	fake::forbid_io(false);
}

/* A2: what the driver does to connect, and the calls that it gets. */
TEST_F(Devices, DriverIsCalledInANoIoScope)
{
	start_bus();
	do_register();
	the_calls.reads = [] {
		EXPECT_TRUE(fake::noio_scope());
		return 0u;
	};
	attach_connected("1");
	EXPECT_EQ(the_calls.get("1"), "pnc");
}

TEST_F(Devices, DriverLaterThanDevice)
{
	attach("768");
	start_bus();
	fake::advance(50ms);
	EXPECT_EQ(peer.get(frontend("768") + "/state"), "1");
	do_register();
	EXPECT_TRUE(peer.becomes(frontend("768") + "/state", "4"));
}

TEST_F(Devices, BackendComesLate)
{
	start_bus();
	do_register();
	attach("1", "1", "1");
	fake::advance(50ms);
	EXPECT_EQ(the_calls.get("1"), "p");
	peer.set(backend("1") + "/state", "2");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
}

TEST_F(Devices, DetachByTheToolstack)
{
	start_bus();
	do_register();
	attach_connected("51712");
	/* xl block-detach: libxl waits for 6, then removes both ends. */
	peer.set(backend("51712") + "/online", "0");
	peer.set(backend("51712") + "/state", "5");
	ASSERT_TRUE(peer.becomes(backend("51712") + "/state", "6"));
	ASSERT_TRUE(the_calls.wait("51712", "pncd"));
	peer.erase(frontend("51712"));
	peer.erase(backend("51712"));
	EXPECT_TRUE(the_calls.wait("51712", "pncdr"));
	EXPECT_FALSE(peer.get(frontend("51712") + "/state"));
}

TEST_F(Devices, DetachedBeforeItWasNegotiated)
{
	start_bus();
	do_register();
	automatic = false;
	attach("1", "1", "1");
	ASSERT_TRUE(the_calls.wait("1", "p"));
	automatic = true;
	peer.set(backend("1") + "/online", "0");
	peer.set(backend("1") + "/state", "5");
	EXPECT_TRUE(peer.becomes(backend("1") + "/state", "6"));
	EXPECT_EQ(the_calls.get("1"), "p");
}

TEST_F(Devices, AttachDetachLoop)
{
	start_bus();
	do_register();
	for (int round = 1; round <= 20; round++) {
		attach_connected("51712");
		peer.set(backend("51712") + "/online", "0");
		peer.set(backend("51712") + "/state", "5");
		ASSERT_TRUE(peer.becomes(backend("51712") + "/state", "6"));
		peer.erase(frontend("51712"));
		peer.erase(backend("51712"));
		std::string expected;
		for (int i = 0; i < round; i++)
			expected += "pncdr";
		ASSERT_TRUE(the_calls.wait("51712", expected)) << the_calls.get("51712");
	}
}

TEST_F(Devices, UnloadAndLoadAgain)
{
	start_bus();
	attach("51712");
	for (int round = 0; round < 10; round++) {
		do_register();
		ASSERT_TRUE(peer.becomes(frontend("51712") + "/state", "4")) << round;
		unregister();
		EXPECT_EQ(peer.get(frontend("51712") + "/state"), "6");
		stop_bus();
		start_bus();
	}
}

TEST_F(Devices, LeftInEveryStateByAnEarlierLoad)
{
	start_bus();
	do_register();
	int number = 0;
	for (const char *own : { "3", "4", "5", "6" }) {
		for (const char *theirs : { "2", "4", "5", "6" }) {
			std::string id = std::to_string(++number);
			attach(id, own, theirs);
			/* A backend that was told to close before says 5, and goes on when it hears 6. */
			EXPECT_TRUE(peer.becomes(frontend(id) + "/state", "4", 20000)) << own << " " << theirs;
			EXPECT_TRUE(the_calls.wait(id, "pnc")) << own << " " << theirs << " " << the_calls.get(id);
		}
	}
}

TEST_F(Devices, FreshNodeButAnOldConnection)
{
	start_bus();
	do_register();
	attach("1", "1", "4");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
	EXPECT_TRUE(the_calls.wait("1", "pnc"));
	EXPECT_EQ(peer.history(frontend("1") + "/state"), (std::vector<std::string>{ "1", "5", "6", "1", "3", "4" }));
}

TEST_F(Devices, BackendStartsAgain)
{
	start_bus();
	do_register();
	attach_connected("1");
	fake::advance(50ms);
	peer.set(backend("1") + "/state", "2");
	EXPECT_TRUE(the_calls.wait("1", "pnclnc")) << the_calls.get("1");
}

TEST_F(Devices, BackendDriverGoesAndComesBack)
{
	start_bus();
	do_register();
	attach_connected("1");
	fake::advance(50ms);
	automatic = false;
	peer.set(backend("1") + "/state", "6");
	ASSERT_TRUE(the_calls.wait("1", "pncl"));
	/* By hand: the automatic one may only now see that we are Closed, and answer that. */
	peer.set(backend("1") + "/state", "2");
	ASSERT_TRUE(the_calls.wait("1", "pncln"));
	ASSERT_TRUE(peer.becomes(frontend("1") + "/state", "3"));
	peer.set(backend("1") + "/state", "4");
	EXPECT_TRUE(the_calls.wait("1", "pnclnc")) << the_calls.get("1");
}

TEST_F(Devices, ConnectedAgainIsAChange)
{
	start_bus();
	do_register();
	attach_connected("1");
	fake::advance(50ms);
	std::size_t before = the_calls.changes("1");
	peer.set(backend("1") + "/state", "4");
	fake::advance(50ms);
	EXPECT_EQ(the_calls.changes("1"), before + 1);
	EXPECT_EQ(the_calls.get("1"), "pnc");
}

TEST_F(Devices, NonsenseStatesAreIgnored)
{
	start_bus();
	do_register();
	attach_connected("1");
	fake::advance(50ms);
	automatic = false;
	for (const char *state :
	     { "0", "1", "3", "7", "8", "9", "9999", "", "abc", "4294967298", "-1", "44444444444444444444444444" }) {
		peer.set(backend("1") + "/state", state);
		fake::advance(10ms);
	}
	peer.erase(backend("1") + "/state");
	fake::advance(50ms);
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "4");
	EXPECT_EQ(the_calls.get("1").find('d'), std::string::npos);
	peer.set(backend("1") + "/state", "4");
	automatic = true;
}

TEST_F(Devices, FloodOfStateChanges)
{
	start_bus();
	do_register();
	attach_connected("1");
	for (int i = 0; i < 3000; i++)
		peer.set(backend("1") + "/state", "4");
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "4");
}

TEST_F(Devices, VanishedNodeIsNotWrittenTo)
{
	start_bus();
	do_register();
	attach_connected("1");
	peer.erase(frontend("1"));
	EXPECT_TRUE(the_calls.wait("1", "pncdr"));
	fake::advance(50ms);
	EXPECT_FALSE(peer.get(frontend("1") + "/state"));
}

TEST_F(Devices, ReplacedByADeviceOfAnotherDomain)
{
	start_bus();
	do_register();
	attach_connected("1");
	/* All at once, as a transaction would. */
	automatic = false;
	peer.with_no_events([&] { peer.erase(frontend("1")); });
	peer.set(backend("1", 3) + "/online", "1");
	peer.set(backend("1", 3) + "/sectors", "1");
	peer.set(backend("1", 3) + "/state", "1");
	peer.set(frontend("1") + "/state", "1");
	peer.set(frontend("1") + "/backend-id", "3");
	peer.set(frontend("1") + "/backend", backend("1", 3));
	ASSERT_TRUE(the_calls.wait("1", "pncdrp")) << the_calls.get("1");
	fake::advance(50ms);
	/* Nothing of the old one's end went into the new one's node. */
	auto history = peer.history(frontend("1") + "/state");
	EXPECT_EQ(history, (std::vector<std::string>{ "1", "3", "4", "1" }));
	automatic = true;
	peer.set(backend("1", 3) + "/state", "2");
	EXPECT_TRUE(the_calls.wait("1", "pncdrpnc"));
}

TEST_F(Devices, ImpossibleBackendsAreNoDevices)
{
	start_bus();
	do_register();
	auto place = [&](const std::string &id, const std::string &path, const std::string &domain) {
		peer.set(frontend(id) + "/state", "1");
		peer.set(frontend(id) + "/backend-id", domain);
		peer.set(frontend(id) + "/backend", path);
	};
	place("1", "/local/domain/0/elsewhere/1", "0");
	place("2", "/local/domain/5/backend/vbd/7/2", "0");
	place("3", "/local/domain/0/backend/vbd/7/3", "abc");
	place("4", "/local/domain/0/backend/" + std::string(400, 'x'), "0");
	place("5", "", "0");
	place("6", "/local/domain/99999/backend/vbd/7/6", "99999");
	peer.set("/local/domain/7/device/vbd/nobackend/state", "1");
	peer.set("/local/domain/7/device/suspend/event-channel", "");
	attach_connected("10");
	for (const char *id : { "1", "2", "3", "4", "5", "6", "nobackend" })
		EXPECT_EQ(the_calls.get(id), "") << id;
}

TEST_F(Devices, DriverFailsTheDevice)
{
	start_bus();
	do_register();
	attach_connected("1");
	xpv_device_fail(the_calls.device["1"], -XEN_EIO, "response %d makes no sense", 3);
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
	EXPECT_EQ(the_calls.get("1").find_last_of('d'), the_calls.get("1").size() - 1);
	EXPECT_EQ(peer.get("/local/domain/7/error/device/vbd/1/error"), "5 response 3 makes no sense");
	/* It stays that way, whatever the backend says. */
	fake::advance(50ms);
	peer.set(backend("1") + "/state", "2");
	fake::advance(50ms);
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "6");
	/* Until it is plugged anew. */
	peer.erase(frontend("1"));
	fake::advance(50ms);
	attach("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
}

TEST_F(Devices, FailedNegotiation)
{
	start_bus();
	the_calls.negotiate_result = -XEN_EINVAL;
	do_register();
	attach("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
	EXPECT_EQ(the_calls.get("1"), "pn");
	unregister();
	EXPECT_EQ(the_calls.get("1"), "pnr");
}

TEST_F(Devices, FailedConnection)
{
	start_bus();
	the_calls.connect_result = -XEN_EINVAL;
	do_register();
	attach("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
	EXPECT_EQ(the_calls.get("1"), "pncd");
}

TEST_F(Devices, FailedProbe)
{
	start_bus();
	the_calls.probe_result = -XEN_ENOMEM;
	do_register();
	attach("1");
	ASSERT_TRUE(the_calls.wait("1", "p"));
	fake::advance(50ms);
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "1");
	unregister();
	EXPECT_EQ(the_calls.get("1"), "p");
}

TEST_F(Devices, BackendThatNeverClosesCostsABoundedTime)
{
	start_bus();
	do_register();
	attach_connected("1");
	automatic = false;
	auto begin = fake::Clock::now();
	unregister();
	EXPECT_LT(fake::Clock::now() - begin, 12s);
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "6");
	EXPECT_EQ(the_calls.get("1").find_last_of('d'), the_calls.get("1").size() - 2);
}

TEST_F(Devices, ManyDevicesOverlap)
{
	the_calls.slow_ms = 100;
	start_bus();
	do_register();
	for (int i = 0; i < 16; i++)
		attach(std::to_string(i));
	for (int i = 0; i < 16; i++)
		EXPECT_TRUE(peer.becomes(frontend(std::to_string(i)) + "/state", "4"));
	EXPECT_GT(the_calls.most_overlapping, 4);
	unregister();
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(peer.get(frontend(std::to_string(i)) + "/state"), "6");
}

TEST_F(Devices, InterferenceWithTheTransaction)
{
	start_bus();
	do_register();
	attach_connected("1");
	peer.interfere = 3;
	unregister();
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "6");
}

/* Each connection may cost what the backend keeps mapped of it; a mounted disk is not given up for it. */
TEST_F(Devices, BackendThatFlapsIsSlowedDown)
{
	start_bus();
	do_register();
	attach_connected("1");
	std::string expected = "pnc";
	for (int i = 0; i < 10; i++) {
		peer.set(backend("1") + "/state", "2");
		expected += "lnc";
		ASSERT_TRUE(the_calls.wait("1", expected)) << the_calls.get("1");
		connected("1");
	}
	peer.set(backend("1") + "/state", "2");
	ASSERT_TRUE(the_calls.wait("1", expected + "l")) << the_calls.get("1");
	EXPECT_TRUE(logged("closed 10 connections in 60 s"));
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "6");
	EXPECT_EQ(the_calls.get("1").find('d'), std::string::npos) << "the device stays";
	EXPECT_FALSE(peer.get("/local/domain/7/error/device/vbd/1/error"));
}

/* ---- A device outlives its connections ---- */

/* A driver with all that the contract offers. */
std::atomic<bool> retires_at_once;

void retire(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'R');
	if (retires_at_once)
		xpv_device_retired(device);
}

std::function<void(const std::string &id)> on_hold;

void hold(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'H');
	if (on_hold)
		on_hold(xpv_device_id(device));
}

std::atomic<int> drain_result;
std::atomic<uint64_t> drain_deadline;

int drain(xpv_device *device, uint64_t deadline_ms)
{
	calls->add(xpv_device_id(device), 'W');
	drain_deadline = deadline_ms;
	return drain_result;
}

void go_on(xpv_device *device, xpv_resume_kind kind)
{
	calls->add(xpv_device_id(device), kind == XPV_RESUME_RESTORED ? 'S' : 'C');
}

const xpv_frontend_driver whole_driver = {
	.name = "whole",
	.device_type = "vbd",
	.backend_keys = keys,
	.probe = probe,
	.negotiate = negotiate,
	.connect = connect,
	.backend_changed = backend_changed,
	.connection_lost = connection_lost,
	.retire = retire,
	.disconnect = disconnect,
	.remove = remove,
	.hold = hold,
	.drain = drain,
	.go_on = go_on,
};

class KeptDevices : public RestoredDevices {
protected:
	void SetUp() override
	{
		RestoredDevices::SetUp();
		retires_at_once = true;
		drain_result = 0;
		driver_used = &whole_driver;
		start_bus();
		do_register();
		attach_connected("1");
	}
	/* As libxl detaches: one transaction. */
	void detach(const std::string &id)
	{
		peer.set(backend(id) + "/online", "0");
		peer.set(backend(id) + "/state", "5");
	}
	/* As libxl attaches: the directory is made again. */
	void make_again(const std::string &id, int domain = 0)
	{
		peer.erase(frontend(id));
		attach(id, "1", "2", domain);
	}
};

/* A7: the driver of the backend is unloaded and loaded, or its domain restarts. */
TEST_F(KeptDevices, ClosingOrClosedBackendsComeBack)
{
	/* Closed is tried by hand in BackendDriverGoesAndComesBack. */
	for (const char *state : { "5", "2" }) {
		the_calls.clear("1");
		peer.set(backend("1") + "/state", state);
		ASSERT_TRUE(the_calls.wait("1", "lnc")) << state << the_calls.get("1");
		connected("1");
	}
}

TEST_F(KeptDevices, BackendThatSaysNothingOfOnlineEndsTheDevice)
{
	peer.erase(backend("1") + "/online");
	peer.set(backend("1") + "/state", "5");
	EXPECT_TRUE(the_calls.wait("1", "pncRd")) << the_calls.get("1");
}

/* A8: what is dirty is written while the backend still serves it. */
TEST_F(KeptDevices, DetachWaitsForTheDriverToRetire)
{
	retires_at_once = false;
	automatic = false;
	detach("1");
	ASSERT_TRUE(the_calls.wait("1", "pncR"));
	peer.set(backend("1") + "/state", "5");
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "4");
	EXPECT_EQ(the_calls.get("1"), "pncR");
	automatic = true;
	xpv_device_retired(the_calls.device["1"]);
	EXPECT_TRUE(peer.becomes(backend("1") + "/state", "6"));
	EXPECT_TRUE(the_calls.wait("1", "pncRd"));
}

TEST_F(KeptDevices, UnbindWaitsForTheDriverToRetire)
{
	retires_at_once = false;
	fake::Thread unbinds([&] { unregister(); });
	ASSERT_TRUE(the_calls.wait("1", "pncR"));
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "4");
	/* Its backend restarts meanwhile: the driver still needs it. */
	peer.set(backend("1") + "/state", "2");
	EXPECT_TRUE(the_calls.wait("1", "pncRlnc")) << the_calls.get("1");
	xpv_device_retired(the_calls.device["1"]);
	unbinds.join();
	EXPECT_EQ(the_calls.get("1"), "pncRlncdr");
	EXPECT_EQ(peer.get(frontend("1") + "/state"), "6");
}

TEST_F(KeptDevices, BackendThatIsClosedIsNotWaitedFor)
{
	retires_at_once = false;
	automatic = false;
	peer.set(backend("1") + "/online", "0");
	peer.set(backend("1") + "/state", "6");
	EXPECT_TRUE(the_calls.wait("1", "pncd")) << the_calls.get("1");
}

TEST_F(KeptDevices, VanishedWhileItRetires)
{
	retires_at_once = false;
	detach("1");
	ASSERT_TRUE(the_calls.wait("1", "pncR"));
	peer.erase(frontend("1"));
	EXPECT_TRUE(the_calls.wait("1", "pncRdr"));
}

TEST_F(KeptDevices, FailureDoesNotWaitForTheDriverToRetire)
{
	retires_at_once = false;
	detach("1");
	ASSERT_TRUE(the_calls.wait("1", "pncR"));
	xpv_device_fail(the_calls.device["1"], -XEN_EIO, "broken");
	EXPECT_TRUE(the_calls.wait("1", "pncRd"));
}

TEST_F(KeptDevices, DetachedAndAttachedAgain)
{
	detach("1");
	ASSERT_TRUE(the_calls.wait("1", "pncRd"));
	ASSERT_TRUE(peer.becomes(backend("1") + "/state", "6"));
	make_again("1");
	EXPECT_TRUE(the_calls.wait("1", "pncRdrpnc")) << the_calls.get("1");
}

/* Detached while the connection is being made again: nothing is left to write it to. */
TEST_F(KeptDevices, DetachedWhileClosed)
{
	automatic = false;
	peer.set(backend("1") + "/state", "6");
	ASSERT_TRUE(the_calls.wait("1", "pncl"));
	/* Before it begins again, it waits for this backend to be Closed once more. */
	fake::settle();
	detach("1");
	EXPECT_TRUE(the_calls.wait("1", "pncld")) << the_calls.get("1");
}

/* A backend waits in Closing for a frontend to write Closed, and sees only a write, not the value. */
TEST_F(KeptDevices, DetachedWhileClosedAndTheBackendIsClosing)
{
	automatic = false;
	peer.set(backend("1") + "/state", "5");
	ASSERT_TRUE(the_calls.wait("1", "pncl"));
	fake::settle();
	ASSERT_EQ(peer.get(frontend("1") + "/state"), "6");
	automatic = true;
	detach("1");
	EXPECT_TRUE(the_calls.wait("1", "pncld")) << the_calls.get("1");
	EXPECT_TRUE(peer.becomes(backend("1") + "/state", "6"));
	/* Once: not for ever. */
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
}

/* A6: what reconnects is tried again, whatever the error is. */
TEST_F(KeptDevices, ErrorsOfAReconnectionAreTemporary)
{
	the_calls.negotiate_result = -XEN_ENOMEM;
	restore([&] { attach_elsewhere("1"); });
	ASSERT_TRUE(the_calls.wait_for_more("1", "pncHWSl", 'n'));
	the_calls.connect_result = -XEN_EINVAL;
	the_calls.negotiate_result = 0;
	peer.set(backend("1", 3) + "/state", "2");
	ASSERT_TRUE(the_calls.wait_for_last("1", 'c')) << the_calls.get("1");
	EXPECT_EQ(the_calls.get("1").find('d'), std::string::npos);
	EXPECT_FALSE(peer.get("/local/domain/7/error/device/vbd/1/error"));
	the_calls.connect_result = 0;
	peer.set(backend("1", 3) + "/state", "4");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
	EXPECT_EQ(the_calls.get("1").find('d'), std::string::npos);
	EXPECT_TRUE(logged("trying again in"));
}

/* Another device in the same place must not get what was meant for the old one. */
TEST_F(KeptDevices, ReplacedUnderTheSameNameAtOnce)
{
	automatic = false;
	peer.with_no_events([&] {
		peer.erase(frontend("1"));
		attach("1", "1", "2");
	});
	/* The bus does not know of it; the handshake finds out. */
	peer.set(backend("1") + "/state", "2");
	ASSERT_TRUE(the_calls.wait("1", "pncdrpn")) << the_calls.get("1");
	EXPECT_EQ(the_calls.get("1").find('l'), std::string::npos);
	automatic = true;
	peer.set(backend("1") + "/state", "6");
}

TEST_F(KeptDevices, ReplacedAsSeenByTheBus)
{
	automatic = false;
	peer.set(backend("1") + "/state", "4");
	peer.erase(frontend("1") + "/xpv-tag");
	peer.set(frontend("1") + "/backend", backend("1"));
	EXPECT_TRUE(the_calls.wait("1", "pncdrp")) << the_calls.get("1");
	automatic = true;
}

/* A driver domain that was made again, and has another number: its directory moves, ours stays. */
TEST_F(KeptDevices, BackendMovesToAnotherDomain)
{
	peer.erase(backend("1"));
	peer.set(backend("1", 3) + "/online", "1");
	peer.set(backend("1", 3) + "/sectors", "2048");
	peer.set(backend("1", 3) + "/state", "2");
	peer.set_together({ { frontend("1") + "/backend-id", "3" }, { frontend("1") + "/backend", backend("1", 3) } });
	EXPECT_TRUE(the_calls.wait("1", "pnclnc")) << the_calls.get("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
	EXPECT_EQ(xpv_device_backend_domain(the_calls.device["1"]).value, 3);
}

/* ---- Suspends ---- */

TEST_F(KeptDevices, AllStopBeforeAnyIsWaitedFor)
{
	attach_connected("2");
	suspend();
	EXPECT_EQ(the_calls.get("1"), "pncHW");
	EXPECT_EQ(the_calls.get("2"), "pncHW");
	EXPECT_LE(drain_deadline, xpv_now_ms() + 10000);
	cancel();
	EXPECT_EQ(the_calls.get("1"), "pncHWC");
	EXPECT_EQ(the_calls.get("2"), "pncHWC");
}

TEST_F(KeptDevices, RestoredDevicesAreToldBeforeTheyLoseTheirConnection)
{
	restore([&] { attach_elsewhere("1"); });
	EXPECT_TRUE(the_calls.wait("1", "pncHWSlnc")) << the_calls.get("1");
}

TEST_F(KeptDevices, DeviceThatCannotStopRefusesTheSuspend)
{
	attach_connected("2");
	drain_result = -XEN_EBUSY;
	EXPECT_EQ(xpv_bus_hold(xpv_now_ms() + 10000), -XEN_EBUSY);
	EXPECT_EQ(the_calls.get("1").back(), 'C');
	EXPECT_EQ(the_calls.get("2").back(), 'C');
	drain_result = 0;
	suspend();
	cancel();
}

/* B1: by the clock, however long a step takes. */
TEST_F(KeptDevices, SuspendIsRefusedWhenTheDeadlineIsOver)
{
	peer.hold_directories = true;
	peer.set(frontend("2") + "/backend", "x"); /* makes the bus scan, which waits for xenstore */
	ASSERT_TRUE(peer.directories_are_held());
	EXPECT_EQ(xpv_bus_hold(xpv_now_ms() + 50), -XEN_ETIMEDOUT);
	EXPECT_EQ(the_calls.get("1"), "pnc");
	peer.answer_directories();
}

/* Its driver goes after it was stopped, and before it is waited for. */
TEST_F(KeptDevices, DriverGoesBetweenHoldAndDrain)
{
	attach_connected("2");
	xpv_bus_prepare_unregister(driver_used);
	ASSERT_TRUE(the_calls.wait("1", "pncRd"));
	ASSERT_TRUE(the_calls.wait("2", "pncRd"));
	fake::settle();
	std::optional<fake::Thread> unloads;
	on_hold = [&](const std::string &id) {
		if (id != "2" || unloads)
			return;
		unloads.emplace([&] { unregister(); });
		EXPECT_TRUE(the_calls.wait_for_last("1", 'r'));
	};
	suspend();
	EXPECT_EQ(the_calls.get("1"), "pncRdHr");
	cancel();
	unloads->join();
	EXPECT_EQ(the_calls.get("1"), "pncRdHr");
	on_hold = {};
}

/*
 * What the bus has still to look at is looked at before the suspend: the
 * directory of a restored guest is as of a new device in any case.
 */
TEST_F(KeptDevices, ReplacedBeforeTheSuspendIsNotTheSameAfterwards)
{
	peer.hold_directories = true;
	peer.set(frontend("2") + "/backend", "x"); /* makes the bus scan, which waits for xenstore */
	ASSERT_TRUE(peer.directories_are_held());
	xpv_sleep_ms(12000); /* of the 20 s that a request has */
	ASSERT_TRUE(logged("cannot read the list of devices"));
	peer.answer_directories();
	peer.with_no_events([&] {
		peer.erase(frontend("1"));
		attach("1");
	});
	restore([&] { attach_elsewhere("1"); });
	ASSERT_TRUE(the_calls.wait_for_last("1", 'c'));
	EXPECT_TRUE(the_calls.get("1").starts_with("pncdrp")) << the_calls.get("1");
}

/* It is tried again, but another device's directory is not tagged. */
TEST_F(KeptDevices, RefusedTagIsWrittenLater)
{
	peer.read_only.insert(frontend("2") + "/xpv-tag");
	attach_connected("2");
	ASSERT_TRUE(logged("cannot write xpv-tag"));
	EXPECT_FALSE(peer.get(frontend("2") + "/xpv-tag"));
	peer.read_only.clear();
	for (unsigned int i = 0; i < 100 && !peer.get(frontend("2") + "/xpv-tag"); i++)
		xpv_sleep_ms(100);
	EXPECT_TRUE(peer.get(frontend("2") + "/xpv-tag"));
	EXPECT_EQ(the_calls.get("2"), "pnc");
}

TEST_F(KeptDevices, RefusedTagIsNotWrittenForAnotherDevice)
{
	peer.read_only.insert(frontend("2") + "/xpv-tag");
	attach_connected("2");
	ASSERT_TRUE(logged("cannot write xpv-tag"));
	/* While there is no tag, a run in progress could take the new backend for the old one, restarted. */
	fake::settle();
	automatic = false;
	peer.with_no_events([&] {
		peer.read_only.clear();
		peer.erase(frontend("2"));
		attach("2");
	});
	ASSERT_TRUE(the_calls.wait("2", "pncdrpn")) << the_calls.get("2");
	automatic = true;
	peer.set(backend("2") + "/state", "6");
}

/* Nothing moves a limit that has passed: the engine must not run all the time. */
TEST_F(Devices, LimitThatHasPassedCostsLittle)
{
	automatic = false;
	start_bus();
	do_register();
	attach("1");
	peer.set(backend("1") + "/online", "0");
	attach("2", "1", "2");
	peer.set(backend("2") + "/online", "0");
	xpv_sleep_ms(15000);
	unsigned int before = peer.requests;
	xpv_sleep_ms(10000);
	EXPECT_LE(peer.requests - before, 60u);
}

/* C2: Linux may refer to a device that is gone. */
TEST_F(Devices, DeviceThatCannotBeAdded)
{
	start_bus();
	do_register();
	fake::fail_adding_a_device();
	attach("1");
	ASSERT_TRUE(logged("cannot add the device"));
	attach_connected("2");
}

/* C4: a bound on what a backend keeps mapped, over all connections. */
TEST_F(KeptDevices, BackendThatKeepsPagesMappedEndsTheDevice)
{
	for (int i = 0; i < 8; i++)
		xpv_device_parked(the_calls.device["1"], 8);
	EXPECT_EQ(the_calls.get("1"), "pnc");
	xpv_device_parked(the_calls.device["1"], 1);
	EXPECT_TRUE(the_calls.wait("1", "pncd"));
}

TEST_F(Devices, DeadStoreDoesNotHoldUnloadUp)
{
	start_bus();
	do_register();
	attach_connected("1");
	fake::advance(50ms);
	peer.stop();
	peer.page.rsp_prod += 5000;
	peer.ring();
	auto begin = fake::Clock::now();
	unregister();
	EXPECT_LT(fake::Clock::now() - begin, 5s);
	EXPECT_EQ(the_calls.get("1").find_last_of('d'), the_calls.get("1").size() - 2);
	stop_bus();
}

/* One allocation fails somewhere between attach and Connected: nothing leaks, and the next device works. */
TEST_F(Devices, EveryAllocationFailsOnce)
{
	start_bus();
	do_register();
	/* Late ones first: an early one costs the bus a pause before it looks again. */
	for (unsigned int n = 60; n >= 1; n--) {
		std::string id = std::to_string(n);
		fake::fail_allocation(n);
		attach(id);
		peer.becomes(frontend(id) + "/state", "4", 30);
		fake::fail_allocation(0);
		peer.erase(frontend(id));
		peer.erase(backend(id));
	}
	attach("1000");
	EXPECT_TRUE(peer.becomes(frontend("1000") + "/state", "4", 20000));
}

TEST_F(Devices, PollsWhereWatchesAreRefused)
{
	start_bus();
	fake::advance(50ms);
	peer.refuse_watches = true;
	do_register();
	attach("1");
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
}

} // namespace
