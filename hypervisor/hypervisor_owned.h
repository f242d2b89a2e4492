/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_hypervisor, continued: what a domain has whose Xen is xpv's
 * own. To be called only where xpv_hypervisor_ready() said
 * XPV_HYPERVISOR_OWNED. Frontends do not include this file.
 */
#ifndef XPV_HYPERVISOR_OWNED_H
#define XPV_HYPERVISOR_OWNED_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct shared_info; /* xen.h */
struct vcpu_info; /* xen.h */

/*
 * One hypercall by number (xen.h: __HYPERVISOR_*). C++ code uses the typed
 * functions of hypercall.hh instead. Any context; pointers in the arguments
 * are kernel virtual addresses. Returns what Xen returned.
 */
XPV_MUST_CHECK long xpv_hypercall(unsigned int number, unsigned long a1, unsigned long a2, unsigned long a3,
				  unsigned long a4);

/* The shared info page, mapped for as long as the module is loaded. Any context. */
XPV_MUST_CHECK struct shared_info *xpv_shared_info(void);

/*
 * Xen's number of the vCPU that Linux calls `cpu`, and that vCPU's info
 * (xen.h: struct vcpu_info). Valid for CPUs that are or have been online.
 * Any context.
 */
XPV_MUST_CHECK struct xpv_vcpu xpv_vcpu_of_cpu(unsigned int cpu);
XPV_MUST_CHECK struct vcpu_info *xpv_vcpu_info(unsigned int cpu);

/*
 * `count` guest frames that hold no RAM, in one run, for frames that Xen
 * adds to the physmap (XENMEM_add_to_physmap). The caller takes its frames
 * out again before it releases them. Sleeping context. -ENOSPC.
 */
XPV_MUST_CHECK int xpv_frames_claim(unsigned int count, struct xpv_gfn *first);
void xpv_frames_release(struct xpv_gfn first, unsigned int count);

/*
 * Memory that Xen, once told of it, uses until the domain ends: no hypercall
 * takes it back. It stays allocated when xpv is unloaded, and the next load
 * in the same boot finds it again as it was left: *found is then true. One
 * allocation for each purpose. NULL when there is no memory. Sleeping
 * context; callers serialise those of one purpose.
 */
enum xpv_lent_purpose {
	XPV_LENT_VCPU_INFO, /* VCPUOP_register_vcpu_info */
	XPV_LENT_EVENT_CHANNELS, /* EVTCHNOP_init_control, EVTCHNOP_expand_array */
};
XPV_MUST_CHECK void *xpv_lend_pages(enum xpv_lent_purpose purpose, unsigned int order, bool *found);
/* True when an earlier load lent pages for this purpose. Any context. */
XPV_MUST_CHECK bool xpv_has_lent(enum xpv_lent_purpose purpose);
/*
 * Allocate one more zeroed page to lend. Record its frame in the pages lent
 * first, so that the next load finds it. NULL when there is no memory.
 * Sleeping context.
 */
XPV_MUST_CHECK void *xpv_lend_page(void);
/* The page that an earlier load recorded; NULL if the frame is not one of ours. Any context. */
XPV_MUST_CHECK void *xpv_lent_page(struct xpv_gfn frame);
/* Free a page of xpv_lend_page() that Xen refused. Sleeping context. */
void xpv_lent_take_back(void *page);

/*
 * What was done and cannot be undone in this domain, for the next load to
 * know. Any context.
 */
enum xpv_remembered {
	XPV_REMEMBER_UPCALL_VECTORS, /* HVMOP_set_evtchn_upcall_vector */
};
void xpv_remember(enum xpv_remembered what);
XPV_MUST_CHECK bool xpv_has_remembered(enum xpv_remembered what);

/*
 * Irq of the platform PCI device, and the value of HVM_PARAM_CALLBACK_IRQ
 * that makes Xen raise it (hvm/params.h); -ENODEV where there is no such
 * device. Any context.
 */
XPV_MUST_CHECK int xpv_platform_interrupt(unsigned int *irq, uint64_t *callback_via);

#ifdef __cplusplus
}
#endif

#endif
