// SPDX-License-Identifier: GPL-2.0-only
/* Stopping and watching all CPUs, Linux's core around the hypercall, and clocks. */

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/panic.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/sched/clock.h>
#include <linux/stacktrace.h>
#include <linux/stop_machine.h>
#include <linux/syscore_ops.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/apic.h>
#include <asm/nmi.h>
#include <asm/tsc.h>

#include "suspend/linux.h"

/* ---- Stopping ---- */

static int call_with_cpu(void *function)
{
	((void (*)(unsigned int cpu))function)(smp_processor_id());
	return 0;
}

int xpv_stop_machine(void (*function)(unsigned int cpu))
{
	return stop_machine(call_with_cpu, function, cpu_online_mask);
}

void xpv_cpu_hotplug_disable(void)
{
	cpu_hotplug_disable();
}

void xpv_cpu_hotplug_enable(void)
{
	cpu_hotplug_enable();
}

bool xpv_cpu_is_online(unsigned int cpu)
{
	return cpu_online(cpu);
}

/* ---- Whether CPUs respond ---- */

struct probe {
	struct work_struct work;
	struct completion done;
};
static DEFINE_PER_CPU(struct probe, probes);

static void probe_function(struct work_struct *work)
{
	complete(&container_of(work, struct probe, work)->done);
}

static void probe_start(unsigned int cpu)
{
	struct probe *probe = per_cpu_ptr(&probes, cpu);

	INIT_WORK(&probe->work, probe_function);
	init_completion(&probe->done);
	queue_work_on(cpu, system_highpri_wq, &probe->work);
}

/*
 * Wait for the probe by polling, with the TSC as clock and without sleeping:
 * the CPU that does not respond may be the one that counts jiffies or runs
 * timers. On return the work is neither pending nor, because it does not wait
 * for anything, running.
 */
static bool probe_end(unsigned int cpu, u64 deadline)
{
	struct probe *probe = per_cpu_ptr(&probes, cpu);

	while (!completion_done(&probe->done)) {
		if (xpv_suspend_clock() >= deadline)
			return !cancel_work(&probe->work) && completion_done(&probe->done);
		cond_resched();
		cpu_relax();
	}
	return true;
}

int xpv_cpus_respond(unsigned int milliseconds, unsigned int *silent_cpu)
{
	u64 deadline = xpv_suspend_clock() + milliseconds * (u64)NSEC_PER_MSEC;
	unsigned int cpu;
	int error = 0;

	cpus_read_lock();
	for_each_online_cpu(cpu)
		probe_start(cpu);
	for_each_online_cpu(cpu) {
		if (!probe_end(cpu, deadline) && !error) {
			*silent_cpu = cpu;
			error = -EBUSY;
		}
	}
	cpus_read_unlock();
	return error;
}

/* ---- Where a CPU is: asked by an NMI, which arrives with irqs off too ---- */

#define REPORT_DEPTH 32
#define REPORT_WAIT_MS 100

static int asked_cpu = -1;
static unsigned long report[REPORT_DEPTH];
static unsigned int report_depth;

static int report_nmi(unsigned int type, struct pt_regs *registers)
{
	if (READ_ONCE(asked_cpu) != raw_smp_processor_id())
		return NMI_DONE;
	report_depth = stack_trace_save(report, REPORT_DEPTH, 0);
	smp_store_release(&asked_cpu, -1);
	return NMI_HANDLED;
}

void xpv_cpu_reports_start(void)
{
	int error = register_nmi_handler(NMI_LOCAL, report_nmi, 0, "xpv_suspend");

	if (error)
		pr_warn(KBUILD_MODNAME ": cannot register the NMI handler (%pe), no stack trace of CPUs that hang\n",
			ERR_PTR(error));
}

void xpv_cpu_reports_stop(void)
{
	unregister_nmi_handler(NMI_LOCAL, "xpv_suspend");
}

void xpv_cpu_report(unsigned int cpu)
{
	unsigned int i;

	smp_store_release(&asked_cpu, cpu);
	apic->send_IPI(cpu, NMI_VECTOR);
	for (i = 0; i < REPORT_WAIT_MS && smp_load_acquire(&asked_cpu) >= 0; i++)
		mdelay(1);
	/* Withdraw the request: a late reply must not hit the next one. */
	if (cmpxchg(&asked_cpu, cpu, -1) != -1) {
		pr_err(KBUILD_MODNAME ": CPU %u: no response to an NMI, Xen does not run its vCPU\n", cpu);
		return;
	}
	pr_err(KBUILD_MODNAME ": CPU %u: stack trace:\n", cpu);
	for (i = 0; i < report_depth; i++)
		pr_err(KBUILD_MODNAME ":   %pS\n", (void *)report[i]);
}

/* ---- Linux's core ---- */

/*
 * Suspend what the kernel's own Xen support suspends. Timekeeping must be
 * included: otherwise it would take the TSC's standstill or jump for time that
 * has passed, overflow if it were long, and the clocksource watchdog would find
 * the TSC unstable. So the monotonic clock stands still while the domain is
 * suspended.
 */
int xpv_core_suspend(void)
{
	return syscore_suspend();
}

void xpv_core_resume(void)
{
	syscore_resume();
}

/* ---- Clocks ---- */

uint64_t xpv_suspend_clock(void)
{
	return mul_u64_u32_div(rdtsc_ordered(), 1000000, tsc_khz ? tsc_khz : 1000000);
}

int64_t xpv_realtime(void)
{
	return ktime_get_real_ns();
}

int xpv_realtime_set(int64_t nanoseconds)
{
	struct timespec64 time = ns_to_timespec64(nanoseconds);

	return do_settimeofday64(&time);
}

void xpv_suspend_give_up(const char *why, unsigned int cpu, int error)
{
	/*
	 * Call panic() through a pointer, so that the compiler does not
	 * conclude that this function never returns: objtool checks whole
	 * modules with one kernel and single objects with the other, and would
	 * expect the callers to know of it in one case only.
	 */
	__printf(1, 2) void (*volatile end)(const char *format, ...) = panic;

	end(KBUILD_MODNAME ": CPU %u: %s (%pe)", cpu, why, ERR_PTR(error));
}
