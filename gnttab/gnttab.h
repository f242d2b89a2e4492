/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_gnttab: letting other domains use our pages
 * (grant_table.h, version 1).
 *
 * Revocation is one compare-and-swap that succeeds or says -EBUSY: there is
 * no "is it still in use?" to ask first. A page whose reference cannot be
 * revoked is parked together with it: neither is used again before the other
 * end has let go. While something is parked this module cannot be unloaded.
 * Errors are negative errno values.
 */
#ifndef XPV_GNTTAB_H
#define XPV_GNTTAB_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum xpv_grant_access {
	XPV_GRANT_READ_WRITE,
	XPV_GRANT_READ_ONLY,
};

/* ---- Single grants, from per-CPU free lists. Any context but NMI. ---- */

/*
 * Let `remote` map or copy the frame. -ENOSPC when no reference is free now
 * (more are made in the background until the table is at its maximum);
 * -ERANGE for a frame number that version 1 cannot express.
 */
int xpv_grant_page(struct xpv_domid remote, struct xpv_gfn frame, enum xpv_grant_access access,
		   struct xpv_gref *reference);
/*
 * Take the right away. 0: the reference is free again, and the other end no
 * longer has access. -EBUSY: it still maps the frame, and nothing has changed.
 * -EINVAL: nothing is granted with this reference.
 */
int xpv_grant_try_revoke(struct xpv_gref reference);
/*
 * Take the right away and free the pages (xpv_pages_alloc(), 2^order) that
 * were granted with it; whatever the other end still maps is parked first.
 * `count` references, one for each page, in order: the pages are one
 * allocation and are freed together. Never fails. Any context but NMI.
 */
void xpv_grant_revoke_and_free(const struct xpv_gref *references, unsigned int count, void *pages,
			       unsigned int order);

/* ---- Pools: references of one's own for a data path ---- */

/*
 * `capacity` references set aside, so that issuing can neither fail nor
 * contend. Not locked: the owner serialises the calls on one pool.
 */
struct xpv_grant_pool;

/* Sleeping context. -ENOSPC, -ENOMEM. */
int xpv_grant_pool_create(unsigned int capacity, struct xpv_grant_pool **pool);
/* Every reference must have been revoked or parked; others are lost. NULL is fine. Sleeping context. */
void xpv_grant_pool_destroy(struct xpv_grant_pool *pool);
/* How many references can be issued now. */
unsigned int xpv_grant_pool_available(const struct xpv_grant_pool *pool);

/*
 * Grant `count` frames in one go. With nothing granted: -ENOSPC when the pool
 * has fewer references, -ERANGE as xpv_grant_page(). Atomic context.
 */
int xpv_grant_pool_issue(struct xpv_grant_pool *pool, struct xpv_domid remote, enum xpv_grant_access access,
			 const struct xpv_gfn *frames, unsigned int count, struct xpv_gref *references);
/*
 * Revoke `count` references; those that could be revoked are back in the
 * pool. Returns how many the other end still maps; they are moved to the
 * front of `references` and are no longer the pool's, which is smaller from
 * now on: the caller must park them. Atomic context.
 */
unsigned int xpv_grant_pool_revoke(struct xpv_grant_pool *pool, struct xpv_gref *references, unsigned int count);

/*
 * Park references (from a pool or single) that the other end still maps.
 * They are retried with growing intervals, then belong to the table. Until
 * then this module holds a reference on the page behind each (get_page()), so
 * that nobody gets that memory however soon the caller lets go of it: the
 * frames must be ordinary pages, of no slab. -ENOMEM: references and pages
 * are left out of use for good, which is counted; the caller has nothing more
 * to do. Any context but NMI.
 */
int xpv_grant_park(const struct xpv_gref *references, unsigned int count);

/* ---- Seeing ---- */

struct xpv_grant_counts {
	unsigned int frames; /* table pages mapped */
	unsigned int frames_limit; /* Xen's maximum */
	unsigned int total; /* references in the mapped table, reserved ones left out */
	unsigned int free; /* on the free lists */
	unsigned int pooled; /* set aside in pools, issued or not */
	unsigned int parked; /* waiting for the other end to unmap */
	unsigned int lost; /* out of use for good */
};
/* A snapshot, exact when nothing is going on. Any context. */
void xpv_grant_get_counts(struct xpv_grant_counts *counts);

#ifdef __cplusplus
}
#endif

#endif
