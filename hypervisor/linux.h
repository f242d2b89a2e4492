/* SPDX-License-Identifier: GPL-2.0-only */
/* Between this module's C++ and its Linux side; nobody else includes it. */
#ifndef XPV_HYPERVISOR_LINUX_H
#define XPV_HYPERVISOR_LINUX_H

#include "hypervisor/suspend_part.h"
#include "lib/debugfs.h"
#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Called by hypervisor_linux.c ---- */

/* Find Xen and choose how to call it. 0 or -ENODEV. */
int xpv_hypervisor_detect(void);
/* Prepare for parts that register (suspend_part.h). Before any of them, once. */
void xpv_suspend_parts_start(void);
/* Prepare for windows. Before any of them, once. */
void xpv_windows_start(void);
/* All windows and what they show, for debugfs. Sleeping context. */
void xpv_windows_show(struct xpv_debug_sink *sink);
/* Map the shared info page and prepare for the vCPUs; and undo it. Sleeping context. */
int xpv_hypervisor_start(void);
void xpv_hypervisor_stop(void);
/* What this module does in a suspend. */
extern struct xpv_suspend_part xpv_hypervisor_suspend_part;
/* Make Xen's number and info of the running vCPU known. On that CPU, in a thread bound to it. */
int xpv_hypervisor_vcpu_online(unsigned int cpu);

/* What Xen says of itself and of this domain, for /sys/hypervisor. */
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
/* A line of text, or bytes, in `text` of a page. Returns their number, or what Xen says. Sleeping context. */
int xpv_hypervisor_about(enum xpv_about what, char *text);
/* In C: /sys/hypervisor. Sleeping context; stop also when start failed. */
int xpv_sysfs_start(void);
void xpv_sysfs_stop(void);

/* ---- Called by the C++ code ---- */

/* Pages that stay allocated, and marked, when the module goes; see xpv_lend_pages(). */
void *xpv_loan_pages(unsigned int order);
/* The kernel address of pages that were loaned in this boot, NULL if these are none. */
void *xpv_loan_find(struct xpv_gfn frame, unsigned int order);
void xpv_loan_free(void *pages, unsigned int order);

/* The PTE (4 KiB level) of a kernel address in a window, NULL if there is none. */
uint64_t *xpv_pte_lookup(const void *address);
/* PTE bits that this machine and kernel allow. */
uint64_t xpv_pte_supported_mask(void);
/*
 * Kernel address space with page tables all present, every page a read-only,
 * not executable placeholder. False when there is none. Sleeping context.
 */
struct xpv_address_range {
	void *address;
	void *placeholder;
};
bool xpv_address_range_make(unsigned int pages, struct xpv_address_range *range);
void xpv_address_range_free(const struct xpv_address_range *range);
/* No CPU uses a stale translation of kernel memory after this. Sleeping context. */
void xpv_flush_tlb_everywhere(void);

#ifdef __cplusplus
}
#endif

#endif
