/* SPDX-License-Identifier: GPL-2.0-only */
/* Between this module's C++ and its Linux side; nobody else includes it. */
#ifndef XPV_SUSPEND_LINUX_H
#define XPV_SUSPEND_LINUX_H

#include "hypervisor/suspend_part.h"
#include "lib/types.h"
#include "suspend/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Called by the C++ code ---- */

/* The module's parameters. A suspend goes by what they are when it starts. */
struct xpv_suspend_choice {
	bool down; /* the other vCPUs are put down, and rebuilt; otherwise they spin, and Xen saves them */
	unsigned int stop_ms; /* how long a CPU may take to reach the barrier */
	unsigned int return_ms; /* ... and to come back from it after the hypercall */
};
extern struct xpv_suspend_choice xpv_suspend_options;

/*
 * What each CPU's processor held (processor_linux.c). prepare() makes room for
 * it, sleeping context, -ENOMEM; release() gives it back.
 */
int xpv_processors_prepare(void);
void xpv_processors_release(void);
/* The CPU's context; what xpv_processor_save() leaves open, xpv_context_save() fills in. Any context. */
struct xpv_context *xpv_processor_context(unsigned int cpu);
/* The state of this CPU, which is `cpu`; and its tasks' FPU registers go to memory. Irqs off. */
void xpv_processor_save(unsigned int cpu);
/* All that xpv_context_enter() has not loaded. On that CPU, irqs off, before anything else. */
void xpv_processor_restore(unsigned int cpu);
/*
 * This CPU goes on after a stop, whichever way: its timer is looked at anew,
 * its watchdogs see that it lives, and after a restore its memory types are
 * made what they were. Irqs off.
 */
void xpv_processor_go_on(unsigned int cpu, bool restored);

/*
 * Whether every online CPU runs what it is asked to, within stop_ms. -EBUSY
 * and one that does not, otherwise. Sleeping context.
 */
int xpv_cpus_respond(unsigned int milliseconds, unsigned int *silent_cpu);
/* Where that CPU is, into the log, if it can be found out. Not on that CPU; irqs may be off. */
void xpv_cpu_report(unsigned int cpu);

/* Wait for a CPU that comes or goes, and let none do so until enable(). Sleeping context. */
void xpv_cpu_hotplug_disable(void);
void xpv_cpu_hotplug_enable(void);

/* function(cpu) on all online CPUs at once, irqs off everywhere, nothing else running. Sleeping context. */
int xpv_stop_machine(void (*function)(unsigned int cpu));
/* Stable inside xpv_stop_machine(). */
bool xpv_cpu_is_online(unsigned int cpu);
/* Linux's core: timekeeping, this CPU's interrupt controllers ... On CPU 0, all others stopped, irqs off. */
int xpv_core_suspend(void);
void xpv_core_resume(void);

#ifdef CONFIG_XPV_FAKE_HYPERVISOR
/* The hypervisor of the tests stops a vCPU, or loses it, when its CPU calls this. Any context. */
void xpv_fake_vcpu_runs(struct xpv_vcpu vcpu);
#endif

/* Nanoseconds by this CPU's TSC: for spans, in any context; it stands still or jumps while the domain is saved. */
uint64_t xpv_suspend_clock(void);
/* Nothing can save this guest. Does not return. */
void xpv_suspend_give_up(const char *why, unsigned int cpu, int error);

/* CLOCK_REALTIME in nanoseconds; any context. Setting: sleeping context. */
int64_t xpv_realtime(void);
int xpv_realtime_set(int64_t nanoseconds);

enum xpv_suspend_event {
	XPV_SUSPEND_PREPARE,
	XPV_SUSPEND_RESTORED,
	XPV_SUSPEND_CANCELLED,
	XPV_SUSPEND_FAILED,
};
/* Tell user space. Sleeping context. */
void xpv_suspend_tell(enum xpv_suspend_event event);

/* ---- Called by suspend_linux.c ---- */

/*
 * In xpv_cpu_report()'s service, for as long as the module is loaded: to take
 * the handler away is to wait for all CPUs. Sleeping context.
 */
void xpv_cpu_reports_start(void);
void xpv_cpu_reports_stop(void);

/* The steps of one suspend, in their order in time. */
enum xpv_suspend_step {
	XPV_STEP_STARTED,
	XPV_STEP_PREPARED, /* all parts */
	XPV_STEP_STOPPED, /* all CPUs are at the barrier */
	XPV_STEP_ENTERING, /* the hypercall */
	XPV_STEP_RETURNED, /* from it */
	XPV_STEP_EARLY_DONE, /* resume_early() of all parts */
	XPV_STEP_CPUS_BACK, /* all other CPUs */
	XPV_STEP_LATE, /* irqs are on everywhere; resume_late() begins */
	XPV_STEP_DONE,
	XPV_STEPS,
};
struct xpv_suspend_statistics {
	uint64_t restored, cancelled, failed;
	uint64_t retries; /* hypercalls that brought a vCPU back only when repeated */
	uint64_t cpus_rebuilt; /* of the last suspend, as all that follows */
	int64_t wall_clock_step; /* ns */
	uint64_t step[XPV_STEPS]; /* xpv_suspend_clock(); 0: it did not come to that */
};
/* A copy, not synchronised with a suspend under way. Any context. */
void xpv_suspend_get_statistics(struct xpv_suspend_statistics *copy);
/* When that CPU was back from the last suspend, xpv_suspend_clock(); 0: it was not in it. Any context. */
uint64_t xpv_suspend_cpu_back(unsigned int cpu);

/* Before the first suspend, and after the last. Sleeping context. */
int xpv_suspend_start(void);
void xpv_suspend_stop(void);

/* ---- The toolstack's requests: control.cc and control_linux.c ---- */

/* C++: do what toolstacks ask for, from now on, and say that we do. Sleeping context. */
int xpv_control_start(void);
void xpv_control_stop(void);
/* C++: Linux itself goes down or restarts: nothing can be asked of it any more. Any context. */
void xpv_control_going_down(void);
/* C: what goes with them. Sleeping context. */
int xpv_control_linux_start(void);
void xpv_control_linux_stop(void);

/* Ask user space to power off, or to reboot. Any context; may be said again. */
void xpv_linux_power_off(void);
void xpv_linux_reboot(void);
/*
 * The same without user space, after an attempt to write out what is in the
 * page cache, which has a bound. Returns only if the machine would not.
 * Sleeping context.
 */
void xpv_linux_force_power_off(void);
void xpv_linux_force_reboot(void);
/* How long user space has for either, in seconds; 0: for ever. Any context. */
unsigned int xpv_linux_shutdown_timeout(void);
/* What the key does, where Linux has that and its administrator permits it. Sleeping context. */
void xpv_linux_sysrq(unsigned char key);

#ifdef __cplusplus
}
#endif

#endif
