/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operations beyond store.h that xpv_xenbus can offer because it owns this
 * domain's xenstore ring. They cannot be built on another client's connection,
 * such as the kernel's own xenbus_*. Not for frontends
 * (tests/build/test_contracts.py). Errors and contexts as in store.h.
 */
#ifndef XPV_XENBUS_STORE_OWNED_H
#define XPV_XENBUS_STORE_OWNED_H

#include "xenbus/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Send any request, with a body of `length` bytes, and copy xenstored's reply
 * of `reply_length` bytes to `reply`, which must have room for
 * XENSTORE_PAYLOAD_MAX bytes. Returns 0 also for an XS_ERROR reply, which
 * `reply_type` then says; a negative errno if there is no reply, and then
 * nothing is written. Transactions are numbered as in struct
 * xpv_store_transaction, also in the reply to XS_TRANSACTION_START. -EINVAL for
 * requests that a guest has no use for, and for XS_WATCH, XS_UNWATCH and
 * XS_RESET_WATCHES, because this module owns the watch tokens.
 */
XPV_MUST_CHECK int xpv_store_request(unsigned int type, uint32_t transaction, const void *body, unsigned int length,
				     unsigned int *reply_type, void *reply, unsigned int *reply_length);

/*
 * XS_RESET_WATCHES: make xenstored drop all watches and transactions of this
 * domain, including those of an earlier kernel. Our own watches are registered
 * again and called once each; open transactions end with -EAGAIN.
 */
XPV_MUST_CHECK int xpv_store_reset_watches(void);

#ifdef __cplusplus
}
#endif

#endif
