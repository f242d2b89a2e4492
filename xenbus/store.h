/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of the xenstore client in xpv_xenbus (io/xs_wire.h,
 * docs/misc/xenstore.txt and xenstore-ring.txt of Xen).
 *
 * What only a client that owns the ring can do is in xenbus/store_owned.h.
 *
 * Paths are absolute, or relative to this domain's own directory, of at most
 * 3072 or 2048 bytes (-EINVAL past that, or when empty). Values are given and taken as NUL-terminated strings.
 * Every call has a deadline (parameter store_timeout_ms, 60 s by default):
 * past it the call returns -ETIMEDOUT and a late answer is dropped (a request
 * that was sent may still take effect). Besides
 * its own errors each call passes on what the store says (-ENOENT, -EACCES,
 * -EAGAIN, -ENOSPC for a quota, ...), and returns -EIO when the store's ring
 * is broken, -ENOMEM, -E2BIG for a request that the protocol cannot carry.
 *
 * When the connection breaks and the store offers a new one, or the domain
 * was restored, requests outside transactions are sent again, in their order
 * (a write may so be done twice), and those in one end with -EAGAIN. Where
 * the store offers none, all end with -EIO, until it shows a sign of life.
 * All calls need a sleeping context, and any number may be made at once.
 */
#ifndef XPV_XENBUS_STORE_H
#define XPV_XENBUS_STORE_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A transaction, or none. One that was begun over a connection that was lost,
 * or in a domain before this one was restored, is dead: -EAGAIN from everything.
 */
struct xpv_store_transaction {
	uint32_t value;
};
#define XPV_STORE_NO_TRANSACTION ((struct xpv_store_transaction){ 0 })

/*
 * XS_READ: at most size - 1 bytes and a NUL. Returns the value's length
 * (which may hold NULs of its own); -EMSGSIZE when it does not fit.
 */
XPV_MUST_CHECK int xpv_store_read(struct xpv_store_transaction transaction, const char *path, char *value, size_t size);
/* XS_WRITE; makes the node and its parents when they are missing. */
XPV_MUST_CHECK int xpv_store_write(struct xpv_store_transaction transaction, const char *path, const char *value);
/* XS_RM. Removing a node that does not exist is no error. */
XPV_MUST_CHECK int xpv_store_remove(struct xpv_store_transaction transaction, const char *path);
/*
 * XS_DIRECTORY: the children's names, NUL-terminated one after another, in
 * one allocation that the caller gives to xpv_free(); `length` counts all
 * bytes. No children: length 0, and still something to free. Falls back to
 * XS_DIRECTORY_PART when the list does not fit one message.
 */
XPV_MUST_CHECK int xpv_store_directory(struct xpv_store_transaction transaction, const char *path, char **names,
				       size_t *length);

/*
 * Many reads, or writes, in flight at once: the time of one round trip, not of
 * `count`. A provider over a store without pipelined requests does one after
 * the other, with the same results.
 */
struct xpv_store_read_item {
	const char *path;
	char *value;
	size_t size;
	int result; /* as xpv_store_read() returns it */
};
struct xpv_store_write_item {
	const char *path;
	const char *value;
	int result; /* as xpv_store_write() returns it */
};
/* Returns 0 when every item has its answer, good or bad, else the first failure to get one. */
XPV_MUST_CHECK int xpv_store_read_many(struct xpv_store_transaction transaction, struct xpv_store_read_item *items,
				       unsigned int count);
/* Written in order. Returns the first item's error, or 0. */
XPV_MUST_CHECK int xpv_store_write_many(struct xpv_store_transaction transaction, struct xpv_store_write_item *items,
					unsigned int count);

/* XS_TRANSACTION_START. -ENOSPC past the store's quota. */
XPV_MUST_CHECK int xpv_store_transaction_start(struct xpv_store_transaction *transaction);
/*
 * XS_TRANSACTION_END: keep or drop the changes. -EAGAIN: somebody interfered,
 * or the connection was lost; nothing was changed, start over. The
 * transaction is over whatever is returned, but for -ENOMEM. C++ has
 * in_transaction() (xenbus/transaction.hh), which starts over and knows when to stop.
 */
XPV_MUST_CHECK int xpv_store_transaction_end(struct xpv_store_transaction transaction, bool commit);

/*
 * Watches: of a node and all below it, or of what the store itself invents
 * ("@releaseDomain"). The callback runs in the watch thread, one at a time
 * for all watches, in a sleeping context; it may call everything here except
 * unregister for its own watch.
 *
 * However often the node changes, at most one call is pending for a watch:
 * the callback reads the present state, it does not count events. `path` is
 * where the last change was seen. What is promised:
 *
 * - after a change, a call begins that sees it, whatever the store is asked;
 * - calls of several watches come in the order of the first event that each
 *   is pending for;
 * - where the connection was lost, with whatever happened meanwhile, each
 *   watch is registered anew and called once;
 * - no call runs, or comes, after unregister has returned.
 */
struct xpv_store_watch;
struct xpv_store_watch_context;
typedef void xpv_store_watch_callback(struct xpv_store_watch_context *context, const char *path);

/*
 * XS_WATCH. The callback is called once soon after, as the store always does.
 * -ENOSPC past the store's quota (128 in C xenstored).
 */
XPV_MUST_CHECK int xpv_store_watch_register(const char *path, xpv_store_watch_callback *callback,
					    struct xpv_store_watch_context *context, struct xpv_store_watch **watch);
/*
 * Whether xenstored has the watch. After a lost connection or a restore it may
 * refuse to register a watch again (quota, want of memory, no answer): the
 * callback is then called once for each attempt, and attempts go on for ever,
 * at first after 1 s and later each 64 s. Poll the path meanwhile if that is
 * too seldom. Any context.
 */
XPV_MUST_CHECK bool xpv_store_watch_registered(struct xpv_store_watch *watch);
/*
 * XS_UNWATCH. No callback runs after this returns, whatever the store says,
 * and it does not wait for the store to say it. NULL is fine.
 */
void xpv_store_watch_unregister(struct xpv_store_watch *watch);
#ifdef __cplusplus
}
#endif

#endif
