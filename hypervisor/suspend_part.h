/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each part of xpv does when the domain is suspended and resumed. The
 * suspend is either cancelled (same domain, nothing is lost) or the domain is
 * restored (a new domain: all event channels, grant frames and watches are
 * lost). Parts register here; xpv_suspend walks the registry and
 * depends on no part.
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
 *   resume_cpu      on each of those CPUs in parallel, hypervisor first; not on
 *                   CPU 0, which has resume_early
 *   -- irqs on everywhere --
 *   resume_late     sleeping, hypervisor first
 *
 * A suspend that fails before the hypercall calls abandon() of each part
 * whose prepare() succeeded, after resume_early(XPV_RESUME_CANCELLED) of each
 * whose suspend_early() was called.
 *
 * At resume_early() after a restore the other vCPUs are down and not
 * initialised. Xen initialises a vCPU only when its vcpu_info is known, so
 * CPU 0 registers it there for the vCPUs that the shared info page has no
 * room for.
 */
#ifndef XPV_HYPERVISOR_SUSPEND_PART_H
#define XPV_HYPERVISOR_SUSPEND_PART_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The layers from the bottom up. Within one layer, upward steps run in the
 * order in which the parts registered, and downward steps in the reverse order.
 *
 * CONSOLE is for xencons and has no user yet. The console must print until
 * after xenstore and the devices have stopped, and again before they start. It
 * needs event channels and grants below it.
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
 * resume_cpu(): they must not take a lock that a stopped CPU may hold, allocate
 * memory, or sleep.
 */
struct xpv_suspend_part {
	const char *name;
	enum xpv_suspend_layer layer;
	/*
	 * Quiesce: stop what must not be in flight, until `deadline_ms` of
	 * xpv_now_ms(). An error refuses the suspend; -ETIMEDOUT when the deadline has
	 * passed.
	 */
	int (*prepare)(uint64_t deadline_ms);
	/* Undo prepare(); no suspend took place. */
	void (*abandon)(void);
	void (*suspend_early)(void);
	/* An error is logged, with the part's name, and the resume continues. */
	int (*resume_early)(enum xpv_resume_kind kind);
	int (*resume_cpu)(unsigned int cpu);
	void (*resume_late)(enum xpv_resume_kind kind);

	/* Used by the registry only. */
	struct xpv_suspend_part *next;
	bool prepared;
};

/*
 * Register a part. The part is the module's C++ object, declared in its linux.h;
 * the module's C file registers it. Waits for a suspend in progress. Sleeping
 * context; not from a part's functions.
 */
void xpv_suspend_part_register(struct xpv_suspend_part *part);
/* Unregister a part. Contexts as of xpv_suspend_part_register(). */
void xpv_suspend_part_unregister(struct xpv_suspend_part *part);

/*
 * Return how often the domain was restored since the hypervisor module was
 * loaded; wraps. The count changes before the first resume_early() of a restore,
 * while no other CPU runs: what was obtained from Xen or the toolstack under
 * another count belongs to an earlier domain. Any context.
 */
uint32_t xpv_restore_count(void);

/* ---- For xpv_suspend, which calls one step after the other ---- */

/* Keep parts from registering and unregistering until xpv_suspend_parts_unlock(). Sleeping context. */
void xpv_suspend_parts_lock(void);
void xpv_suspend_parts_unlock(void);
/*
 * Call prepare() of all parts. Once `deadline_ms` (of xpv_now_ms()) has passed,
 * call no further part and fail with -ETIMEDOUT. After an error no part stays
 * prepared, and `*refused_by` is the name of the part that failed.
 */
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
