/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of reports: each module says in the kernel's log what state it is
 * in when the hypervisor's operator asks (`xl debug-keys q`: VIRQ_DEBUG).
 */
#ifndef XPV_LIB_REPORT_H
#define XPV_LIB_REPORT_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed but for `write`, which logs a few lines; sleeping context. */
struct xpv_reporter {
	void (*write)(void);
	struct {
		void *next, *previous;
	} link;
};

/* Sleeping context. After removal write() does not run and will not. */
void xpv_reporter_add(struct xpv_reporter *reporter);
void xpv_reporter_remove(struct xpv_reporter *reporter);
/* All of them, in the order in which they were added. Sleeping context. */
void xpv_report_all(void);

#ifdef __cplusplus
}
#endif

#endif
