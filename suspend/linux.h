/* SPDX-License-Identifier: GPL-2.0-only */
/* Interface between this module's C++ and its Linux side; private to this module. */
#ifndef XPV_SUSPEND_LINUX_H
#define XPV_SUSPEND_LINUX_H

#include "hypervisor/suspend_part.h"
#include "lib/types.h"
#include "suspend/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- C++ calls C ---- */

/* The module's parameters. A suspend uses their values at its start. */
struct xpv_suspend_choice {
	bool down; /* take the other vCPUs down and rebuild them; otherwise they spin, and Xen saves them */
	unsigned int stop_ms; /* how long a CPU may take to reach the barrier */
	unsigned int return_ms; /* ... and to come back from it after the hypercall */
};
extern struct xpv_suspend_choice xpv_suspend_options;

/* Allocate memory for the processor state of each CPU (processor_linux.c). Sleeping context, -ENOMEM. */
int xpv_processors_prepare(void);
/* Free that memory. Sleeping context. */
void xpv_processors_release(void);
/* Return the CPU's context; xpv_context_save() fills in what xpv_processor_save() does not. Any context. */
struct xpv_context *xpv_processor_context(unsigned int cpu);
/* Save the state of this CPU, which is `cpu`; the FPU registers of its tasks are saved to memory. Irqs off. */
void xpv_processor_save(unsigned int cpu);
/* Restore all state that xpv_context_enter() has not loaded. On that CPU, irqs off, before anything else. */
void xpv_processor_restore(unsigned int cpu);
/*
 * Resume this CPU after a stop, whatever the outcome: run its timer handler,
 * touch its watchdogs, and after a restore correct its memory types. Irqs off.
 */
void xpv_processor_go_on(unsigned int cpu, bool restored);

/*
 * Check that every online CPU runs queued work within `milliseconds`. Otherwise
 * -EBUSY, and `silent_cpu` is one that does not. Sleeping context.
 */
int xpv_cpus_respond(unsigned int milliseconds, unsigned int *silent_cpu);
/* Log where that CPU is, if that can be found out. Not on that CPU; irqs may be off. */
void xpv_cpu_report(unsigned int cpu);

/* Wait for a CPU hotplug in progress, and block further ones until enable(). Sleeping context. */
void xpv_cpu_hotplug_disable(void);
/* Permit CPU hotplug again. Sleeping context. */
void xpv_cpu_hotplug_enable(void);

/* Call function(cpu) on all online CPUs at once, irqs off everywhere, nothing else running. Sleeping context. */
int xpv_stop_machine(void (*function)(unsigned int cpu));
/* Return whether the CPU is online; stable inside xpv_stop_machine(). */
bool xpv_cpu_is_online(unsigned int cpu);
/* Suspend Linux's core: timekeeping, this CPU's interrupt controllers ... On CPU 0, all others stopped, irqs off. */
int xpv_core_suspend(void);
/* Resume Linux's core. On CPU 0, all others stopped, irqs off. */
void xpv_core_resume(void);

#ifdef CONFIG_XPV_FAKE_HYPERVISOR
/* Let the tests' fake hypervisor stop the vCPU, or lose it, when its CPU calls this. Any context. */
void xpv_fake_vcpu_runs(struct xpv_vcpu vcpu);
#endif

/*
 * Return nanoseconds by this CPU's TSC, for intervals; it stands still or jumps
 * while the domain is saved. Any context.
 */
uint64_t xpv_suspend_clock(void);
/* Panic, because the guest cannot continue. Does not return. */
void xpv_suspend_give_up(const char *why, unsigned int cpu, int error);

/* Return CLOCK_REALTIME in nanoseconds. Any context. */
int64_t xpv_realtime(void);
/* Set CLOCK_REALTIME, in nanoseconds. Sleeping context. */
int xpv_realtime_set(int64_t nanoseconds);

enum xpv_suspend_event {
	XPV_SUSPEND_PREPARE,
	XPV_SUSPEND_RESTORED,
	XPV_SUSPEND_CANCELLED,
	XPV_SUSPEND_FAILED,
};
/* Notify user space. Sleeping context. */
void xpv_suspend_tell(enum xpv_suspend_event event);

/* Ask user space to power off. Any context; may be repeated. */
void xpv_linux_power_off(void);
/* Ask user space to reboot. Any context; may be repeated. */
void xpv_linux_reboot(void);
/*
 * Power off without user space, after an attempt, with a time limit, to write
 * out the page cache. Returns only if the machine did not power off. Sleeping
 * context.
 */
void xpv_linux_force_power_off(void);
/* Reboot likewise. Sleeping context. */
void xpv_linux_force_reboot(void);
/* Return how long user space may take to power off or reboot, in seconds; 0: no limit. Any context. */
unsigned int xpv_linux_shutdown_timeout(void);
/* Handle the SysRq key, where Linux has SysRq and its administrator permits it. Sleeping context. */
void xpv_linux_sysrq(unsigned char key);

/* ---- C calls C++ ---- */

/*
 * Register the NMI handler of xpv_cpu_report(). It stays registered while the
 * module is loaded, because unregistering it waits for all CPUs. Sleeping
 * context.
 */
void xpv_cpu_reports_start(void);
/* Unregister the NMI handler. Sleeping context. */
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
	uint64_t retries; /* hypercalls repeated to bring vCPUs back */
	uint64_t cpus_rebuilt; /* of the last suspend, like all that follows */
	int64_t wall_clock_step; /* ns */
	uint64_t step[XPV_STEPS]; /* xpv_suspend_clock(); 0: not reached */
};
/* Copy the statistics, not synchronised with a suspend in progress. Any context. */
void xpv_suspend_get_statistics(struct xpv_suspend_statistics *copy);
/*
 * Return when that CPU was back from the last suspend, by xpv_suspend_clock();
 * 0: not in that suspend. Any context.
 */
uint64_t xpv_suspend_cpu_back(unsigned int cpu);

/* Allocate the state, before the first suspend. Sleeping context. */
int xpv_suspend_start(void);
/* Free the state, after the last suspend. Sleeping context. */
void xpv_suspend_stop(void);

/* ---- C calls C++: the toolstack's requests ---- */

/* Start serving the toolstack's requests, and advertise that. Sleeping context. */
int xpv_control_start(void);
/* Stop serving them. Sleeping context. */
void xpv_control_stop(void);
/* Refuse all further requests, because Linux itself shuts down or restarts. Any context. */
void xpv_control_going_down(void);

/* ---- C calls C ---- */

/* Start serving requests, and register for Linux's own shutdown. Sleeping context. */
int xpv_control_linux_start(void);
/* Undo that. Sleeping context. */
void xpv_control_linux_stop(void);

#ifdef __cplusplus
}
#endif

#endif
