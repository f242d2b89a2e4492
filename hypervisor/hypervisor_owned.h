/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_hypervisor, continued: what is available when xpv owns Xen's
 * interfaces. Call these functions only when xpv_hypervisor_ready() returned
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
 * Make one hypercall by number (xen.h: __HYPERVISOR_*). C++ code uses the typed
 * functions of hypercall.hh instead. Pointers in the arguments are kernel virtual
 * addresses. Return Xen's return value. Any context.
 */
XPV_MUST_CHECK long xpv_hypercall(unsigned int number, unsigned long a1, unsigned long a2, unsigned long a3,
				  unsigned long a4);

/* Return the shared info page. It is mapped for as long as the module is loaded. Any context. */
XPV_MUST_CHECK struct shared_info *xpv_shared_info(void);

/*
 * Return Xen's number of the vCPU that is Linux's CPU `cpu`. The CPU must be
 * online or have been online. Any context.
 */
XPV_MUST_CHECK struct xpv_vcpu xpv_vcpu_of_cpu(unsigned int cpu);
/* Return the info of that vCPU (xen.h: struct vcpu_info). Otherwise as xpv_vcpu_of_cpu(). */
XPV_MUST_CHECK struct vcpu_info *xpv_vcpu_info(unsigned int cpu);

/*
 * Claim `count` consecutive guest frames that hold no RAM, for frames that Xen
 * adds to the physmap (XENMEM_add_to_physmap). -ENOSPC when there is no such
 * range, -ENOMEM. Sleeping context.
 */
XPV_MUST_CHECK int xpv_frames_claim(unsigned int count, struct xpv_gfn *first);
/* Release claimed frames. The caller must have removed its frames from the physmap before. Sleeping context. */
void xpv_frames_release(struct xpv_gfn first, unsigned int count);

/*
 * Purposes of lent memory. Xen uses lent memory from its registration until the
 * domain ends, because no hypercall takes it back. There is one allocation for
 * each purpose.
 */
enum xpv_lent_purpose {
	XPV_LENT_VCPU_INFO, /* VCPUOP_register_vcpu_info */
	XPV_LENT_EVENT_CHANNELS, /* EVTCHNOP_init_control, EVTCHNOP_expand_array */
};
/*
 * Allocate 2^order zeroed pages to lend. They stay allocated when xpv is
 * unloaded. The next load in the same boot gets the same pages with their
 * content; `*found` is then true. NULL when there is no memory. Sleeping context;
 * the caller serialises calls for one purpose.
 */
XPV_MUST_CHECK void *xpv_lend_pages(enum xpv_lent_purpose purpose, unsigned int order, bool *found);
/* Return whether an earlier load lent pages for this purpose. Any context. */
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

/* Actions that cannot be undone in this domain. They are recorded for the next load. */
enum xpv_irreversible {
	XPV_IRREVERSIBLE_UPCALL_VECTORS, /* HVMOP_set_evtchn_upcall_vector */
};
/* Record an action. Any context. */
void xpv_record_irreversible(enum xpv_irreversible what);
/* Return whether the action was recorded, by this load or an earlier one. Any context. */
XPV_MUST_CHECK bool xpv_is_recorded(enum xpv_irreversible what);

/*
 * Get the irq of the platform PCI device, and the value of HVM_PARAM_CALLBACK_IRQ
 * that makes Xen raise it (hvm/params.h). -ENODEV when there is no such device.
 * Any context.
 */
XPV_MUST_CHECK int xpv_platform_interrupt(unsigned int *irq, uint64_t *callback_via);

#ifdef __cplusplus
}
#endif

#endif
