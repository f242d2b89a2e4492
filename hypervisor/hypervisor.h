/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_hypervisor: whether this is a Xen guest, and whether xpv or the
 * kernel's own Xen support owns Xen's interfaces. hypervisor_owned.h has what is
 * available when xpv owns them: hypercalls, the shared info page, and
 * guest-physical space for frames that Xen adds to the physmap.
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
	XPV_HYPERVISOR_OWNED, /* xpv owns the shared info page, the upcall, the grant table and the xenstore ring */
	XPV_HYPERVISOR_HOSTED, /* the kernel's own Xen support owns them */
};

/*
 * Return who owns Xen's interfaces. The reason for anything but
 * XPV_HYPERVISOR_OWNED was logged when this module was loaded. A module that
 * needs the owned mode fails to load with -ENODEV in the other two. Any context.
 * The value does not change while the caller holds the module.
 */
XPV_MUST_CHECK enum xpv_hypervisor_owner xpv_hypervisor_ready(void);

/* Return Xen's version, (major << 16) | minor; 0 for XPV_HYPERVISOR_NONE. Any context. */
XPV_MUST_CHECK unsigned int xpv_hypervisor_version(void);

/*
 * Get this domain's id as other domains know it; it is valid until the next
 * migration. -ENOENT, or Xen's error, when it cannot be determined. Any context.
 */
XPV_MUST_CHECK int xpv_own_domid(struct xpv_domid *domid);

#ifdef __cplusplus
}
#endif

#endif
