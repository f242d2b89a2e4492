/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of the store ring and the state table, as the kernel compiles them: NULL, or what failed. */
#ifndef XPV_TESTS_XENBUS_KUNIT_H
#define XPV_TESTS_XENBUS_KUNIT_H

#ifdef __cplusplus
extern "C" {
#endif

const char *xpv_xenbus_test_every_pair(void);
const char *xpv_xenbus_test_late(void);
const char *xpv_xenbus_test_published(void);
const char *xpv_xenbus_test_first_phase(void);
const char *xpv_xenbus_test_parse_state(void);
const char *xpv_xenbus_test_ring(void);
const char *xpv_xenbus_test_ring_indices(void);
const char *xpv_xenbus_test_messages(void);
const char *xpv_xenbus_test_watch_events(void);
const char *xpv_xenbus_test_client(void);
const char *xpv_xenbus_test_client_timeout(void);
const char *xpv_xenbus_test_client_reconnects(void);
const char *xpv_xenbus_test_client_restored(void);

#ifdef __cplusplus
}
#endif

#endif
