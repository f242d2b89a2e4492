/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of windows: ranges of kernel virtual address space whose PTEs xpv
 * owns. They map frames that are not Linux's (shared info, grant table frames,
 * the xenstore ring, mapped grants). A PTE changes only by atomic
 * compare-and-swap, and never has the user bit.
 *
 * Several CPUs may call the functions for one window at a time, but not while or
 * after it is destroyed.
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

/*
 * Create a window of `pages` pages, with nothing mapped. `name` describes it in
 * debugfs and must live as long as the window. NULL when there is no room.
 * Sleeping context.
 */
XPV_MUST_CHECK struct xpv_window *xpv_window_create(unsigned int pages, const char *name);
/* Destroy a window; unmap first what is still mapped. NULL is allowed. Sleeping context. */
void xpv_window_destroy(struct xpv_window *window);
/* Return the start of the window's address range. Any context. */
XPV_MUST_CHECK void *xpv_window_address(const struct xpv_window *window);

/*
 * Map `frame` at page `index`, write-back cached, never executable. On return no
 * CPU uses the previous mapping of the page. -EBUSY when the page has a mapping,
 * -ERANGE for a bad index, -EINVAL for a frame that no PTE can hold, -EIO when
 * somebody else changed the PTE, which then stays as it is. Sleeping context.
 */
XPV_MUST_CHECK int xpv_window_map(struct xpv_window *window, unsigned int index, struct xpv_pfn frame,
				  enum xpv_window_access access);

/* Unmap a page. As xpv_window_unmap_run() with a count of 1. */
XPV_MUST_CHECK int xpv_window_unmap(struct xpv_window *window, unsigned int index);
/*
 * Unmap `count` pages from `first` on; skip pages that have no mapping. On return
 * no CPU uses the previous mappings: one TLB flush, however many pages. -ERANGE
 * for bad indexes, and nothing is done. -EIO when somebody else changed a PTE,
 * which then stays as it is; the others are unmapped. Sleeping context.
 */
XPV_MUST_CHECK int xpv_window_unmap_run(struct xpv_window *window, unsigned int first, unsigned int count);

/* ---- For debugfs and tests ---- */

/* A page with a mapping: the mapping that was asked for, and what its PTE contains now. */
struct xpv_window_page {
	const void *address;
	struct xpv_pfn asked_frame;
	enum xpv_window_access asked_access;
	struct xpv_pfn frame;
	bool present;
	bool writable;
	bool user;
	bool no_execute;
	bool accessed;
	bool dirty;
};

struct xpv_windows_context;
struct xpv_windows_visitor {
	void (*window)(struct xpv_windows_context *context, const char *name, const void *address, unsigned int pages);
	void (*page)(struct xpv_windows_context *context, const struct xpv_window_page *page);
};

/*
 * Call window() for each window, and after it page() for each of its mapped
 * pages. The windows are locked meanwhile, so the visitor must not call the other
 * functions of this file. Sleeping context.
 */
void xpv_windows_visit(const struct xpv_windows_visitor *visitor, struct xpv_windows_context *context);

#ifdef __cplusplus
}
#endif

#endif
