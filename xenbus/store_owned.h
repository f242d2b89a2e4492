/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What xpv_xenbus offers beyond store.h because it owns the xenstore ring of
 * this domain; nothing of it can be had over another client's connection, as
 * the kernel's own xenbus_*. Not for frontends (tests/build/test_contracts.py).
 * Errors and contexts are as in store.h.
 */
#ifndef XPV_XENBUS_STORE_OWNED_H
#define XPV_XENBUS_STORE_OWNED_H

#include "xenbus/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Send any request, of `length` bytes of body, and copy xenstored's answer of
 * `reply_length` bytes to `reply`, which has room for XENSTORE_PAYLOAD_MAX
 * bytes. Returns 0 also if the answer is an XS_ERROR, as `reply_type` then
 * says; a negative errno, with nothing written, if there is no answer.
 * Transactions have the numbers of struct xpv_store_transaction, also in the
 * answer to XS_TRANSACTION_START. -EINVAL for requests that a guest has no use
 * for, and for XS_WATCH, XS_UNWATCH and XS_RESET_WATCHES, whose tokens are
 * this module's.
 */
XPV_MUST_CHECK int xpv_store_request(unsigned int type, uint32_t transaction, const void *body, unsigned int length,
				     unsigned int *reply_type, void *reply, unsigned int *reply_length);

/*
 * XS_RESET_WATCHES: xenstored forgets all watches and transactions of this
 * domain, also those of an earlier kernel. Our own watches are registered
 * again, and called once each; open transactions end with -EAGAIN.
 */
XPV_MUST_CHECK int xpv_store_reset_watches(void);

#ifdef __cplusplus
}
#endif

#endif
