// SPDX-License-Identifier: GPL-2.0-only
/* The steps of a suspend, and how they are undone when one fails. */
#include "suspend/suspend.h"

#include "hypervisor/hypercall.hh"
#include "lib/guard.hh"
#include "lib/log.hh"
#include "lib/memory.hh"
#include "suspend/barrier.hh"
#include "suspend/linux.h"
#include "suspend/vcpus.hh"
#include "suspend/wallclock.hh"

using namespace xpv;

namespace xpv {

namespace {

struct State {
	Barrier barrier;
	xpv_suspend_choice options;
	uint64_t deadline_ms; /* by xpv_now_ms() */
	/* The result of the stop; written by CPU 0. */
	int error;
	xpv_resume_kind kind;
	char *reason;
	unsigned int reason_size;
	xpv_suspend_statistics statistics;
};

/* Guarded by the lock of the suspend parts' registry, which serialises suspends. */
constinit State *state = nullptr;

void record(xpv_suspend_step step)
{
	state->statistics.step[step] = xpv_suspend_clock();
}

/* Format the text into the reason; the value is the error. */
#define XPV_REFUSE(error, format, ...)                                                                                 \
	(xpv_format(state->reason, state->reason_size, format __VA_OPT__(, ) __VA_ARGS__), (error))

int check_deadline()
{
	return xpv_now_ms() < state->deadline_ms ? 0 : XPV_REFUSE(-XEN_ETIMEDOUT, "deadline has passed");
}

/* ---- On CPU 0, irqs off, all others at the barrier ---- */

/* Do the hypercall, with Linux's core suspended around it. */
int suspend_domain()
{
	/*
	 * A domain that suspends after the toolstack gave up stays suspended
	 * for ever. Check now: Linux's clocks stop next.
	 */
	if (int error = check_deadline())
		return error;
	if (int error = xpv_core_suspend())
		return XPV_REFUSE(error, "syscore_suspend() failed (%pe)", err_ptr(error));
	OnExit resume_core([] { xpv_core_resume(); });
	record(XPV_STEP_ENTERING);
	Result<Suspended> suspended = sched_shutdown_suspend();
	record(XPV_STEP_RETURNED);
	if (!suspended.ok())
		return XPV_REFUSE(suspended.code(), "SCHEDOP_shutdown failed (%pe)", err_ptr(suspended.code()));
	state->kind = suspended.value() == Suspended::cancelled ? XPV_RESUME_CANCELLED : XPV_RESUME_RESTORED;
	return 0;
}

void await_return(unsigned int cpu_limit)
{
	constexpr unsigned int first_ms = 1000;
	unsigned int return_ms = state->options.return_ms;
	unsigned int missing = state->barrier.await_return(return_ms < first_ms ? return_ms : first_ms);
	if (missing == cpu_limit)
		return;
	XPV_WARNING("vCPU %u: slow to come back after the suspend", missing);
	missing = state->barrier.await_return(return_ms);
	if (missing != cpu_limit)
		xpv_suspend_give_up("vCPU did not come back after the suspend", missing, -XEN_ETIMEDOUT);
}

/* Suspend the domain without its other vCPUs: the hypercall, and the parts' steps around it. */
int suspend_alone()
{
	xpv_suspend_parts_suspend_early();
	int error = suspend_domain();
	xpv_suspend_parts_resume_early(state->kind);
	record(XPV_STEP_EARLY_DONE);
	return error;
}

int suspend_stopped()
{
	const unsigned int cpu_limit = xpv_cpu_limit();
	const bool down = state->options.down;
	Barrier &barrier = state->barrier;

	unsigned int cpu = barrier.await_arrival(state->options.stop_ms);
	if (cpu != cpu_limit) {
		xpv_cpu_report(cpu);
		barrier.decide(Verdict::aborted);
		return XPV_REFUSE(-XEN_ETIMEDOUT, "vCPU %u did not stop", cpu);
	}
	record(XPV_STEP_STOPPED);

	/* Take the other vCPUs down first: while they spin, they use processors that this vCPU could use. */
	if (Status put = down ? put_vcpus_down(cpu) : Status(); !put.ok()) {
		barrier.decide(Verdict::aborted);
		await_return(cpu_limit);
		return XPV_REFUSE(put.code(), "vCPU %u: VCPUOP_down failed (%pe)", cpu, err_ptr(put.code()));
	}
	int error = suspend_alone();
	bool restored = state->kind == XPV_RESUME_RESTORED;

	barrier.decide(error ? Verdict::aborted : restored ? Verdict::restored : Verdict::cancelled);
	if (down)
		state->statistics.retries += bring_vcpus_back(restored, state->options.return_ms);
	await_return(cpu_limit);
	record(XPV_STEP_CPUS_BACK);
	return error;
}

void stopped(unsigned int cpu)
{
	if (cpu != 0) {
		state->barrier.pass(cpu);
		return;
	}
	xpv_processor_save(0);
	state->error = suspend_stopped();
	xpv_processor_go_on(0, state->kind == XPV_RESUME_RESTORED);
}

/* ---- Sleeping context ---- */

int stop_and_suspend()
{
	/* The toolstack cancels a suspend by changing what the hypercall returns on vCPU 0. */
	if (!xpv_cpu_is_online(0) || xpv_vcpu_of_cpu(0).value != 0)
		return XPV_REFUSE(-XEN_ENODEV, "CPU 0 is not vCPU 0");
	if (int error = xpv_processors_prepare())
		return XPV_REFUSE(error, "cannot save the state of the CPUs (%pe)", err_ptr(error));
	OnExit release([] { xpv_processors_release(); });

	state->barrier.reset();
	state->error = 0;
	state->kind = XPV_RESUME_CANCELLED;
	if (int error = xpv_stop_machine(stopped))
		return XPV_REFUSE(error, "stop_machine() failed (%pe)", err_ptr(error));
	return state->error;
}

/* Run a whole suspend. Must be called with the registry locked. */
int suspend()
{
	state->options = xpv_suspend_options;
	__builtin_memset(state->statistics.step, 0, sizeof(state->statistics.step));
	state->statistics.cpus_rebuilt = 0;
	record(XPV_STEP_STARTED);
	xpv_suspend_tell(XPV_SUSPEND_PREPARE);
	if (int error = check_deadline())
		return error;

	/*
	 * Block hotplug while disks still work: stopping all CPUs waits for a
	 * hotplug in progress, which may wait for memory, which may have to be
	 * written to a disk.
	 */
	xpv_cpu_hotplug_disable();
	OnExit enable_hotplug([] { xpv_cpu_hotplug_enable(); });

	/*
	 * Refuse to start with a CPU that does not respond: RCU, which parts
	 * use, and stop_machine() would wait for ever.
	 */
	unsigned int cpu;
	if (int error = xpv_cpus_respond(state->options.stop_ms, &cpu)) {
		xpv_cpu_report(cpu);
		return XPV_REFUSE(error, "vCPU %u does not respond", cpu);
	}
	const char *refused_by = "";
	if (int error = xpv_suspend_parts_prepare(state->deadline_ms, &refused_by))
		return XPV_REFUSE(error, "part %s: not ready to suspend (%pe)", refused_by, err_ptr(error));
	record(XPV_STEP_PREPARED);

	WallClock wall_clock;
	if (int error = stop_and_suspend()) {
		xpv_suspend_parts_abandon();
		return error;
	}
	record(XPV_STEP_LATE);
	state->statistics.cpus_rebuilt = state->barrier.rebuilt();
	if (state->kind == XPV_RESUME_RESTORED)
		state->statistics.wall_clock_step = wall_clock.catch_up();
	xpv_suspend_parts_resume_late(state->kind);
	return 0;
}

/* Report the outcome in the statistics, the log and to user space. */
void conclude(int error)
{
	record(XPV_STEP_DONE);
	if (error) {
		state->statistics.failed++;
		XPV_ERR("suspend failed: %s", state->reason);
		xpv_suspend_tell(XPV_SUSPEND_FAILED);
	} else if (state->kind == XPV_RESUME_RESTORED) {
		state->statistics.restored++;
		XPV_INFO("domain restored");
		xpv_suspend_tell(XPV_SUSPEND_RESTORED);
	} else {
		state->statistics.cancelled++;
		XPV_INFO("suspend cancelled by the toolstack, the domain goes on (xl save -c, or a failed save or migration)");
		xpv_suspend_tell(XPV_SUSPEND_CANCELLED);
	}
}

} // namespace

} // namespace xpv

int xpv_suspend(uint64_t deadline_ms, char *reason, unsigned int reason_size)
{
	/* The parts stop all disks: reclaim must not wait for them. */
	NoIoScope no_io;
	xpv_suspend_parts_lock();
	state->deadline_ms = deadline_ms;
	reason[0] = '\0';
	state->reason = reason;
	state->reason_size = reason_size;
	int error = suspend();
	conclude(error);
	xpv_suspend_parts_unlock();
	return error;
}

int xpv_suspend_start()
{
	auto made = make<State>(XPV_MAY_SLEEP);
	if (!made.ok())
		return made.code();
	if (Status barrier = made.value()->barrier.make(); !barrier.ok())
		return barrier.code();
	state = made.value().release();
	return 0;
}

void xpv_suspend_stop()
{
	destroy(std::exchange(state, nullptr));
}

void xpv_suspend_get_statistics(xpv_suspend_statistics *copy)
{
	*copy = state->statistics;
}

uint64_t xpv_suspend_cpu_back(unsigned int cpu)
{
	return state->barrier.back_at(cpu);
}
