/* SPDX-License-Identifier: GPL-2.0-only */
/* Between control_linux.c and the C++ of control.cc; nobody else's business. */
#ifndef XPV_SUSPEND_LINUX_H
#define XPV_SUSPEND_LINUX_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- C++, called from C ---- */

/* Do what toolstacks ask for, from now on, and say that we do. Sleeping context. */
int xpv_control_start(void);
void xpv_control_stop(void);
/* Linux itself goes down or restarts: nothing can be asked of it any more. Any context. */
void xpv_control_going_down(void);

/* ---- C, called from C++ ---- */

/* Ask user space to power off, or to reboot. Any context; may be said again. */
void xpv_linux_power_off(void);
void xpv_linux_reboot(void);
/*
 * The same without user space, after an attempt to write out what is in the
 * page cache, which has a bound. Returns only if the machine would not.
 * Sleeping context.
 */
void xpv_linux_force_power_off(void);
void xpv_linux_force_reboot(void);
/* How long user space has for either, in seconds; 0: for ever. Any context. */
unsigned int xpv_linux_shutdown_timeout(void);
/* What the key does, where Linux has that and its administrator permits it. Sleeping context. */
void xpv_linux_sysrq(unsigned char key);

#ifdef __cplusplus
}
#endif

#endif
