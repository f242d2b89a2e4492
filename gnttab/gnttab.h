/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_gnttab: grant other domains access to our pages, and map or
 * copy theirs (grant_table.h). The entries are of version 1, and of version 2
 * only where Xen refuses version 1. gnttab_owned.h has what only a domain whose
 * grant table xpv owns can offer.
 *
 * Pages of this domain are given by Linux's frame number (struct xpv_pfn); this
 * module translates it to Xen's.
 *
 * Revocation either succeeds or returns -EBUSY; there is no separate "is it
 * still in use?" query. A page whose reference cannot be revoked is parked
 * together with the reference: neither is reused before the other end has
 * unmapped the page. While something is parked this module cannot be unloaded.
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
 * Grant `remote` access to the frame, to map or copy it. With XPV_MAY_SLEEP the
 * table grows until a reference is free; -ENOSPC then means that the table is
 * at its maximum (logged). During a suspend the call waits for its end. With
 * XPV_ATOMIC -ENOSPC means that no reference is free now (more are added in the
 * background). -ERANGE for a frame number that the entries cannot express (from
 * 2^32 on in version 1). Context: as `how` says, never NMI.
 */
XPV_MUST_CHECK int xpv_grant_page(struct xpv_domid remote, struct xpv_pfn frame, enum xpv_grant_access access,
				  enum xpv_allocation how, struct xpv_gref *reference);
/*
 * Grant `count` frames, all or nothing; references[i] is for frames[i]. Errors
 * and context as xpv_grant_page(). With XPV_ATOMIC irqs are off while the
 * references are taken, a few nanoseconds for each.
 */
XPV_MUST_CHECK int xpv_grant_pages(struct xpv_domid remote, enum xpv_grant_access access, enum xpv_allocation how,
				   const struct xpv_pfn *frames, unsigned int count, struct xpv_gref *references);
/*
 * Revoke the grant. 0: the reference is free again, and the other end no longer
 * has access. -EBUSY: the other end still maps the frame, and the caller still
 * has to revoke the reference. -EINVAL: nothing is granted with this reference.
 * The caller must serialise calls for one reference. Any context but NMI.
 */
XPV_MUST_CHECK int xpv_grant_try_revoke(struct xpv_gref reference);
/*
 * Revoke `count` references. Returns how many the other end still maps; they
 * are moved to the front of `references`, and are still the caller's. Any
 * context but NMI.
 */
XPV_MUST_CHECK unsigned int xpv_grant_revoke_pages(struct xpv_gref *references, unsigned int count);
/*
 * Revoke the references, and free the pages (xpv_pages_alloc(), 2^order) that
 * were granted with them. If the other end still maps some, those references
 * and all the pages are parked, and freed later. `count` references, one for
 * each page, in order: the pages are one allocation and are freed together.
 * Never fails. Atomic context (on PREEMPT_RT: not in hard irqs, nor under raw
 * locks, as for all functions that free memory).
 */
void xpv_grant_revoke_and_free(const struct xpv_gref *references, unsigned int count, void *pages, unsigned int order);

/* ---- Waiting for references ---- */

/*
 * A waiter for free references: for netfront, whose rings need references while
 * the table may be full; no user yet. Embedded by the caller; all zeroes is a
 * valid initial state. For each xpv_grant_wait() the function is called once,
 * from a work item, when that many references are free for xpv_grant_page() and
 * xpv_grant_pages(). References are not reserved for the waiter: if others took
 * them first, it must wait again. The function may call xpv_grant_wait() again,
 * or free the waiter, and may sleep.
 */
struct xpv_grant_waiter {
	void (*function)(struct xpv_grant_waiter *waiter); /* set by the caller */
	/* Private. */
	struct xpv_grant_waiter *next;
	unsigned int wanted;
	bool waiting;
};

/*
 * Queue a waiter for `references` free references. -ENOSPC: more than the table
 * can ever hold. -EBUSY: the waiter is already queued. While there are waiters,
 * grants go through the table's shared list. Any context but NMI.
 */
XPV_MUST_CHECK int xpv_grant_wait(struct xpv_grant_waiter *waiter, unsigned int references);
/*
 * Cancel the wait, if any. On return the function is not running and will not
 * be called. Sleeping context; must not be called from a waiter's function, nor
 * with a lock held that such a function takes.
 */
void xpv_grant_wait_cancel(struct xpv_grant_waiter *waiter);

/* ---- Pools: references reserved for one data path ---- */

/*
 * A pool of `capacity` references, reserved so that issuing can neither fail
 * nor contend. Not locked: the owner serialises the calls on one pool.
 */
struct xpv_grant_pool;

#define XPV_GRANT_POOL_NAME 24

/*
 * Create a pool. `name` names the owner in debugfs; it is truncated to
 * XPV_GRANT_POOL_NAME - 1 characters. Sleeping context. -ENOSPC, -ENOMEM.
 */
XPV_MUST_CHECK int xpv_grant_pool_create(const char *name, unsigned int capacity, struct xpv_grant_pool **pool);
/*
 * Destroy the pool. Every reference must have been revoked or parked before;
 * others are leaked. NULL is fine. Sleeping context.
 */
void xpv_grant_pool_destroy(struct xpv_grant_pool *pool);
/* Return how many references can be issued now. */
XPV_MUST_CHECK unsigned int xpv_grant_pool_available(const struct xpv_grant_pool *pool);

/*
 * Grant `count` frames. On error nothing is granted: -ENOSPC if the pool has
 * fewer references, -ERANGE as xpv_grant_page(). Atomic context.
 */
XPV_MUST_CHECK int xpv_grant_pool_issue(struct xpv_grant_pool *pool, struct xpv_domid remote, enum xpv_grant_access access,
					const struct xpv_pfn *frames, unsigned int count, struct xpv_gref *references);
/*
 * Revoke `count` references; those that could be revoked are back in the pool.
 * Return how many the other end still maps; they are moved to the front of
 * `references` and no longer belong to the pool, which is smaller from now on:
 * the caller must park them. Atomic context.
 */
XPV_MUST_CHECK unsigned int xpv_grant_pool_revoke(struct xpv_grant_pool *pool, struct xpv_gref *references,
						  unsigned int count);

/*
 * Park references (from a pool or single) that the other end still maps. They
 * are retried with growing intervals, and given back to the table once revoked.
 * Until then this module holds a page reference (get_page()) on the page behind
 * each, so that the memory is not reused however soon the caller frees it: the
 * frames must be ordinary pages, not slab memory. Without memory to track them,
 * references and pages are leaked, which is counted and logged. In either case
 * the caller has nothing more to do. Atomic context, as
 * xpv_grant_revoke_and_free().
 */
void xpv_grant_park(const struct xpv_gref *references, unsigned int count);

/* ---- Mapping what other domains granted ---- */

/* Grants of one domain, mapped contiguously in kernel address space. */
struct xpv_grant_window;

/*
 * Map `count` grants into a new window, in order. All or nothing; the error is
 * the first that Xen returned: -ESRCH no such domain, -ENOENT no such
 * reference, -EACCES not allowed by Xen's policy, -EAGAIN the frame was paged
 * out and did not come back within about a second (for the whole call), -ENOSPC
 * no handle left (max_maptrack_frames), -EIO all else, including a frame that
 * is not granted to us. Also -ENOMEM or -ENOSPC when memory or address space is
 * short; -EINVAL for a count of 0. The memory is the other domain's: it may
 * change at any moment. Sleeping context.
 */
XPV_MUST_CHECK int xpv_grant_map_window(struct xpv_domid domain, const struct xpv_gref *references, unsigned int count,
					enum xpv_grant_access access, struct xpv_grant_window **window);
/* Return the address of the first page. Any context. */
XPV_MUST_CHECK void *xpv_grant_window_address(const struct xpv_grant_window *window);
/*
 * Unmap and free the window. Pages that Xen would not unmap stay mapped at
 * their guest frames, but no longer in kernel address space; the frames are
 * never reused, the pages are counted (foreign_stuck), and this module can no
 * longer be unloaded. NULL is fine. Sleeping context.
 */
void xpv_grant_unmap_window(struct xpv_grant_window *window);

/* ---- Copying from and to other domains ---- */

/* One end of a copy, a piece of one frame: built by the functions below. */
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
 * Have Xen copy, without mapping anything. Return how many copies failed;
 * `status` is set as for xpv_grant_map_window(), and to -EINVAL for a piece
 * that leaves its frame. A copy that failed may have been done in part.
 * Sleeping context.
 */
XPV_MUST_CHECK unsigned int xpv_grant_copy(struct xpv_grant_copy_op *copies, unsigned int count);

/*
 * ---- A suspend that ends in another domain ----
 *
 * After a restore nothing is granted in the new domain, whose table is as large
 * as the old one was, and nothing of other domains is mapped. References that
 * were issued stay issued until they are revoked; that succeeds, because no
 * other domain has them mapped. Parked references are free at once. Mappings
 * are gone: their windows are empty, and unmapping them succeeds. An owner that
 * shared a page must grant it again.
 *
 * Where a machine allows fewer frames, references past the new end are gone:
 * free ones are dropped from the pools too, and issued ones when they are
 * revoked. This is logged.
 */

#ifdef __cplusplus
}
#endif

#endif
