/* SPDX-License-Identifier: GPL-2.0-only */
/* Suspending the domain, for the toolstack's request (control.cc). */
#ifndef XPV_SUSPEND_SUSPEND_H
#define XPV_SUSPEND_SUSPEND_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Suspend the domain, and return when it runs again, here (the suspend was
 * cancelled) or restored elsewhere: 0. A negative errno: no suspend took
 * place, and `reason` says why, in at most reason_size - 1 bytes and a NUL.
 * Sleeping context, one call at a time.
 */
int xpv_suspend(char *reason, unsigned int reason_size);
/* False: xpv_suspend() always refuses, and toolstacks are told not to ask. Any context. */
bool xpv_suspend_supported(void);

#ifdef __cplusplus
}
#endif

#endif
