/* SPDX-License-Identifier: GPL-2.0-only */
/* A frontend driver for the tests of the bus: it notes what it was called for, and returns what a test wants. */
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "tests/host/fake/clock.hh"
#include "xenbus/linux.h"

namespace xpv_test {

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

inline Calls *calls;

inline int probe(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'p');
	std::lock_guard guard(calls->mutex);
	calls->device[xpv_device_id(device)] = device;
	return calls->probe_result;
}

inline int negotiate(xpv_device *device)
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

inline int connect(xpv_device *device)
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

inline void backend_changed(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'b');
}

inline void disconnect(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'd');
}

inline void remove(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'r');
}

inline void connection_lost(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'l');
}

inline const char *const keys[] = { "sectors", "info", nullptr };

inline const xpv_frontend_driver driver = {
	.name = "test",
	.device_type = "vbd",
	.backend_keys = keys,
	.connects_first = false,
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

/* A driver with all that the contract offers. */
inline std::atomic<bool> retires_at_once;

inline void retire(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'R');
	if (retires_at_once)
		xpv_device_retired(device);
}

inline std::function<void(const std::string &id)> on_hold;

inline void hold(xpv_device *device)
{
	calls->add(xpv_device_id(device), 'H');
	if (on_hold)
		on_hold(xpv_device_id(device));
}

inline std::atomic<int> drain_result;
inline std::atomic<uint64_t> drain_deadline;

inline int drain(xpv_device *device, uint64_t deadline_ms)
{
	calls->add(xpv_device_id(device), 'W');
	drain_deadline = deadline_ms;
	return drain_result;
}

inline void go_on(xpv_device *device, xpv_resume_kind kind)
{
	calls->add(xpv_device_id(device), kind == XPV_RESUME_RESTORED ? 'S' : 'C');
}

inline const xpv_frontend_driver whole_driver = [] {
	xpv_frontend_driver whole = driver;
	whole.name = "whole";
	whole.retire = retire;
	whole.hold = hold;
	whole.drain = drain;
	whole.go_on = go_on;
	return whole;
}();

} // namespace xpv_test
