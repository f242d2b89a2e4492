/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of grants that run in the kernel and on the host, over the fake hypervisor: NULL, or what failed. */
#ifndef XPV_TESTS_GNTTAB_KUNIT_H
#define XPV_TESTS_GNTTAB_KUNIT_H

#ifdef __cplusplus
extern "C" {
#endif

/* Version 2's entries, alone. */
const char *xpv_gnttab_test_entry_v2(void);
const char *xpv_gnttab_test_entries(void);
/* With the module loaded. Sleeping context. */
const char *xpv_gnttab_test_run(void);
const char *xpv_gnttab_test_waiter(void);
const char *xpv_gnttab_test_map(void);
const char *xpv_gnttab_test_map_again(void);
const char *xpv_gnttab_test_window(void);
const char *xpv_gnttab_test_copy(void);

#ifdef __cplusplus
}
#endif

#endif
