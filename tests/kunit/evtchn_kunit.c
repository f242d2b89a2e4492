// SPDX-License-Identifier: GPL-2.0-only
/* Event channels deliver against the fake hypervisor: masked, moved, adopted, closed, in a storm. */

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/smp.h>

#include "evtchn_kunit.h"
#include "tests/fake/fake_hypervisor.h"

#define HYPERCALL_EVENT_CHANNEL_OP 32
#define COMMAND_ALLOC_UNBOUND 6

void count_event(struct xpv_event_context *context)
{
	struct events *events = (struct events *)context;

	if (atomic_inc_return(&events->inside) != 1)
		atomic_inc(&events->overlapped);
	events->cpu = raw_smp_processor_id();
	events->irqs_off = irqs_disabled();
	atomic_inc(&events->count);
	complete(&events->arrived);
	if (events->hold)
		wait_for_completion(events->hold);
	atomic_dec(&events->inside);
}

struct xpv_event_channel_args args_of(struct events *events, unsigned int flags)
{
	init_completion(&events->arrived);
	return (struct xpv_event_channel_args){
		.name = "kunit",
		.flags = flags,
		.handler = count_event,
		.context = (struct xpv_event_context *)events,
	};
}

struct xpv_event_channel *open_channel(struct kunit *test, struct events *events, unsigned int flags)
{
	const struct xpv_event_channel_args args = args_of(events, flags);
	struct xpv_event_channel *channel;

	KUNIT_ASSERT_EQ(test, 0, xpv_event_channel_alloc_unbound(dom0, &args, &channel));
	return channel;
}

bool arrives(struct events *events)
{
	return wait_for_completion_timeout(&events->arrived, 5 * HZ);
}

void settle(void)
{
	msleep(50);
}

int storm(void *argument)
{
	struct xpv_event_channel *channel = argument;

	while (!kthread_should_stop()) {
		xpv_fake_event(xpv_event_channel_port(channel));
		cond_resched();
	}
	return 0;
}

/* ---- Delivery ---- */

/* In hard irq context, or in the same way in a thread (threadirqs). */
static void delivers_with_irqs_off(struct kunit *test)
{
	struct events events = {};
	unsigned int open = xpv_fake_open_ports();
	struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_HARD);

	KUNIT_EXPECT_EQ(test, open + 1, xpv_fake_open_ports());
	xpv_fake_event(xpv_event_channel_port(channel));
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	KUNIT_EXPECT_TRUE(test, events.irqs_off);
	settle();
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&events.count));
	xpv_event_channel_close(channel);
	KUNIT_EXPECT_EQ(test, open, xpv_fake_open_ports());
}

static void delivers_in_a_thread(struct kunit *test)
{
	struct events events = {};
	struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_THREADED);

	xpv_fake_event(xpv_event_channel_port(channel));
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	KUNIT_EXPECT_FALSE(test, events.irqs_off);
	xpv_event_channel_close(channel);
}

static void event_during_threaded_handler_runs_it_again(struct kunit *test)
{
	struct completion hold;
	struct events events = { .hold = &hold };
	struct xpv_event_channel *channel;

	init_completion(&hold);
	channel = open_channel(test, &events, XPV_EVENT_THREADED);
	xpv_fake_event(xpv_event_channel_port(channel));
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	xpv_fake_event(xpv_event_channel_port(channel));
	complete_all(&hold);
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	xpv_event_channel_close(channel);
}

static void masked_event_comes_after_unmasking(struct kunit *test)
{
	struct events events = {};
	struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_HARD);

	xpv_event_channel_mask(channel);
	xpv_event_channel_synchronize(channel);
	xpv_fake_event(xpv_event_channel_port(channel));
	settle();
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&events.count));
	xpv_event_channel_unmask(channel);
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	settle();
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&events.count));
	xpv_event_channel_close(channel);
}

static void follows_irq_affinity(struct kunit *test)
{
	struct events events = {};
	struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_HARD);
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		KUNIT_ASSERT_EQ(test, 0, irq_set_affinity(xpv_event_channel_irq(channel), cpumask_of(cpu)));
		KUNIT_EXPECT_EQ(test, cpu, xpv_fake_port_vcpu(xpv_event_channel_port(channel)).value);
		xpv_fake_event(xpv_event_channel_port(channel));
		KUNIT_EXPECT_TRUE(test, arrives(&events));
		KUNIT_EXPECT_EQ(test, (int)cpu, events.cpu);
	}
	xpv_event_channel_close(channel);
}

static void event_pending_while_moved_is_not_lost(struct kunit *test)
{
	struct events events = {};
	struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_HARD);
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		xpv_event_channel_mask(channel);
		xpv_fake_event(xpv_event_channel_port(channel));
		KUNIT_ASSERT_EQ(test, 0, irq_set_affinity(xpv_event_channel_irq(channel), cpumask_of(cpu)));
		xpv_event_channel_unmask(channel);
		KUNIT_EXPECT_TRUE(test, arrives(&events));
	}
	xpv_event_channel_close(channel);
}

static void adopted_port_stays_open(struct kunit *test)
{
	struct events events = {};
	struct xpv_port port = xpv_fake_toolstack_port();
	const struct xpv_event_channel_args args = args_of(&events, XPV_EVENT_HARD);
	struct xpv_event_channel *channel, *again;
	int round;

	for (round = 0; round < 3; round++) {
		KUNIT_ASSERT_EQ(test, 0, xpv_event_channel_adopt(port, &args, &channel));
		KUNIT_EXPECT_EQ(test, -EBUSY, xpv_event_channel_adopt(port, &args, &again));
		xpv_fake_event(port);
		KUNIT_EXPECT_TRUE(test, arrives(&events));
		xpv_event_channel_close(channel);
	}
}

static void event_without_handler_waits_for_one(struct kunit *test)
{
	struct events events = {};
	const struct xpv_event_channel_args args = args_of(&events, XPV_EVENT_HARD);
	struct xpv_port port = xpv_fake_toolstack_port();
	struct xpv_event_channel *channel;

	xpv_fake_event(port);
	settle();
	KUNIT_ASSERT_EQ(test, 0, xpv_event_channel_adopt(port, &args, &channel));
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	xpv_event_channel_close(channel);
}

static void refuses_ports_that_do_not_exist(struct kunit *test)
{
	struct events events = {};
	const struct xpv_event_channel_args args = args_of(&events, XPV_EVENT_HARD);
	struct xpv_event_channel *channel = NULL;

	KUNIT_EXPECT_EQ(test, -ERANGE, xpv_event_channel_adopt((struct xpv_port){ 0 }, &args, &channel));
	KUNIT_EXPECT_EQ(test, -ERANGE, xpv_event_channel_adopt((struct xpv_port){ 1u << 31 }, &args, &channel));
	KUNIT_EXPECT_NULL(test, channel);
}

static void failed_hypercalls_leave_nothing_open(struct kunit *test)
{
	unsigned int open = xpv_fake_open_ports();
	struct xpv_event_channel *channel = NULL;
	struct events events = {};
	const struct xpv_event_channel_args args = args_of(&events, XPV_EVENT_HARD);

	xpv_fake_fail(HYPERCALL_EVENT_CHANNEL_OP, COMMAND_ALLOC_UNBOUND, 0, ENOSPC);
	KUNIT_EXPECT_EQ(test, -ENOSPC, xpv_event_channel_alloc_unbound(dom0, &args, &channel));
	KUNIT_EXPECT_EQ(test, open, xpv_fake_open_ports());
}

/*
 * Cases 19 and 20 (XSA-331, XSA-441). An event arrives while the channel is
 * closed, and Xen gives the same number to the next channel at once. If the
 * close does not wait for the handler, that runs with freed memory; if state of
 * the old port stays, the new channel is deaf. Each new channel must get its
 * event.
 */
static void port_reused_at_once_after_close(struct kunit *test)
{
	struct events events = {};
	u32 first = 0;
	int round;

	for (round = 0; round < 100; round++) {
		struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_HARD);
		struct xpv_port port = xpv_event_channel_port(channel);

		if (!first)
			first = port.value;
		KUNIT_EXPECT_EQ(test, first, port.value);
		xpv_fake_event(port);
		KUNIT_ASSERT_TRUE(test, arrives(&events));
		/* Another, which may arrive while closing. */
		xpv_fake_event(port);
		xpv_event_channel_close(channel);
	}
}

static void notifies_the_other_end(struct kunit *test)
{
	struct events events = {};
	struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_HARD);

	KUNIT_EXPECT_EQ(test, 0, xpv_event_channel_notify(channel));
	KUNIT_EXPECT_EQ(test, 0, xpv_event_channel_notify(channel));
	KUNIT_EXPECT_EQ(test, 2, xpv_fake_sent(xpv_event_channel_port(channel)));
	xpv_event_channel_close(channel);
}

/*
 * Case 17. The other end sends events as fast as it can while the channel is
 * moved between CPUs 300 times. A driver whose old and new CPU both find the
 * port pending runs the handler on both at once, and one that forgets the old
 * CPU loses an event. The handler must never overlap, and the channel work
 * afterwards.
 */
static void storm_while_moving_never_overlaps_and_loses_nothing(struct kunit *test)
{
	struct events events = {};
	struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_HARD);
	struct task_struct *sender = kthread_run(storm, channel, "kunit-storm");
	int round, before;

	KUNIT_ASSERT_FALSE(test, IS_ERR(sender));
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	for (round = 0; round < 300; round++) {
		int cpu = round % num_online_cpus();

		KUNIT_EXPECT_EQ(test, 0, irq_set_affinity(xpv_event_channel_irq(channel), cpumask_of(cpu)));
		cond_resched();
	}
	kthread_stop(sender);
	settle();
	before = atomic_read(&events.count);
	KUNIT_EXPECT_GT(test, before, 0);
	xpv_fake_event(xpv_event_channel_port(channel));
	settle();
	KUNIT_EXPECT_EQ(test, before + 1, atomic_read(&events.count));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&events.overlapped));
	xpv_event_channel_close(channel);
}

/*
 * Cases 19 and 20. Events arrive until the close of the channel, and one after
 * it, for handlers with irqs off and in threads. A driver that closes the port
 * before the last upcall has ended finds no handler for it, or a freed one:
 * KASAN would report it. The close must always return.
 */
static void closes_in_a_storm(struct kunit *test)
{
	struct events events = {};
	int round;

	for (round = 0; round < 50; round++) {
		struct xpv_event_channel *channel = open_channel(test, &events, round & 1);
		struct xpv_port port = xpv_event_channel_port(channel);
		int event;

		for (event = 0; event < round; event++)
			xpv_fake_event(port);
		xpv_event_channel_close(channel);
		xpv_fake_event(port);
	}
}

static struct kunit_case evtchn_cases[] = {
	KUNIT_CASE(delivers_with_irqs_off),
	KUNIT_CASE(delivers_in_a_thread),
	KUNIT_CASE(event_during_threaded_handler_runs_it_again),
	KUNIT_CASE(masked_event_comes_after_unmasking),
	KUNIT_CASE(follows_irq_affinity),
	KUNIT_CASE(event_pending_while_moved_is_not_lost),
	KUNIT_CASE(adopted_port_stays_open),
	KUNIT_CASE(event_without_handler_waits_for_one),
	KUNIT_CASE(refuses_ports_that_do_not_exist),
	KUNIT_CASE(failed_hypercalls_leave_nothing_open),
	KUNIT_CASE(port_reused_at_once_after_close),
	KUNIT_CASE(notifies_the_other_end),
	KUNIT_CASE(storm_while_moving_never_overlaps_and_loses_nothing),
	KUNIT_CASE(spurious_events_are_slowed_down),
	KUNIT_CASE(spurious_events_are_slowed_down_in_threads),
	KUNIT_CASE(closes_while_backing_off),
	KUNIT_CASE(storm_on_a_threaded_handler_costs_one_interrupt_a_run),
	KUNIT_CASE(ipis_run_on_their_cpu),
	KUNIT_CASE(virqs_of_a_vcpu_stay_there),
	KUNIT_CASE(global_virqs_can_move),
	KUNIT_CASE(higher_priority_comes_first),
	KUNIT_CASE(new_channels_are_spread_over_the_cpus),
	KUNIT_CASE(nothing_is_lost_when_cpus_come_and_go),
	KUNIT_CASE(closes_in_a_storm),
	KUNIT_CASE(cancelled_suspend_changes_nothing),
	KUNIT_CASE(restored_domain_has_events_again),
	{}
};

static struct kunit_suite evtchn_suite = {
	.name = "xpv_evtchn",
	.test_cases = evtchn_cases,
};
kunit_test_suite(evtchn_suite);

MODULE_DESCRIPTION("xpv: tests of the event channels");
MODULE_LICENSE("GPL");
