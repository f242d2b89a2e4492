/* SPDX-License-Identifier: GPL-2.0-only */
/* Interface between this module's C++ and its Linux side; no other module includes it. */
#ifndef XPV_HYPERVISOR_LINUX_H
#define XPV_HYPERVISOR_LINUX_H

#include "hypervisor/suspend_part.h"
#include "lib/debugfs.h"
#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- C calls C++ ---- */

/* Detect Xen and choose the hypercall instruction. Return 0 or -ENODEV. */
int xpv_hypervisor_detect(void);
/* Initialize the registry of suspend parts (suspend_part.h). Call once, before any part registers. */
void xpv_suspend_parts_start(void);
/* Initialize the list of windows. Call once, before any window is created. */
void xpv_windows_start(void);
/* Print all windows and what they map, for debugfs. Sleeping context. */
void xpv_windows_show(struct xpv_debug_sink *sink);
/* Map the shared info page and allocate the per-vCPU tables. Return 0 or a negative errno. Sleeping context. */
int xpv_hypervisor_start(void);
/* Unplug the emulated devices that the module parameter names. Implemented in C. Sleeping context. */
void xpv_unplug_start(void);
/* Undo xpv_hypervisor_start(). Sleeping context. */
void xpv_hypervisor_stop(void);
/* This module's suspend part. */
extern struct xpv_suspend_part xpv_hypervisor_suspend_part;
/* Record Xen's number and info of the running vCPU. Must be called on that CPU, in a thread bound to it. */
int xpv_hypervisor_vcpu_online(unsigned int cpu);

/* Information from Xen about itself and this domain, for /sys/hypervisor. */
enum xpv_about {
	XPV_ABOUT_MAJOR,
	XPV_ABOUT_MINOR,
	XPV_ABOUT_EXTRA,
	XPV_ABOUT_UUID,
	XPV_ABOUT_COMPILER,
	XPV_ABOUT_COMPILED_BY,
	XPV_ABOUT_COMPILE_DATE,
	XPV_ABOUT_CAPABILITIES,
	XPV_ABOUT_CHANGESET,
	XPV_ABOUT_VIRTUAL_START,
	XPV_ABOUT_PAGESIZE,
	XPV_ABOUT_FEATURES,
	XPV_ABOUT_BUILDID, /* bytes */
};
/*
 * Write a line of text, or bytes, to `text`, which has one page. Return their
 * number or a negative errno. Sleeping context.
 */
int xpv_hypervisor_about(enum xpv_about what, char *text);
/* Create /sys/hypervisor. Implemented in C. Sleeping context. */
int xpv_sysfs_start(void);
/* Remove /sys/hypervisor; allowed also when xpv_sysfs_start() failed. Sleeping context. */
void xpv_sysfs_stop(void);

/* ---- C++ calls C ---- */

/* Unplug again in a restored domain, whose device model has all devices again. Sleeping context. */
void xpv_unplug_again(void);

/*
 * Allocate 2^order zeroed pages that stay allocated, and marked as lent, when the
 * module is unloaded; see xpv_lend_pages().
 */
void *xpv_lent_alloc(unsigned int order);
/* Return the kernel address of pages that were lent in this boot; NULL if these pages were not. */
void *xpv_lent_find(struct xpv_gfn frame, unsigned int order);
/* Free lent pages. */
void xpv_lent_free(void *pages, unsigned int order);

/* Return the PTE (4 KiB level) of a kernel address in a window; NULL when there is no such PTE. */
uint64_t *xpv_pte_lookup(const void *address);
/* Return the PTE bits that this machine and kernel allow. */
uint64_t xpv_pte_supported_mask(void);
/*
 * A range of kernel address space with all page tables present. Every page maps a
 * read-only, not executable placeholder.
 */
struct xpv_address_range {
	void *address;
	void *placeholder;
};
/* Allocate a range; return false when that fails. Sleeping context. */
bool xpv_address_range_make(unsigned int pages, struct xpv_address_range *range);
/* Free a range. Sleeping context. */
void xpv_address_range_free(const struct xpv_address_range *range);
/* Flush the TLBs of all CPUs: on return no CPU uses a stale translation of kernel memory. Sleeping context. */
void xpv_flush_tlb_everywhere(void);

#ifdef __cplusplus
}
#endif

#endif
