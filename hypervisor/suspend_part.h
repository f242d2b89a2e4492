/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each part of xpv does when the domain is suspended, and when it goes
 * on: cancelled (in the same domain, nothing lost) or restored (in a new one:
 * no event channel, no grant frame, no watch is left). Parts register here;
 * xpv_suspend walks the registry and knows none of them.
 *
 * The order of one suspend, layers named from the top (devices) down:
 *
 *   prepare         sleeping, devices first
 *   -- all CPUs but Linux's CPU 0 wait at the barrier, irqs off everywhere;
 *      their vCPUs are down, if xpv_suspend's parameter "barrier" says so --
 *   suspend_early   CPU 0, devices first
 *   -- the hypercall --
 *   resume_early    CPU 0, hypervisor first
 *   -- only after a restore: the other CPUs are rebuilt --
 *   resume_cpu      that CPU, all of them at once, hypervisor first; not CPU 0,
 *                   whose share is resume_early's
 *   -- irqs on everywhere --
 *   resume_late     sleeping, hypervisor first
 *
 * A suspend that fails before the hypercall calls abandon() of each part
 * whose prepare() succeeded, after resume_early(XPV_RESUME_CANCELLED) of each
 * whose suspend_early() was called.
 *
 * resume_early() after a restore finds the other vCPUs down, and not
 * initialised. Xen initialises none whose vcpu_info is not known: for vCPUs
 * beyond those of the shared info page it is CPU 0 that registers it, here.
 */
#ifndef XPV_HYPERVISOR_SUSPEND_PART_H
#define XPV_HYPERVISOR_SUSPEND_PART_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * From the bottom up. Parts of one layer go up in the order in which they
 * registered, and down in the opposite one.
 *
 * CONSOLE is for xencons, which has no user yet: the console must print
 * until after xenstore and the devices have stopped, and again before they
 * start, and needs event channels and grants below it.
 */
enum xpv_suspend_layer {
	XPV_SUSPEND_HYPERVISOR,
	XPV_SUSPEND_EVTCHN,
	XPV_SUSPEND_GNTTAB,
	XPV_SUSPEND_CONSOLE,
	XPV_SUSPEND_XENBUS,
	XPV_SUSPEND_DEVICES,
};

enum xpv_resume_kind {
	XPV_RESUME_CANCELLED,
	XPV_RESUME_RESTORED,
};

/*
 * Static, one for each part. Any function may be NULL. "Early" functions and
 * resume_cpu() run with irqs off while no other CPU runs anything but
 * resume_cpu(): they take no lock that a stopped CPU may hold, allocate
 * nothing, and do not sleep.
 */
struct xpv_suspend_part {
	const char *name;
	enum xpv_suspend_layer layer;
	/*
	 * Stop what must not be in flight, until `deadline_ms` of xpv_now_ms().
	 * An error refuses the suspend: -ETIMEDOUT if the deadline has passed.
	 */
	int (*prepare)(uint64_t deadline_ms);
	/* Undo prepare(); no suspend took place. */
	void (*abandon)(void);
	void (*suspend_early)(void);
	/* An error is logged, with the part's name, and the resume goes on. */
	int (*resume_early)(enum xpv_resume_kind kind);
	int (*resume_cpu)(unsigned int cpu);
	void (*resume_late)(enum xpv_resume_kind kind);

	/* The registry's. */
	struct xpv_suspend_part *next;
	bool prepared;
};

/*
 * Sleeping context; waits for a suspend that is under way. Not from a part's
 * functions. The part is the module's C++ object, declared in its linux.h;
 * the module's C file registers it.
 */
void xpv_suspend_part_register(struct xpv_suspend_part *part);
void xpv_suspend_part_unregister(struct xpv_suspend_part *part);

/*
 * How often the domain was restored since the hypervisor module was loaded;
 * wraps. It changes before the first resume_early() of a restore, while no
 * other CPU runs: what was obtained from Xen or the toolstack under another
 * count is of an earlier domain. Any context.
 */
uint32_t xpv_restore_count(void);

/*
 * For xpv_suspend, which calls one step after the other. lock() keeps parts
 * from coming and going until unlock(); sleeping context. prepare() leaves
 * nothing prepared when it fails, and then `refused_by` is the part's name;
 * it asks no further part once `deadline_ms` (xpv_now_ms()) has passed.
 */
void xpv_suspend_parts_lock(void);
void xpv_suspend_parts_unlock(void);
int xpv_suspend_parts_prepare(uint64_t deadline_ms, const char **refused_by);
void xpv_suspend_parts_abandon(void);
void xpv_suspend_parts_suspend_early(void);
void xpv_suspend_parts_resume_early(enum xpv_resume_kind kind);
void xpv_suspend_parts_resume_cpu(unsigned int cpu);
void xpv_suspend_parts_resume_late(enum xpv_resume_kind kind);

#ifdef __cplusplus
}
#endif

#endif
