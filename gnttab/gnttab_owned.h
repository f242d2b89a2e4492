/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_gnttab, continued: what only a domain whose grant table is
 * xpv's own can offer. Frontends do not include this file.
 */
#ifndef XPV_GNTTAB_OWNED_H
#define XPV_GNTTAB_OWNED_H

#include "gnttab/gnttab.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Mapping what other domains granted, at guest frames of the caller's choice ---- */

/*
 * Xen's name of a mapping, in the lower half; in the upper, the number of
 * restores before it: a restored domain has none of its mappings any more.
 */
struct xpv_grant_handle {
	uint64_t value;
};
#define XPV_NO_GRANT_HANDLE ((struct xpv_grant_handle){ ~0ULL })

/* One mapping. Until it is unmapped this is the only record of it: it must not be lost. */
struct xpv_grant_map_op {
	/* Given by the caller. */
	struct xpv_domid domain;
	struct xpv_gref reference; /* the other domain's */
	enum xpv_grant_access access;
	struct xpv_gfn target; /* a guest frame without RAM: xpv_frames_claim() in hypervisor_owned.h */
	/* The outcome. */
	int status; /* 0 or a negative errno, of the last operation */
	struct xpv_grant_handle handle; /* XPV_NO_GRANT_HANDLE when not mapped */
};

/*
 * Make each other domain's frame appear at its target. Returns how many could
 * not be mapped; `status` says why, as the errors of xpv_grant_map_window().
 * Sleeping context.
 */
XPV_MUST_CHECK unsigned int xpv_grant_map(struct xpv_grant_map_op *maps, unsigned int count);
/*
 * Undo it; maps without a handle are passed over. Returns how many Xen would
 * not unmap; they keep their handle, and their target frames must not be used
 * again. On return no CPU can reach the frames that were unmapped through
 * Xen's translations; windows on them the caller takes away before. Sleeping
 * context.
 */
XPV_MUST_CHECK unsigned int xpv_grant_unmap(struct xpv_grant_map_op *maps, unsigned int count);

/* ---- Seeing ---- */

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
/* A snapshot, exact when nothing is going on. Any context. */
void xpv_grant_get_counts(struct xpv_grant_counts *counts);

#ifdef __cplusplus
}
#endif

#endif
