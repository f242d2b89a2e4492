/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_gnttab: letting other domains use our pages, and using
 * theirs (grant_table.h; entries of version 1, of version 2 only where Xen
 * refuses that). gnttab_owned.h has what only a domain whose grant table is
 * xpv's own can offer.
 *
 * Pages of this domain are named by Linux's frame number (struct xpv_pfn);
 * this module translates it to Xen's.
 *
 * Revocation succeeds or says -EBUSY: there is no "is it still in use?" to
 * ask first. A page whose reference cannot be revoked is parked together with
 * it: neither is used again before the other end has let go. While something
 * is parked this module cannot be unloaded.
 * Errors are negative errno values.
 */
#ifndef XPV_GNTTAB_H
#define XPV_GNTTAB_H

#include "lib/shim.h"
#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum xpv_grant_access {
	XPV_GRANT_READ_WRITE,
	XPV_GRANT_READ_ONLY,
};

/* ---- Single grants, from per-CPU free lists ---- */

/*
 * Let `remote` map or copy the frame. With XPV_MAY_SLEEP the table grows until
 * a reference is free, and -ENOSPC means that it is at its maximum (logged);
 * during a suspend the call waits for its end. With XPV_ATOMIC -ENOSPC means
 * that no reference is free now (more are made in the background). -ERANGE
 * for a frame number that the entries cannot express (from 2^32 on in
 * version 1). Context: as `how` says, never NMI.
 */
XPV_MUST_CHECK int xpv_grant_page(struct xpv_domid remote, struct xpv_pfn frame, enum xpv_grant_access access,
				  enum xpv_allocation how, struct xpv_gref *reference);
/*
 * The same for `count` frames, all or nothing; references[i] is frames[i]'s.
 * With XPV_ATOMIC irqs are off meanwhile, a few nanoseconds for each.
 */
XPV_MUST_CHECK int xpv_grant_pages(struct xpv_domid remote, enum xpv_grant_access access, enum xpv_allocation how,
				   const struct xpv_pfn *frames, unsigned int count, struct xpv_gref *references);
/*
 * Take the right away. 0: the reference is free again, and the other end no
 * longer has access. -EBUSY: it still maps the frame, and the reference is
 * still the caller's to revoke. -EINVAL: nothing is granted with this
 * reference. Calls for one reference are the caller's to serialise. Any
 * context but NMI.
 */
XPV_MUST_CHECK int xpv_grant_try_revoke(struct xpv_gref reference);
/*
 * Revoke `count` references. Returns how many the other end still maps; they
 * are moved to the front of `references`, and are still the caller's. Any
 * context but NMI.
 */
XPV_MUST_CHECK unsigned int xpv_grant_revoke_pages(struct xpv_gref *references, unsigned int count);
/*
 * Take the right away and free the pages (xpv_pages_alloc(), 2^order) that
 * were granted with it; whatever the other end still maps is parked first.
 * `count` references, one for each page, in order: the pages are one
 * allocation and are freed together. Never fails. Atomic context (on
 * PREEMPT_RT: not in hard irqs, nor under raw locks, as for all that frees).
 */
void xpv_grant_revoke_and_free(const struct xpv_gref *references, unsigned int count, void *pages, unsigned int order);

/* ---- Waiting for references ---- */

/*
 * For netfront, whose rings want references while the table may be full; no
 * user yet. Embedded by the caller; zeroed is ready. One call for each
 * xpv_grant_wait(), in a work item, when that many references were free for
 * xpv_grant_page() and xpv_grant_pages(). References are not reserved for the
 * waiter: if others took them first, it waits again. The function may do that,
 * or free the waiter, and may sleep.
 */
struct xpv_grant_waiter {
	void (*function)(struct xpv_grant_waiter *waiter); /* the caller's to set */
	/* Private. */
	struct xpv_grant_waiter *next;
	unsigned int wanted;
	bool waiting;
};

/*
 * -ENOSPC: more than the table can ever hold. -EBUSY: the waiter waits
 * already. While somebody waits, grants go through the table's shared list.
 * Any context but NMI.
 */
XPV_MUST_CHECK int xpv_grant_wait(struct xpv_grant_waiter *waiter, unsigned int references);
/*
 * After this the function does not run, and will not, whether or not it was
 * waiting. Sleeping context; not from a waiter's function, nor with a lock
 * held that such a function takes.
 */
void xpv_grant_wait_cancel(struct xpv_grant_waiter *waiter);

/* ---- Pools: references of one's own for a data path ---- */

/*
 * `capacity` references set aside, so that issuing can neither fail nor
 * contend. Not locked: the owner serialises the calls on one pool.
 */
struct xpv_grant_pool;

#define XPV_GRANT_POOL_NAME 24

/*
 * `name` says in debugfs whose it is; what is longer than
 * XPV_GRANT_POOL_NAME - 1 characters is cut. Sleeping context. -ENOSPC, -ENOMEM.
 */
XPV_MUST_CHECK int xpv_grant_pool_create(const char *name, unsigned int capacity, struct xpv_grant_pool **pool);
/* Every reference must have been revoked or parked; others are lost. NULL is fine. Sleeping context. */
void xpv_grant_pool_destroy(struct xpv_grant_pool *pool);
/* How many references can be issued now. */
XPV_MUST_CHECK unsigned int xpv_grant_pool_available(const struct xpv_grant_pool *pool);

/*
 * Grant `count` frames in one go. With nothing granted: -ENOSPC when the pool
 * has fewer references, -ERANGE as xpv_grant_page(). Atomic context.
 */
XPV_MUST_CHECK int xpv_grant_pool_issue(struct xpv_grant_pool *pool, struct xpv_domid remote, enum xpv_grant_access access,
					const struct xpv_pfn *frames, unsigned int count, struct xpv_gref *references);
/*
 * Revoke `count` references; those that could be revoked are back in the
 * pool. Returns how many the other end still maps; they are moved to the
 * front of `references` and are no longer the pool's, which is smaller from
 * now on: the caller must park them. Atomic context.
 */
XPV_MUST_CHECK unsigned int xpv_grant_pool_revoke(struct xpv_grant_pool *pool, struct xpv_gref *references,
						  unsigned int count);

/*
 * Park references (from a pool or single) that the other end still maps.
 * They are retried with growing intervals, then belong to the table. Until
 * then this module holds a reference on the page behind each (get_page()), so
 * that nobody gets that memory however soon the caller lets go of it: the
 * frames must be ordinary pages, of no slab. Without memory to keep account of
 * them, references and pages are left out of use for good, which is counted
 * and logged. The caller has nothing more to do in either case. Atomic
 * context, as xpv_grant_revoke_and_free().
 */
void xpv_grant_park(const struct xpv_gref *references, unsigned int count);

/* ---- Mapping what other domains granted ---- */

/* Grants of one domain, side by side in kernel address space. */
struct xpv_grant_window;

/*
 * Map `count` grants and show them in a window, in order. All or nothing; the
 * error is the first that Xen gave: -ESRCH no such domain, -ENOENT no such
 * reference, -EACCES not allowed by Xen's policy, -EAGAIN the frame was paged
 * out and did not come back within about a second (for the whole call),
 * -ENOSPC no handle left (max_maptrack_frames), -EIO all else, among it what
 * is not granted to us. Or -ENOMEM, -ENOSPC for want of space; -EINVAL for a
 * count of 0. The memory is the other domain's: it may change at any moment.
 * Sleeping context.
 */
XPV_MUST_CHECK int xpv_grant_map_window(struct xpv_domid domain, const struct xpv_gref *references, unsigned int count,
					enum xpv_grant_access access, struct xpv_grant_window **window);
/* Where the first page is. Any context. */
XPV_MUST_CHECK void *xpv_grant_window_address(const struct xpv_grant_window *window);
/*
 * Take all of it away. What Xen would not unmap stays where it is, seen by
 * nobody; its space is left out of use and counted (foreign_stuck), and this
 * module can no longer be unloaded. NULL is fine. Sleeping context.
 */
void xpv_grant_unmap_window(struct xpv_grant_window *window);

/* ---- Copying from and to other domains ---- */

/* A piece of one frame: built by the functions below. */
struct xpv_grant_copy_end {
	struct xpv_domid domain;
	bool granted; /* `number` is a reference, else a frame of ours (struct xpv_pfn) */
	uint64_t number;
	uint16_t offset; /* bytes */
};

static inline struct xpv_grant_copy_end xpv_copy_local(struct xpv_pfn frame, uint16_t offset)
{
	struct xpv_grant_copy_end end = { XPV_DOMID_SELF, false, frame.value, offset };
	return end;
}

static inline struct xpv_grant_copy_end xpv_copy_granted(struct xpv_domid domain, struct xpv_gref reference, uint16_t offset)
{
	struct xpv_grant_copy_end end = { domain, true, reference.value, offset };
	return end;
}

struct xpv_grant_copy_op {
	struct xpv_grant_copy_end source, target;
	uint16_t length; /* bytes; neither end may leave its frame */
	int status; /* the outcome: 0 or a negative errno */
};

/*
 * Xen copies, with nothing mapped. Returns how many copies failed; `status` as
 * for xpv_grant_map_window(), and -EINVAL for a piece that leaves its frame. A copy
 * that failed may have been done in part. Sleeping context.
 */
XPV_MUST_CHECK unsigned int xpv_grant_copy(struct xpv_grant_copy_op *copies, unsigned int count);

/*
 * ---- A suspend that ends in another domain ----
 *
 * Nothing is granted there, in a table as large as this one was, and nothing
 * of other domains is mapped. References that were issued stay issued, until
 * they are revoked: that succeeds, as nobody has anything mapped. What was
 * parked is free at once. Mappings are gone: their windows show nothing, and
 * unmapping them succeeds. Whoever shared something shares it anew.
 *
 * Where a machine allows fewer frames, references past the new end are no
 * more: free ones are gone from the pools too, and issued ones go when they
 * are revoked. A line in the log says so.
 */

#ifdef __cplusplus
}
#endif

#endif
