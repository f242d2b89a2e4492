/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_suspend: suspend the domain, when the toolstack requests it
 * to save or migrate the domain. Each part of xpv defines what it does during a
 * suspend: hypervisor/suspend_part.h.
 */
#ifndef XPV_SUSPEND_H
#define XPV_SUSPEND_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Suspend the domain. Return 0 when it was restored, or continues because the
 * suspend was cancelled. Otherwise the guest continues as before, and the
 * negative errno and the text in `reason` (of `reason_size` bytes, at least 1;
 * empty on success) say why. Once `deadline_ms` (xpv_now_ms()) has passed the
 * suspend is refused, with -ETIMEDOUT. Suspends are serialised. Sleeping
 * context.
 */
int xpv_suspend(uint64_t deadline_ms, char *reason, unsigned int reason_size);

#ifdef __cplusplus
}
#endif

#endif
