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

/*
 * Who may do what with a node. The first entry's domain owns the node and may
 * do all; what it says of reading and writing holds for every domain that has
 * no entry of its own.
 */
struct xpv_store_permission {
	struct xpv_domid domain;
	bool read;
	bool write;
};
/* XS_GET_PERMS. Returns how many there are; -EMSGSIZE when that is more than `count`. */
int xpv_store_get_permissions(struct xpv_store_transaction transaction, const char *path,
			      struct xpv_store_permission *permissions, unsigned int count);
/* XS_SET_PERMS. At least the owner's; -EINVAL without. */
int xpv_store_set_permissions(struct xpv_store_transaction transaction, const char *path,
			      const struct xpv_store_permission *permissions, unsigned int count);

/* XS_IS_DOMAIN_INTRODUCED: 1 or 0. */
int xpv_store_is_domain_introduced(struct xpv_domid domain);
/* XS_GET_DOMAIN_PATH: the directory that a domain's relative paths are in. As xpv_store_read(). */
int xpv_store_get_domain_path(struct xpv_domid domain, char *path, size_t size);

/*
 * Any request, for those who speak the protocol themselves: `length` bytes of
 * body, and in `reply`, which has room for XENSTORE_PAYLOAD_MAX bytes, the
 * store's answer of `reply_length` bytes. Returns 0 also when that is an
 * XS_ERROR, as `reply_type` then says; a negative errno when there is no
 * answer, with nothing written. Transactions have the same numbers as in
 * struct xpv_store_transaction, also in the answer to XS_TRANSACTION_START
 * (they are this module's, not the store's). -EINVAL for what a guest has no
 * use for, and for watches, which have tokens of this module's: XS_WATCH,
 * XS_UNWATCH, XS_RESET_WATCHES.
 */
int xpv_store_request(unsigned int type, uint32_t transaction, const void *body, unsigned int length,
		      unsigned int *reply_type, void *reply, unsigned int *reply_length);

/* XS_TRANSACTION_START. -ENOSPC past the store's quota. */
int xpv_store_transaction_start(struct xpv_store_transaction *transaction);
/*
 * XS_TRANSACTION_END: keep or drop the changes. -EAGAIN: somebody interfered,
 * or the connection was lost; nothing was changed, start over. The
 * transaction is over whatever is returned, but for -ENOMEM. C++ has
 * in_transaction() (xenbus/transaction.hh), which starts over and knows when to stop.
 */
int xpv_store_transaction_end(struct xpv_store_transaction transaction, bool commit);

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
int xpv_store_watch_register(const char *path, xpv_store_watch_callback *callback,
			     struct xpv_store_watch_context *context, struct xpv_store_watch **watch);
/*
 * Whether xenstored has the watch. After a lost connection or a restore it may
 * refuse to register a watch again (quota, want of memory, no answer): the
 * callback is then called once for each attempt, and attempts go on for ever,
 * at first after 1 s and later each 64 s. Poll the path meanwhile if that is
 * too seldom. Any context.
 */
bool xpv_store_watch_registered(struct xpv_store_watch *watch);
/*
 * XS_UNWATCH. No callback runs after this returns, whatever the store says,
 * and it does not wait for the store to say it. NULL is fine.
 */
void xpv_store_watch_unregister(struct xpv_store_watch *watch);
/*
 * XS_RESET_WATCHES: the store forgets all watches and transactions of this
 * domain, whoever made them. Our own watches are registered anew, and called
 * once each; open transactions end with -EAGAIN. Never part of a transaction.
 */
int xpv_store_reset_watches(void);

#ifdef __cplusplus
}
#endif

#endif
