/* SPDX-License-Identifier: GPL-2.0-only */
/* The work queues with a rescuer, for the module's start and end. */
#ifndef XPV_LIB_WORK_LINUX_H
#define XPV_LIB_WORK_LINUX_H

/* Before any work is scheduled; -ENOMEM. Sleeping context. */
int xpv_work_queues_create(void);
/* When no work is pending any more. Sleeping context. */
void xpv_work_queues_destroy(void);

#endif
