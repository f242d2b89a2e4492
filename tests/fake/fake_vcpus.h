/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fake hypervisor's vCPUs: they can be put down, lost in a restore,
 * initialised and put up. A CPU of the machine that runs the test stands for
 * each; it stops and is lost only where it calls xpv_fake_vcpu_runs().
 */
#ifndef XPV_TESTS_FAKE_VCPUS_H
#define XPV_TESTS_FAKE_VCPUS_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vcpu_hvm_context;

/*
 * The vCPU runs on: for as long as it is down, this does not return; and if
 * it was initialised meanwhile, it goes on there instead. Any context.
 */
void xpv_fake_vcpu_runs(struct xpv_vcpu vcpu);
/* Once, the vCPU's next run is late by that much. */
void xpv_fake_vcpu_delay(struct xpv_vcpu vcpu, unsigned int microseconds);

/*
 * Whether every vCPU's one-shot timer is lost whenever it runs, which is as
 * soon as it stops: later, its interrupt may be pending and safe.
 */
void xpv_fake_lose_timers(bool lose);

/*
 * What the suspend hypercall returns from now on (1 cancelled, 0 restored:
 * vCPUs that are down are then lost, unless `keep`, or an error), after
 * meanwhile(), which may be NULL.
 */
void xpv_fake_suspend_result(int result, bool keep, void (*meanwhile)(void));

/* Of all hypercalls since the last xpv_fake_reset(). */
struct xpv_fake_vcpu_counts {
	unsigned int downs, ups, initialisations, suspends;
};
struct xpv_fake_vcpu_counts xpv_fake_count_vcpu_calls(void);
/* vCPUs that are down now. */
unsigned int xpv_fake_vcpus_down(void);

/* ---- Wanted from whoever embeds the fake ---- */

void xpv_fake_stall(unsigned int microseconds);
/* This CPU's one-shot timer does not go off. */
void xpv_fake_timer_stop(void);
/* This CPU loses its processor's state, and has that of the context. Does not return. */
void xpv_fake_vcpu_enter(struct xpv_vcpu vcpu, const struct vcpu_hvm_context *context);

#ifdef __cplusplus
}
#endif

#endif
