/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Linux side of suspend (suspend/linux.h) for the host tests. Threads are
 * the CPUs that stop; they cannot lose their state here (tests/kunit does
 * that), and so find themselves where they were.
 */
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "suspend/linux.h"
#include "tests/host/fake/clock.hh"

namespace fake {

/* What a suspend finds, and what it did. */
struct Machine {
	static constexpr unsigned int cpus = 4;

	/* Called at each step that may take long: "memory", "respond", "stop", "core". */
	std::function<void(const char *name)> at_step;
	int memory_error = 0, respond_error = 0, stop_error = 0, core_error = 0;
	int64_t realtime = 0, realtime_set_to = 0;

	std::vector<std::string> calls; /* "report <cpu>", "core suspend", "core resume"; tests add their own */
	std::vector<xpv_suspend_event> notified;
	std::atomic<unsigned int> saved = 0, went_on = 0;
	unsigned int hotplug_disabled = 0; /* how often, and not enabled again */
};
extern Machine machine;

/* As after a load: `machine` and xpv_suspend_options are as at first. */
void reset_machine();

/* What the toolstack's requests come to: p and r of user space, P and R by force, and the SysRq keys. */
struct Requests {
	std::mutex mutex;
	Condition changed;
	std::string asked;
	std::atomic<unsigned int> timeout = 300;

	void add(char what);
	bool wait(const std::string &all, std::chrono::milliseconds time = std::chrono::seconds(10));
	/* As wait() for something more, which is then forgotten. */
	bool takes(char what);
};
/* The test's; NULL: none are expected. */
extern Requests *requests;

} // namespace fake
