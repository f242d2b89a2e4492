/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the files of the suite: a handler that counts its events, and the cases that evtchn_kunit.c lists. */
#ifndef XPV_EVTCHN_KUNIT_H
#define XPV_EVTCHN_KUNIT_H

#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/completion.h>

#include "evtchn/evtchn_owned.h"

static const struct xpv_domid dom0 = { 0 };

struct events {
	atomic_t count;
	atomic_t inside;
	atomic_t overlapped;
	int cpu;
	bool irqs_off;
	struct completion arrived;
	struct completion *hold;
};

/* Complete `arrived`, count, and wait for `hold` if there is one. */
void count_event(struct xpv_event_context *context);
/* Arguments of an opener whose handler is count_event(). */
struct xpv_event_channel_args args_of(struct events *events, unsigned int flags);
/* Open a channel to dom0 whose handler is count_event(). */
struct xpv_event_channel *open_channel(struct kunit *test, struct events *events, unsigned int flags);
/* Wait for the next event. */
bool arrives(struct events *events);
/* Wait long enough for any event that was sent to have been handled. */
void settle(void);
/* A thread that sends events to the channel, its argument, until it is stopped. */
int storm(void *channel);

/* ---- evtchn_kunit_backoff.c ---- */

void spurious_events_are_slowed_down(struct kunit *test);
void spurious_events_are_slowed_down_in_threads(struct kunit *test);
void closes_while_backing_off(struct kunit *test);
void storm_on_a_threaded_handler_costs_one_interrupt_a_run(struct kunit *test);

/* ---- evtchn_kunit_cpus.c ---- */

void ipis_run_on_their_cpu(struct kunit *test);
void virqs_of_a_vcpu_stay_there(struct kunit *test);
void global_virqs_can_move(struct kunit *test);
void higher_priority_comes_first(struct kunit *test);
void new_channels_are_spread_over_the_cpus(struct kunit *test);
void nothing_is_lost_when_cpus_come_and_go(struct kunit *test);

/* ---- evtchn_kunit_suspend.c ---- */

void cancelled_suspend_changes_nothing(struct kunit *test);
void restored_domain_has_events_again(struct kunit *test);

#endif
