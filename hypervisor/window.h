/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of windows: ranges of kernel virtual address space whose PTEs xpv
 * owns. Frames that are not Linux's (shared info, grant table frames, the
 * xenstore ring) are seen through them. A PTE changes only by atomic
 * compare-and-swap, and none can carry the user bit.
 */
#ifndef XPV_HYPERVISOR_WINDOW_H
#define XPV_HYPERVISOR_WINDOW_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct xpv_window;

enum xpv_window_access {
	XPV_WINDOW_READ_ONLY,
	XPV_WINDOW_READ_WRITE,
};

/* A range of `pages` pages, nothing mapped yet. NULL when there is no room. Sleeping context. */
struct xpv_window *xpv_window_create(unsigned int pages);
/* Gives the range back; whatever is still mapped is unmapped first. Sleeping context. NULL is fine. */
void xpv_window_destroy(struct xpv_window *window);
/* Where the range begins. Any context. */
void *xpv_window_address(const struct xpv_window *window);

/*
 * Show `frame` at page `index`, write-back cached, never executable; or make
 * the page inaccessible again. On return no CPU still uses what was there
 * before. -EBUSY when the page already shows a frame, -ERANGE for a bad
 * index, -EIO when somebody else interferes with our PTE. Sleeping context.
 */
int xpv_window_map(struct xpv_window *window, unsigned int index, struct xpv_pfn frame, enum xpv_window_access access);
int xpv_window_unmap(struct xpv_window *window, unsigned int index);

#ifdef __cplusplus
}
#endif

#endif
