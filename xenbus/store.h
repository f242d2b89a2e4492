/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of the xenstore client in xpv_xenbus (io/xs_wire.h,
 * docs/misc/xenstore.txt and xenstore-ring.txt of Xen).
 *
 * Paths are absolute, or relative to this domain's own directory, of at most
 * 3072 or 2048 bytes (-EINVAL past that, or when empty). Values are given and taken as NUL-terminated strings.
 * Every call has a deadline (parameter store_timeout_ms, 60 s by default):
 * past it the call returns -ETIMEDOUT and a late answer is dropped (a request
 * that was sent may still take effect). Besides
 * its own errors each call passes on what the store says (-ENOENT, -EACCES,
 * -EAGAIN, -ENOSPC for a quota, ...), and returns -EIO when the store's ring
 * is broken, -ENOMEM, -E2BIG for a request that the protocol cannot carry.
 * All calls need a sleeping context, and any number may be made at once.
 */
#ifndef XPV_XENBUS_STORE_H
#define XPV_XENBUS_STORE_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A transaction, or none. One that was begun in a domain before this one was
 * restored is dead: -EAGAIN from everything.
 */
struct xpv_store_transaction {
	uint32_t value;
	uint32_t restores; /* of the domain, when it began */
};
#define XPV_STORE_NO_TRANSACTION ((struct xpv_store_transaction){ 0, 0 })

/*
 * XS_READ: at most size - 1 bytes and a NUL. Returns the value's length
 * (which may hold NULs of its own); -EMSGSIZE when it does not fit.
 */
int xpv_store_read(struct xpv_store_transaction transaction, const char *path, char *value, size_t size);
/* XS_WRITE; makes the node and its parents when they are missing. */
int xpv_store_write(struct xpv_store_transaction transaction, const char *path, const char *value);
/* XS_MKDIR, XS_RM. A node that is there already, or not there (any more), is no error. */
int xpv_store_mkdir(struct xpv_store_transaction transaction, const char *path);
int xpv_store_remove(struct xpv_store_transaction transaction, const char *path);
/*
 * XS_DIRECTORY: the children's names, NUL-terminated one after another, in
 * one allocation that the caller gives to xpv_free(); `length` counts all
 * bytes. No children: length 0, and still something to free. Falls back to
 * XS_DIRECTORY_PART when the list does not fit one message.
 */
int xpv_store_directory(struct xpv_store_transaction transaction, const char *path, char **names, size_t *length);

/* Many reads, or writes, in flight at once: the time of one round trip, not of `count`. */
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
int xpv_store_read_many(struct xpv_store_transaction transaction, struct xpv_store_read_item *items,
			unsigned int count);
/* Written in order. Returns the first item's error, or 0. */
int xpv_store_write_many(struct xpv_store_transaction transaction, struct xpv_store_write_item *items,
			 unsigned int count);

/* XS_TRANSACTION_START. -ENOSPC past the store's quota. */
int xpv_store_transaction_start(struct xpv_store_transaction *transaction);
/* XS_TRANSACTION_END: keep or drop the changes. -EAGAIN: somebody interfered; start over. */
int xpv_store_transaction_end(struct xpv_store_transaction transaction, bool commit);

/*
 * A request as the wire has it (xs_wire.h: XS_*), for those who pass on what
 * others ask. `reply` has room for XENSTORE_PAYLOAD_MAX bytes. 0 when the
 * store answered, perhaps with XS_ERROR, whose text is then the reply;
 * negative when there was no answer at all.
 */
int xpv_store_request(unsigned int type, struct xpv_store_transaction transaction, const void *body, unsigned int length,
		      unsigned int *reply_type, void *reply, unsigned int *reply_length);

/*
 * Watches. The callback runs in the watch thread, one at a time for all
 * watches, in a sleeping context; it may call everything here except
 * unregister for its own watch. However often the node changes, at most one
 * call is pending for a watch: the callback reads the present state, it does
 * not count events. `path` is where the last change was seen.
 */
struct xpv_store_watch;
struct xpv_store_watch_context;
typedef void xpv_store_watch_callback(struct xpv_store_watch_context *context, const char *path);

/* XS_WATCH. The callback is called once soon after, as the store always does. */
int xpv_store_watch_register(const char *path, xpv_store_watch_callback *callback,
			     struct xpv_store_watch_context *context, struct xpv_store_watch **watch);
/*
 * XS_UNWATCH. No callback runs after this returns, whatever the store says,
 * and it does not wait for the store to say it. NULL is fine.
 */
void xpv_store_watch_unregister(struct xpv_store_watch *watch);

#ifdef __cplusplus
}
#endif

#endif
