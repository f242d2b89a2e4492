/* SPDX-License-Identifier: GPL-2.0-only */
/* The work queues of enum xpv_work_queue, created and destroyed with the module. */
#ifndef XPV_LIB_WORK_LINUX_H
#define XPV_LIB_WORK_LINUX_H

/* Create the queues, before any work is scheduled. Return 0 or -ENOMEM. Sleeping context. */
int xpv_work_queues_create(void);
/* Destroy the queues, when no work is pending any more. Sleeping context. */
void xpv_work_queues_destroy(void);

#endif
