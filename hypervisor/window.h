/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of windows: ranges of kernel virtual address space whose PTEs xpv
 * owns. Frames that are not Linux's (shared info, grant table frames, the
 * xenstore ring, mapped grants) are seen through them. A PTE changes only by
 * atomic compare-and-swap, and none can carry the user bit.
 *
 * The functions may be called for one window from several CPUs at a time,
 * but not while or after it is destroyed.
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
 * A range of `pages` pages, nothing mapped yet. `name` says what it shows, to
 * people (debugfs); it must last as long as the window. NULL when there is no
 * room. Sleeping context.
 */
XPV_MUST_CHECK struct xpv_window *xpv_window_create(unsigned int pages, const char *name);
/* Gives the range back; whatever is still mapped is unmapped first. Sleeping context. NULL is fine. */
void xpv_window_destroy(struct xpv_window *window);
/* Where the range begins. Any context. */
XPV_MUST_CHECK void *xpv_window_address(const struct xpv_window *window);

/*
 * Show `frame` at page `index`, write-back cached, never executable. On
 * return no CPU uses what the page showed before. -EBUSY when the page shows
 * a frame already, -ERANGE for a bad index, -EINVAL for a frame that no PTE
 * can hold, -EIO when the PTE is not as we left it: somebody else interferes,
 * and it stays as it is. Sleeping context.
 */
XPV_MUST_CHECK int xpv_window_map(struct xpv_window *window, unsigned int index, struct xpv_pfn frame,
				  enum xpv_window_access access);

/*
 * Make a page, or `count` pages from `first` on, inaccessible again; those
 * that show nothing stay so. On return no CPU uses what was there before: one
 * flush, however many pages. -ERANGE, and nothing done, for bad indexes. -EIO
 * when somebody else interfered with a PTE, which stays as it is; the others
 * are unmapped. Sleeping context.
 */
XPV_MUST_CHECK int xpv_window_unmap(struct xpv_window *window, unsigned int index);
XPV_MUST_CHECK int xpv_window_unmap_run(struct xpv_window *window, unsigned int first, unsigned int count);

/* ---- For debugfs and tests ---- */

/* A page that shows a frame: what was asked for, and what its PTE says now. */
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
 * Call window() for each window there is, and after it page() for each of its
 * pages that shows a frame. No window changes meanwhile, so the visitor may
 * not call this file's other functions. Sleeping context.
 */
void xpv_windows_visit(const struct xpv_windows_visitor *visitor, struct xpv_windows_context *context);

#ifdef __cplusplus
}
#endif

#endif
