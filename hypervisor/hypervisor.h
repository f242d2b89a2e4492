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
 * Irq of the platform PCI device, and the value of HVM_PARAM_CALLBACK_IRQ
 * that makes Xen raise it (hvm/params.h); -ENODEV where there is no such
 * device. Any context.
 */
int xpv_platform_interrupt(unsigned int *irq, uint64_t *callback_via);

#ifdef __cplusplus
}
#endif

#endif
