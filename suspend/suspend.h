/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_suspend: suspends the domain, as the toolstack asks for
 * when it saves or migrates it. What each part of xpv does then is its own
 * business: hypervisor/suspend_part.h.
 */
#ifndef XPV_SUSPEND_H
#define XPV_SUSPEND_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Suspend, and come back when the domain was restored, or goes on because the
 * suspend was cancelled: 0. Otherwise the guest goes on as before, and the
 * negative errno and the text in `reason` (of `reason_size` bytes, at least 1;
 * empty on success) say why. Once `deadline_ms` (xpv_now_ms()) has passed the
 * suspend is refused, with -ETIMEDOUT. One suspend after the other. Sleeping
 * context.
 */
int xpv_suspend(uint64_t deadline_ms, char *reason, unsigned int reason_size);

#ifdef __cplusplus
}
#endif

#endif
