/* SPDX-License-Identifier: GPL-2.0-only */
/* What gnttab's C++ and C files have to say to each other. */
#ifndef XPV_GNTTAB_LINUX_H
#define XPV_GNTTAB_LINUX_H

#include "gnttab/gnttab.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- In C: gnttab_linux.c ---- */

/* Keep this module loaded, for a caller that depends on it already; and no longer. Any context. */
void xpv_gnttab_hold_module(void);
void xpv_gnttab_release_module(void);

/* get_page() and put_page() on the page behind a frame; a frame that is no page of Linux's is left alone. Any context. */
void xpv_gnttab_hold_frame(struct xpv_gfn frame);
void xpv_gnttab_release_frame(struct xpv_gfn frame);

/* Run function(context) on each CPU that is online, irqs off, and wait until all have. Sleeping context. */
struct xpv_gnttab_cpu_context;
void xpv_gnttab_on_each_cpu(void (*function)(struct xpv_gnttab_cpu_context *context),
			    struct xpv_gnttab_cpu_context *context);

/* Free references that are a CPU's own (table.hh), and where this CPU finds its; set before the first is taken. */
struct xpv_gnttab_magazine;
void xpv_gnttab_set_magazine(unsigned int cpu, struct xpv_gnttab_magazine *magazine);
#ifdef __cplusplus
extern struct xpv_gnttab_magazine *xpv_gnttab_magazine_of_cpu; /* per CPU: this_cpu_read() */
#endif

/* ---- In C++: gnttab.cc ---- */

struct xpv_gnttab_pool_line {
	char name[XPV_GRANT_POOL_NAME];
	unsigned int owned; /* references, issued or not */
	unsigned int issued;
};
/* What there is to say of pool number `index`; false when there is none. Any context. */
bool xpv_gnttab_describe_pool(unsigned int index, struct xpv_gnttab_pool_line *line);

/* Follow suspends, after load and until before unload. Sleeping context. */
void xpv_gnttab_suspend_start(void);
void xpv_gnttab_suspend_stop(void);
/* Module load and unload. Sleeping context. */
int xpv_gnttab_load(void);
void xpv_gnttab_unload(void);

#ifdef __cplusplus
}
#endif

#endif
