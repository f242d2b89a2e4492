/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_hypervisor: whether this is a Xen guest that xpv owns, and
 * then hypercalls, the shared info page, and guest-physical space for frames
 * that Xen lends.
 *
 * All functions but xpv_hypervisor_ready() may be called only by users for
 * whom it returned 0. Errors are negative errno values.
 */
#ifndef XPV_HYPERVISOR_H
#define XPV_HYPERVISOR_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct shared_info; /* xen.h */
struct vcpu_info; /* xen.h */

/*
 * 0 when Xen is there and is ours to use, -ENODEV otherwise; the reason was
 * logged when this module was loaded. Any context; the answer never changes
 * while the caller holds the module.
 */
int xpv_hypervisor_ready(void);

/*
 * One hypercall by number (xen.h: __HYPERVISOR_*). C++ code uses the typed
 * functions of hypercall.hh instead. Any context; pointers in the arguments
 * are kernel virtual addresses. Returns what Xen returned.
 */
long xpv_hypercall(unsigned int number, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4);

/* Xen's version, (major << 16) | minor, and its full string, e.g. "4.17.7". Any context. */
unsigned int xpv_hypervisor_version(void);

/* This domain's number as others know it, until the next migration. -ENOENT where Xen does not say. Any context. */
int xpv_own_domid(struct xpv_domid *domid);

/* The shared info page, mapped for as long as the module is loaded. Any context. */
struct shared_info *xpv_shared_info(void);

/*
 * Xen's number of the vCPU that Linux calls `cpu`, and that vCPU's info
 * (xen.h: struct vcpu_info). Valid for CPUs that are or have been online.
 * Any context.
 */
struct xpv_vcpu xpv_vcpu_of_cpu(unsigned int cpu);
struct vcpu_info *xpv_vcpu_info(unsigned int cpu);

/*
 * `count` guest frames that hold no RAM, in one run, for frames that Xen
 * adds to the physmap (XENMEM_add_to_physmap). The caller takes its frames
 * out again before it releases them. Sleeping context. -ENOSPC.
 */
int xpv_frames_claim(unsigned int count, struct xpv_gfn *first);
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
void *xpv_lend_pages(enum xpv_lent_purpose purpose, unsigned int order, bool *found);
/* True when an earlier load lent pages for this purpose. Any context. */
bool xpv_has_lent(enum xpv_lent_purpose purpose);
/*
 * One more zeroed page, of which the caller keeps a note in what it lent
 * first; the page that such a note says; and back with one that Xen refused.
 */
void *xpv_lend_page(void);
void *xpv_lent_page(struct xpv_gfn frame);
void xpv_lent_take_back(void *page);

/*
 * What was done and cannot be undone in this domain, for the next load to
 * know. Any context.
 */
enum xpv_remembered {
	XPV_REMEMBER_UPCALL_VECTORS, /* HVMOP_set_evtchn_upcall_vector */
};
void xpv_remember(enum xpv_remembered what);
bool xpv_has_remembered(enum xpv_remembered what);

/*
 * Irq of the platform PCI device, and the value of HVM_PARAM_CALLBACK_IRQ
 * that makes Xen raise it (hvm/params.h); -ENODEV where there is no such
 * device. Any context.
 */
int xpv_platform_interrupt(unsigned int *irq, uint64_t *callback_via);

#ifdef __cplusplus
}
#endif

#endif
