/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_hypervisor: whether this is a Xen guest, and whose Xen is.
 * hypervisor_owned.h has what follows from Xen being xpv's own: hypercalls,
 * the shared info page, and guest-physical space for frames that Xen lends.
 *
 * Errors are negative errno values.
 */
#ifndef XPV_HYPERVISOR_H
#define XPV_HYPERVISOR_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum xpv_hypervisor_owner {
	XPV_HYPERVISOR_NONE, /* no Xen here, or this module failed to load */
	XPV_HYPERVISOR_OWNED, /* xpv has the shared info page, the upcall, the grant table and the store's ring */
	XPV_HYPERVISOR_HOSTED, /* Linux's own Xen support has them */
};

/*
 * Whose Xen is. The reason for anything but XPV_HYPERVISOR_OWNED was logged
 * when this module was loaded. A module that needs the owned mode fails to
 * load with -ENODEV in the other two. Any context; the answer never changes
 * while the caller holds the module.
 */
XPV_MUST_CHECK enum xpv_hypervisor_owner xpv_hypervisor_ready(void);

/* Xen's version, (major << 16) | minor; 0 for XPV_HYPERVISOR_NONE. Any context. */
XPV_MUST_CHECK unsigned int xpv_hypervisor_version(void);

/*
 * This domain's number as others know it, until the next migration. -ENOENT or
 * what Xen says where it cannot be found out. Any context.
 */
XPV_MUST_CHECK int xpv_own_domid(struct xpv_domid *domid);

#ifdef __cplusplus
}
#endif

#endif
