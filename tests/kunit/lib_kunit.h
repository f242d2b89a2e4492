/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of the C++ base library as the kernel compiles it: NULL, or what failed. */
#ifndef XPV_TESTS_LIB_KUNIT_H
#define XPV_TESTS_LIB_KUNIT_H

#ifdef __cplusplus
extern "C" {
#endif

const char *xpv_lib_test_result(void);
const char *xpv_lib_test_untrusted(void);
const char *xpv_lib_test_ring(void);
const char *xpv_lib_test_list(void);
const char *xpv_lib_test_ownership(void);
const char *xpv_lib_test_locks(void);
const char *xpv_lib_test_ordering(void);
const char *xpv_lib_test_work(void);
const char *xpv_lib_test_thread(void);
const char *xpv_lib_test_lock_classes(void);
const char *xpv_lib_test_deadline(void);
const char *xpv_lib_test_number(void);
const char *xpv_lib_test_edges(void);

#ifdef __cplusplus
}
#endif

#endif
