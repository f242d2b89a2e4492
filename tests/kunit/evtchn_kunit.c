// SPDX-License-Identifier: GPL-2.0-only
/* Event channels against the fake hypervisor: delivery, masking, affinity, closing, races. */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/smp.h>

#include "evtchn/evtchn.h"
#include "tests/fake/fake_hypervisor.h"

#define HYPERCALL_EVENT_CHANNEL_OP 32
#define COMMAND_ALLOC_UNBOUND 6

static const struct xpv_domid dom0 = { 0 };

struct events {
	atomic_t count;
	atomic_t inside;
	atomic_t overlapped;
	int cpu;
	bool in_hardirq;
	struct completion arrived;
	struct completion *hold;
};

static void count_event(struct xpv_event_context *context)
{
	struct events *events = (struct events *)context;

	if (atomic_inc_return(&events->inside) != 1)
		atomic_inc(&events->overlapped);
	events->cpu = raw_smp_processor_id();
	events->in_hardirq = in_hardirq();
	atomic_inc(&events->count);
	complete(&events->arrived);
	if (events->hold)
		wait_for_completion(events->hold);
	atomic_dec(&events->inside);
}

static struct xpv_event_channel *open_channel(struct kunit *test, struct events *events, unsigned int flags)
{
	struct xpv_event_channel *channel;

	init_completion(&events->arrived);
	KUNIT_ASSERT_EQ(test, 0,
			xpv_event_channel_alloc_unbound(dom0, "kunit", flags, count_event,
							(struct xpv_event_context *)events, &channel));
	return channel;
}

static bool arrives(struct events *events)
{
	return wait_for_completion_timeout(&events->arrived, 5 * HZ);
}

/* Long enough for any event that was sent to have been handled. */
static void settle(void)
{
	msleep(50);
}

static void delivers_in_hardirq(struct kunit *test)
{
	struct events events = {};
	unsigned int open = xpv_fake_open_ports();
	struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_HARD);

	KUNIT_EXPECT_EQ(test, open + 1, xpv_fake_open_ports());
	xpv_fake_event(xpv_event_channel_port(channel));
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	KUNIT_EXPECT_TRUE(test, events.in_hardirq);
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
	KUNIT_EXPECT_FALSE(test, events.in_hardirq);
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
	struct xpv_event_channel *channel, *again;
	int round;

	init_completion(&events.arrived);
	for (round = 0; round < 3; round++) {
		KUNIT_ASSERT_EQ(test, 0,
				xpv_event_channel_adopt(port, "kunit", XPV_EVENT_HARD, count_event,
							(struct xpv_event_context *)&events, &channel));
		KUNIT_EXPECT_EQ(test, -EBUSY,
				xpv_event_channel_adopt(port, "kunit", XPV_EVENT_HARD, count_event,
							(struct xpv_event_context *)&events, &again));
		xpv_fake_event(port);
		KUNIT_EXPECT_TRUE(test, arrives(&events));
		xpv_event_channel_close(channel);
	}
}

static void event_without_handler_waits_for_one(struct kunit *test)
{
	struct events events = {};
	struct xpv_port port = xpv_fake_toolstack_port();
	struct xpv_event_channel *channel;

	init_completion(&events.arrived);
	xpv_fake_event(port);
	settle();
	KUNIT_ASSERT_EQ(test, 0,
			xpv_event_channel_adopt(port, "kunit", XPV_EVENT_HARD, count_event,
						(struct xpv_event_context *)&events, &channel));
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	xpv_event_channel_close(channel);
}

static void refuses_ports_that_do_not_exist(struct kunit *test)
{
	struct xpv_event_channel *channel = NULL;

	KUNIT_EXPECT_EQ(test, -ERANGE,
			xpv_event_channel_adopt((struct xpv_port){ 0 }, "kunit", 0, count_event, NULL, &channel));
	KUNIT_EXPECT_EQ(test, -ERANGE,
			xpv_event_channel_adopt((struct xpv_port){ 1u << 31 }, "kunit", 0, count_event, NULL,
						&channel));
	KUNIT_EXPECT_NULL(test, channel);
}

static void failed_hypercalls_leave_nothing_open(struct kunit *test)
{
	unsigned int open = xpv_fake_open_ports();
	struct xpv_event_channel *channel = NULL;
	struct events events = {};

	init_completion(&events.arrived);
	xpv_fake_fail(HYPERCALL_EVENT_CHANNEL_OP, COMMAND_ALLOC_UNBOUND, 0, ENOSPC);
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			xpv_event_channel_alloc_unbound(dom0, "kunit", 0, count_event,
							(struct xpv_event_context *)&events, &channel));
	KUNIT_EXPECT_EQ(test, open, xpv_fake_open_ports());
}

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

static int storm(void *argument)
{
	struct xpv_event_channel *channel = argument;

	while (!kthread_should_stop()) {
		xpv_fake_event(xpv_event_channel_port(channel));
		cond_resched();
	}
	return 0;
}

static void storm_while_moving_never_overlaps_and_loses_nothing(struct kunit *test)
{
	struct events events = {};
	struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_HARD);
	struct task_struct *sender = kthread_run(storm, channel, "kunit-storm");
	int round, before;

	KUNIT_ASSERT_FALSE(test, IS_ERR(sender));
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

static struct kunit_case evtchn_cases[] = {
	KUNIT_CASE(delivers_in_hardirq),
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
	{}
};

static struct kunit_suite evtchn_suite = {
	.name = "xpv_evtchn",
	.test_cases = evtchn_cases,
};
kunit_test_suite(evtchn_suite);

MODULE_DESCRIPTION("xpv: tests of the event channels");
MODULE_LICENSE("GPL");
