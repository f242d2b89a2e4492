/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of the xenstore client in xpv_xenbus (io/xs_wire.h,
 * docs/misc/xenstore.txt and xenstore-ring.txt of Xen).
 *
 * xenbus/store_owned.h has the operations that need ownership of the ring.
 *
 * Paths are absolute (at most 3072 bytes), or relative to this domain's own
 * directory (at most 2048 bytes); -EINVAL for a longer or empty path. Values
 * are passed as NUL-terminated strings. Every call has a deadline (parameter
 * store_timeout_ms, 60 s by default): past it the call returns -ETIMEDOUT and
 * a late reply is dropped (a request that was sent may still take effect).
 * Besides its own errors each call passes on xenstored's (-ENOENT, -EACCES,
 * -EAGAIN, -ENOSPC for a quota, ...), and returns -EIO if the ring is broken,
 * -ENOMEM, and -E2BIG for a request that does not fit the protocol.
 *
 * When the connection is lost and xenstored can reconnect, or the domain was
 * restored, requests outside transactions are sent again, in their order (a
 * write may thus be done twice), and requests in a transaction end with
 * -EAGAIN. If xenstored cannot reconnect, all requests end with -EIO until the
 * connection works again. All calls need a sleeping context, and any number may
 * be made at once.
 */
#ifndef XPV_XENBUS_STORE_H
#define XPV_XENBUS_STORE_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A transaction, or XPV_STORE_NO_TRANSACTION. After a lost connection or a
 * restore, every call in an older transaction returns -EAGAIN.
 */
struct xpv_store_transaction {
	uint32_t value;
};
#define XPV_STORE_NO_TRANSACTION ((struct xpv_store_transaction){ 0 })

/*
 * XS_READ: read at most size - 1 bytes, and append a NUL. The value may itself
 * contain NULs. Returns its length; -EMSGSIZE if it does not fit.
 */
XPV_MUST_CHECK int xpv_store_read(struct xpv_store_transaction transaction, const char *path, char *value, size_t size);
/* XS_WRITE: write a node. Creates the node and its parents if they are missing. */
XPV_MUST_CHECK int xpv_store_write(struct xpv_store_transaction transaction, const char *path, const char *value);
/* XS_RM: remove a node. Not an error if the node does not exist. */
XPV_MUST_CHECK int xpv_store_remove(struct xpv_store_transaction transaction, const char *path);
/*
 * XS_DIRECTORY: return the children's names, each NUL-terminated, in one
 * allocation that the caller frees with xpv_free(); `length` is its size in
 * bytes. Without children `length` is 0, and the allocation must still be
 * freed. Falls back to XS_DIRECTORY_PART if the list does not fit one message.
 */
XPV_MUST_CHECK int xpv_store_directory(struct xpv_store_transaction transaction, const char *path, char **names,
				       size_t *length);

/*
 * The next two calls keep many reads or writes in flight at once, so they take
 * one round trip instead of `count`. A provider that cannot pipeline requests
 * sends them one after another, with the same results.
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
/* Read all items. Returns 0 if xenstored replied to every item, even with an error; else the first failure. */
XPV_MUST_CHECK int xpv_store_read_many(struct xpv_store_transaction transaction, struct xpv_store_read_item *items,
				       unsigned int count);
/* Write all items, in order. Returns 0, or the error of the first item that failed. */
XPV_MUST_CHECK int xpv_store_write_many(struct xpv_store_transaction transaction, struct xpv_store_write_item *items,
					unsigned int count);

/* XS_TRANSACTION_START: begin a transaction. -ENOSPC past xenstored's quota. */
XPV_MUST_CHECK int xpv_store_transaction_start(struct xpv_store_transaction *transaction);
/*
 * XS_TRANSACTION_END: commit or drop the changes. -EAGAIN: another client made
 * a conflicting change, or the connection was lost; no change was made, retry
 * from the start. The transaction is over after any result except -ENOMEM. C++
 * has in_transaction() (xenbus/transaction.hh), which retries up to a limit.
 */
XPV_MUST_CHECK int xpv_store_transaction_end(struct xpv_store_transaction transaction, bool commit);

/*
 * A watch covers a node and all nodes below it, or a special path of xenstored
 * ("@releaseDomain"). Callbacks run in the watch thread, one at a time for all
 * watches, in a sleeping context. A callback may call every function here
 * except unregister for its own watch.
 *
 * At most one call is pending for a watch, however often the node changes: the
 * callback must read the current state, not count events. `path` is where the
 * last change was seen. Guarantees:
 *
 * - After each change a call begins, and what it reads from xenstore includes
 *   the change.
 * - Calls for several watches come in the order of the first event that each
 *   is pending for.
 * - After a lost connection, when events may have been missed, each watch is
 *   registered again and called once.
 * - No call runs, or begins, after unregister has returned.
 */
struct xpv_store_watch;
struct xpv_store_watch_context;
typedef void xpv_store_watch_callback(struct xpv_store_watch_context *context, const char *path);

/*
 * XS_WATCH: register a watch. xenstored sends one event for every new watch, so
 * the callback is called once soon after. -E2BIG past C xenstored's quota, -ENOSPC past oxenstored's (128
 * in C xenstored).
 */
XPV_MUST_CHECK int xpv_store_watch_register(const char *path, xpv_store_watch_callback *callback,
					    struct xpv_store_watch_context *context, struct xpv_store_watch **watch);
/*
 * Return whether the watch is registered with xenstored. Registering it again
 * may fail after a lost connection or a restore (quota, out of memory, no
 * reply). The callback is then called once for each retry; retries have no
 * limit, the first comes after 1 s and the interval grows to 64 s. Poll the
 * path meanwhile if that is too seldom. Any context.
 */
XPV_MUST_CHECK bool xpv_store_watch_registered(struct xpv_store_watch *watch);
/*
 * XS_UNWATCH: unregister a watch. No callback runs after this returns. Does not
 * wait for xenstored's reply, and does not depend on it. NULL is allowed.
 */
void xpv_store_watch_unregister(struct xpv_store_watch *watch);
#ifdef __cplusplus
}
#endif

#endif
