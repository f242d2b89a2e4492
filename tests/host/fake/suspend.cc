// SPDX-License-Identifier: GPL-2.0-only
/* Record each step, return the errors that a test set, and run the stopped CPUs as threads. */
#include "tests/host/fake/suspend.hh"

#include <cstdlib>
#include <thread>

#include "tests/fake/fake_vcpus.h"

fake::Machine fake::machine;
fake::Requests *fake::requests;

xpv_suspend_choice xpv_suspend_options = { true, 5000, 5000 };

namespace {

xpv_context contexts[fake::Machine::cpus];

void step(const char *name)
{
	if (fake::machine.at_step)
		fake::machine.at_step(name);
}

} // namespace

void fake::reset_machine()
{
	machine.at_step = nullptr;
	machine.memory_error = machine.respond_error = machine.stop_error = machine.core_error = 0;
	machine.realtime = machine.realtime_set_to = 0;
	machine.calls.clear();
	machine.notified.clear();
	machine.saved = machine.went_on = machine.hotplug_disabled = 0;
	xpv_suspend_options = { true, 5000, 5000 };
}

/* ---- The machine ---- */

int xpv_processors_prepare(void)
{
	step("memory");
	return fake::machine.memory_error;
}

void xpv_processors_release(void)
{
}

xpv_context *xpv_processor_context(unsigned int cpu)
{
	return &contexts[cpu];
}

void xpv_processor_save(unsigned int)
{
	fake::machine.saved++;
}

void xpv_processor_restore(unsigned int)
{
}

void xpv_processor_go_on(unsigned int, bool)
{
	fake::machine.went_on++;
}

int xpv_context_save(xpv_context *)
{
	return 0;
}

void xpv_context_enter(const xpv_context *)
{
}

int xpv_cpus_respond(unsigned int, unsigned int *silent)
{
	step("respond");
	*silent = 2;
	return fake::machine.respond_error;
}

void xpv_cpu_report(unsigned int cpu)
{
	fake::machine.calls.push_back("report " + std::to_string(cpu));
}

void xpv_cpu_hotplug_disable(void)
{
	fake::machine.hotplug_disabled++;
}

void xpv_cpu_hotplug_enable(void)
{
	fake::machine.hotplug_disabled--;
}

int xpv_stop_machine(void (*function)(unsigned int cpu))
{
	step("stop");
	if (fake::machine.stop_error)
		return fake::machine.stop_error;
	std::vector<std::thread> threads;
	for (unsigned int cpu = 0; cpu < fake::Machine::cpus; cpu++)
		threads.emplace_back(function, cpu);
	for (std::thread &thread : threads)
		thread.join();
	return 0;
}

bool xpv_cpu_is_online(unsigned int cpu)
{
	return cpu < fake::Machine::cpus;
}

int xpv_core_suspend(void)
{
	step("core");
	fake::machine.calls.push_back("core suspend");
	return fake::machine.core_error;
}

void xpv_core_resume(void)
{
	fake::machine.calls.push_back("core resume");
}

uint64_t xpv_suspend_clock(void)
{
	return static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

void xpv_suspend_give_up(const char *, unsigned int, int)
{
	std::abort();
}

int64_t xpv_realtime(void)
{
	return fake::machine.realtime;
}

int xpv_realtime_set(int64_t nanoseconds)
{
	fake::machine.realtime_set_to = nanoseconds;
	return 0;
}

void xpv_suspend_tell(xpv_suspend_event event)
{
	fake::machine.notified.push_back(event);
}

/* ---- The toolstack's requests ---- */

void fake::Requests::add(char what)
{
	{
		std::lock_guard guard(mutex);
		asked += what;
	}
	changed.notify_all();
}

bool fake::Requests::wait(const std::string &all, std::chrono::milliseconds time)
{
	std::unique_lock guard(mutex);
	return changed.wait_for(guard, time, [&] { return asked == all; });
}

bool fake::Requests::takes(char what)
{
	std::unique_lock guard(mutex);
	bool came = changed.wait_for(guard, std::chrono::seconds(10), [&] {
		return !asked.empty() && asked.back() == what;
	});
	if (came)
		asked.pop_back();
	return came;
}

void xpv_linux_power_off(void)
{
	fake::requests->add('p');
}

void xpv_linux_reboot(void)
{
	fake::requests->add('r');
}

void xpv_linux_force_power_off(void)
{
	fake::requests->add('P');
}

void xpv_linux_force_reboot(void)
{
	fake::requests->add('R');
}

unsigned int xpv_linux_shutdown_timeout(void)
{
	return fake::requests->timeout;
}

void xpv_linux_sysrq(unsigned char key)
{
	fake::requests->add(static_cast<char>(key));
}
