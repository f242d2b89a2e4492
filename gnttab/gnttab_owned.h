/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_gnttab, continued: what only a domain whose grant table xpv
 * owns can offer. Frontends do not include this file.
 */
#ifndef XPV_GNTTAB_OWNED_H
#define XPV_GNTTAB_OWNED_H

#include "gnttab/gnttab.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Mapping what other domains granted, at guest frames of the caller's choice ---- */

/*
 * A mapping: Xen's handle in the lower half, the number of restores before it
 * in the upper half. A restore ends all earlier mappings.
 */
struct xpv_grant_handle {
	uint64_t value;
};
#define XPV_NO_GRANT_HANDLE ((struct xpv_grant_handle){ ~0ULL })

/* One mapping. This is the only record of it: keep it until the mapping is unmapped. */
struct xpv_grant_map_op {
	/* Set by the caller. */
	struct xpv_domid domain;
	struct xpv_gref reference; /* the other domain's */
	enum xpv_grant_access access;
	struct xpv_gfn target; /* a guest frame without RAM: xpv_frames_claim() in hypervisor_owned.h */
	/* Results. */
	int status; /* 0 or a negative errno, of the last operation */
	struct xpv_grant_handle handle; /* XPV_NO_GRANT_HANDLE when not mapped */
};

/*
 * Map each grant at its target. Return how many could not be mapped; `status`
 * has the error, as for xpv_grant_map_window(). Sleeping context.
 */
XPV_MUST_CHECK unsigned int xpv_grant_map(struct xpv_grant_map_op *maps, unsigned int count);
/*
 * Unmap the grants; entries without a handle are skipped. Return how many Xen
 * would not unmap; they keep their handle, and their target frames must not be
 * reused. On return no CPU can reach the unmapped frames through Xen's
 * translations; the caller must have removed windows on them before. Sleeping
 * context.
 */
XPV_MUST_CHECK unsigned int xpv_grant_unmap(struct xpv_grant_map_op *maps, unsigned int count);

/* ---- Statistics ---- */

struct xpv_grant_counts {
	unsigned int version; /* of the entries: 1 or 2 */
	unsigned int frames; /* table pages mapped */
	unsigned int frames_limit; /* Xen's maximum */
	unsigned int total; /* references in the mapped table, reserved ones left out */
	unsigned int free; /* on the free lists */
	unsigned int pooled; /* set aside in pools, issued or not */
	unsigned int parked; /* waiting for the other end to unmap */
	unsigned int lost; /* out of use for good */
	unsigned int waiters; /* waiting for free references */
	unsigned int foreign_mapped; /* other domains' pages that we have mapped */
	unsigned int foreign_stuck; /* those of them that Xen would not unmap */
};
/* Take a snapshot of the counts; it is exact only while nothing changes them. Any context. */
void xpv_grant_get_counts(struct xpv_grant_counts *counts);

#ifdef __cplusplus
}
#endif

#endif
