// SPDX-License-Identifier: GPL-2.0-only
/* Event channels against the fake hypervisor: delivery, masking, affinity, closing, races. */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/stop_machine.h>

#include "evtchn/evtchn_owned.h"
#include "hypervisor/suspend_part.h"
#include "tests/fake/fake_hypervisor.h"

#define HYPERCALL_EVENT_CHANNEL_OP 32
#define COMMAND_ALLOC_UNBOUND 6
/* xen.h; the second is one of those that are the domain's (VIRQ_ARCH_0). */
#define VIRQ_DEBUG 1
#define VIRQ_GLOBAL 16

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

static void count_event(struct xpv_event_context *context)
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

static struct xpv_event_channel_args args_of(struct events *events, unsigned int flags)
{
	init_completion(&events->arrived);
	return (struct xpv_event_channel_args){
		.name = "kunit",
		.flags = flags,
		.handler = count_event,
		.context = (struct xpv_event_context *)events,
	};
}

static struct xpv_event_channel *open_channel(struct kunit *test, struct events *events, unsigned int flags)
{
	const struct xpv_event_channel_args args = args_of(events, flags);
	struct xpv_event_channel *channel;

	KUNIT_ASSERT_EQ(test, 0, xpv_event_channel_alloc_unbound(dom0, &args, &channel));
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

/* ---- Backoff ---- */

struct useless {
	struct events events;
	struct xpv_event_channel *channel;
	bool spurious;
};

static void call_spurious(struct xpv_event_context *context)
{
	struct useless *useless = (struct useless *)context;

	atomic_inc(&useless->events.count);
	if (READ_ONCE(useless->spurious) && READ_ONCE(useless->channel))
		xpv_event_channel_spurious(useless->channel);
	complete(&useless->events.arrived);
}

static struct xpv_event_channel *open_useless(struct kunit *test, struct useless *useless, unsigned int flags)
{
	const struct xpv_event_channel_args args = {
		.name = "kunit",
		.flags = flags,
		.handler = call_spurious,
		.context = (struct xpv_event_context *)useless,
	};
	struct xpv_event_channel *channel;

	init_completion(&useless->events.arrived);
	KUNIT_ASSERT_EQ(test, 0, xpv_event_channel_alloc_unbound(dom0, &args, &channel));
	WRITE_ONCE(useless->channel, channel);
	return channel;
}

static void spurious_storm(struct kunit *test, unsigned int flags)
{
	struct useless useless = { .spurious = true };
	struct xpv_event_channel *channel = open_useless(test, &useless, flags);
	struct task_struct *sender;
	int wait;

	sender = kthread_run(storm, channel, "kunit-storm");
	KUNIT_ASSERT_FALSE(test, IS_ERR(sender));
	/* 4 + 8 + 16 ... ms: ten waits are longer than 2 s. */
	msleep(1500);
	KUNIT_EXPECT_LE(test, atomic_read(&useless.events.count), 14);
	KUNIT_EXPECT_GE(test, atomic_read(&useless.events.count), 3);

	/* A good event ends it, at most a second later. */
	WRITE_ONCE(useless.spurious, false);
	reinit_completion(&useless.events.arrived);
	KUNIT_EXPECT_TRUE(test, arrives(&useless.events));
	/* Were it still slowed down, this many would take a minute. */
	atomic_set(&useless.events.count, 0);
	for (wait = 0; wait < 200 && atomic_read(&useless.events.count) < 60; wait++)
		msleep(100);
	KUNIT_EXPECT_GE(test, atomic_read(&useless.events.count), 60);
	kthread_stop(sender);
	xpv_event_channel_close(channel);
}

static void spurious_events_are_slowed_down(struct kunit *test)
{
	spurious_storm(test, XPV_EVENT_HARD);
}

static void spurious_events_are_slowed_down_in_threads(struct kunit *test)
{
	spurious_storm(test, XPV_EVENT_THREADED);
}

static void closes_while_backing_off(struct kunit *test)
{
	int round;

	for (round = 0; round < 20; round++) {
		struct useless useless = { .spurious = true };
		struct xpv_event_channel *channel = open_useless(test, &useless, XPV_EVENT_HARD);
		int event;

		for (event = 0; event < 3; event++) {
			xpv_fake_event(xpv_event_channel_port(channel));
			KUNIT_EXPECT_TRUE(test, arrives(&useless.events));
		}
		xpv_fake_event(xpv_event_channel_port(channel));
		xpv_event_channel_close(channel);
	}
}

static void storm_on_a_threaded_handler_costs_one_interrupt_a_run(struct kunit *test)
{
	struct completion hold;
	struct events events = { .hold = &hold };
	struct xpv_event_channel *channel;
	struct task_struct *sender;
	struct irq_desc *desc;
	unsigned int before;

	init_completion(&hold);
	channel = open_channel(test, &events, XPV_EVENT_THREADED);
	desc = irq_data_to_desc(irq_get_irq_data(xpv_event_channel_irq(channel)));
	xpv_fake_event(xpv_event_channel_port(channel));
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	before = READ_ONCE(desc->tot_count);
	sender = kthread_run(storm, channel, "kunit-storm");
	KUNIT_ASSERT_FALSE(test, IS_ERR(sender));
	msleep(100);
	KUNIT_EXPECT_EQ(test, before, READ_ONCE(desc->tot_count));
	kthread_stop(sender);
	complete_all(&hold);
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	xpv_event_channel_close(channel);
}

/* ---- Interrupts of Xen's and our own ---- */

static void ipis_run_on_their_cpu(struct kunit *test)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		struct events events = {};
		const struct xpv_event_channel_args args = args_of(&events, XPV_EVENT_HARD);
		struct xpv_event_channel *channel;

		KUNIT_ASSERT_EQ(test, 0, xpv_event_channel_bind_ipi(cpu, &args, &channel));
		KUNIT_EXPECT_EQ(test, 0, xpv_event_channel_notify(channel));
		KUNIT_EXPECT_TRUE(test, arrives(&events));
		KUNIT_EXPECT_EQ(test, (int)cpu, events.cpu);
		xpv_event_channel_close(channel);
	}
}

static void virqs_of_a_vcpu_stay_there(struct kunit *test)
{
	unsigned int cpu = num_online_cpus() - 1;
	struct events events = {};
	const struct xpv_event_channel_args args = args_of(&events, XPV_EVENT_HARD);
	struct xpv_event_channel *channel, *again = NULL;

	/* vCPU 0's is the module's own. */
	if (cpu == 0)
		kunit_skip(test, "needs two CPUs");
	KUNIT_ASSERT_EQ(test, 0, xpv_event_channel_bind_virq(VIRQ_DEBUG, cpu, &args, &channel));
	KUNIT_EXPECT_EQ(test, -EEXIST, xpv_event_channel_bind_virq(VIRQ_DEBUG, cpu, &args, &again));
	KUNIT_EXPECT_NE(test, 0, irq_set_affinity(xpv_event_channel_irq(channel), cpumask_of(0)));
	xpv_fake_virq(VIRQ_DEBUG);
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	KUNIT_EXPECT_EQ(test, (int)cpu, events.cpu);
	xpv_event_channel_close(channel);
}

static void global_virqs_can_move(struct kunit *test)
{
	unsigned int cpu = num_online_cpus() - 1;
	struct events events = {};
	const struct xpv_event_channel_args args = args_of(&events, XPV_EVENT_HARD);
	struct xpv_event_channel *channel = NULL;

	if (cpu)
		KUNIT_EXPECT_EQ(test, -EINVAL, xpv_event_channel_bind_virq(VIRQ_GLOBAL, cpu, &args, &channel));
	KUNIT_ASSERT_EQ(test, 0, xpv_event_channel_bind_virq(VIRQ_GLOBAL, 0, &args, &channel));
	KUNIT_ASSERT_EQ(test, 0, irq_set_affinity(xpv_event_channel_irq(channel), cpumask_of(cpu)));
	xpv_fake_virq(VIRQ_GLOBAL);
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	KUNIT_EXPECT_EQ(test, (int)cpu, events.cpu);
	xpv_event_channel_close(channel);
}

/* ---- Priorities, spreading, CPUs that go ---- */

static atomic_t order;

struct ranked {
	struct events events;
	int rank;
};

static void note_order(struct xpv_event_context *context)
{
	struct ranked *ranked = (struct ranked *)context;

	ranked->rank = atomic_inc_return(&order);
	complete(&ranked->events.arrived);
}

static void higher_priority_comes_first(struct kunit *test)
{
	static const unsigned int priorities[] = { 15, 3, 7, 0 };
	static const int ranks[] = { 4, 2, 3, 1 };
	struct ranked ranked[4] = {};
	struct xpv_event_channel *channels[4] = {};
	unsigned long flags;
	int i, set = 0;

	for (i = 0; i < 4; i++) {
		const struct xpv_event_channel_args args = {
			.name = "kunit",
			.flags = XPV_EVENT_HARD,
			.handler = note_order,
			.context = (struct xpv_event_context *)&ranked[i],
		};

		init_completion(&ranked[i].events.arrived);
		KUNIT_ASSERT_EQ(test, 0, xpv_event_channel_alloc_unbound(dom0, &args, &channels[i]));
		set = xpv_event_channel_set_priority(channels[i], priorities[i]);
		KUNIT_EXPECT_EQ(test, -EINVAL, xpv_event_channel_set_priority(channels[i], 16));
		KUNIT_ASSERT_EQ(test, 0, irq_set_affinity(xpv_event_channel_irq(channels[i]), cpumask_of(0)));
	}
	if (set == -ENOSYS)
		goto close; /* this ABI has none */
	KUNIT_EXPECT_EQ(test, 0, set);
	set_cpus_allowed_ptr(current, cpumask_of(0));
	atomic_set(&order, 0);
	local_irq_save(flags);
	for (i = 0; i < 4; i++)
		xpv_fake_event(xpv_event_channel_port(channels[i]));
	local_irq_restore(flags);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_TRUE(test, arrives(&ranked[i].events));
		KUNIT_EXPECT_EQ(test, ranks[i], ranked[i].rank);
	}
close:
	for (i = 0; i < 4; i++)
		xpv_event_channel_close(channels[i]);
}

static void new_channels_are_spread_over_the_cpus(struct kunit *test)
{
	unsigned int each = 3, count = each * num_online_cpus(), i, cpu;
	struct xpv_event_channel **channels = kunit_kcalloc(test, count, sizeof(*channels), GFP_KERNEL);
	unsigned int *on = kunit_kcalloc(test, nr_cpu_ids, sizeof(*on), GFP_KERNEL);
	struct events events = {};

	KUNIT_ASSERT_NOT_NULL(test, channels);
	KUNIT_ASSERT_NOT_NULL(test, on);
	for (i = 0; i < count; i++) {
		channels[i] = open_channel(test, &events, XPV_EVENT_HARD);
		on[xpv_fake_port_vcpu(xpv_event_channel_port(channels[i])).value]++;
	}
	for_each_online_cpu(cpu) {
		/* VIRQ_DEBUG is there too. */
		KUNIT_EXPECT_GE(test, on[cpu], each - 1);
		KUNIT_EXPECT_LE(test, on[cpu], each + 1);
	}
	for (i = 0; i < count; i++)
		xpv_event_channel_close(channels[i]);
}

static void nothing_is_lost_when_cpus_come_and_go(struct kunit *test)
{
	unsigned int cpu = num_online_cpus() - 1;
	struct events events = {};
	struct xpv_event_channel *channel;
	struct task_struct *sender;
	int round, before;

	if (cpu == 0)
		kunit_skip(test, "needs two CPUs");
	channel = open_channel(test, &events, XPV_EVENT_HARD);
	for (round = 0; round < 5; round++) {
		KUNIT_ASSERT_EQ(test, 0, irq_set_affinity(xpv_event_channel_irq(channel), cpumask_of(cpu)));
		sender = kthread_run(storm, channel, "kunit-storm");
		KUNIT_ASSERT_FALSE(test, IS_ERR(sender));
		KUNIT_ASSERT_EQ(test, 0, remove_cpu(cpu));
		kthread_stop(sender);
		settle();
		before = atomic_read(&events.count);
		xpv_fake_event(xpv_event_channel_port(channel));
		settle();
		KUNIT_EXPECT_EQ(test, before + 1, atomic_read(&events.count));
		KUNIT_EXPECT_NE(test, (int)cpu, events.cpu);
		KUNIT_ASSERT_EQ(test, 0, add_cpu(cpu));
	}
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&events.overlapped));
	xpv_event_channel_close(channel);
}

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

/* ---- Suspend: all other CPUs stand still, as at the barrier ---- */

static int be_restored(void *unused)
{
	xpv_suspend_parts_suspend_early();
	xpv_fake_restore();
	xpv_suspend_parts_resume_early(XPV_RESUME_RESTORED);
	return 0;
}

static int be_cancelled(void *event)
{
	xpv_suspend_parts_suspend_early();
	xpv_fake_event(*(struct xpv_port *)event);
	xpv_suspend_parts_resume_early(XPV_RESUME_CANCELLED);
	return 0;
}

static void resume_this_cpu(void *unused)
{
	xpv_suspend_parts_resume_cpu(smp_processor_id());
}

static void suspend(struct kunit *test, int (*away)(void *argument), void *argument, enum xpv_resume_kind kind)
{
	const char *refused = NULL;
	int cpu;

	xpv_suspend_parts_lock();
	KUNIT_EXPECT_EQ(test, 0, xpv_suspend_parts_prepare(U64_MAX, &refused));
	KUNIT_EXPECT_EQ(test, 0, stop_machine(away, argument, cpumask_of(0)));
	cpus_read_lock();
	for_each_online_cpu(cpu) {
		if (cpu && kind == XPV_RESUME_RESTORED)
			smp_call_function_single(cpu, resume_this_cpu, NULL, 1);
	}
	cpus_read_unlock();
	xpv_suspend_parts_resume_late(kind);
	xpv_suspend_parts_unlock();
}

static void cancelled_suspend_changes_nothing(struct kunit *test)
{
	struct events events = {};
	struct xpv_event_channel *channel = open_channel(test, &events, XPV_EVENT_HARD);
	struct xpv_port port = xpv_event_channel_port(channel);

	suspend(test, be_cancelled, &port, XPV_RESUME_CANCELLED);
	KUNIT_EXPECT_TRUE(test, arrives(&events));
	settle();
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&events.count));
	KUNIT_EXPECT_FALSE(test, xpv_event_channel_lost(channel));
	xpv_event_channel_close(channel);
}

static void restored_domain_has_events_again(struct kunit *test)
{
	struct events ipi = {}, disk = {};
	struct xpv_event_channel *channel = open_channel(test, &disk, XPV_EVENT_THREADED), *own;
	unsigned int irq = xpv_event_channel_irq(channel), round, cpu;
	unsigned int open = xpv_fake_open_ports();

	for_each_online_cpu(cpu) {
		const struct xpv_event_channel_args args = args_of(&ipi, XPV_EVENT_HARD);

		KUNIT_ASSERT_EQ(test, 0, xpv_event_channel_bind_ipi(cpu, &args, &own));
		for (round = 0; round < 3; round++) {
			suspend(test, be_restored, NULL, XPV_RESUME_RESTORED);
			KUNIT_EXPECT_TRUE(test, xpv_event_channel_lost(channel));
			KUNIT_EXPECT_EQ(test, -ENOTCONN, xpv_event_channel_notify(channel));
			disable_irq(irq);
			enable_irq(irq);
			KUNIT_EXPECT_EQ(test, 0, irq_set_affinity(irq, cpumask_of(cpu)));

			KUNIT_EXPECT_EQ(test, 0, xpv_event_channel_notify(own));
			KUNIT_EXPECT_TRUE(test, arrives(&ipi));
			KUNIT_EXPECT_EQ(test, (int)cpu, ipi.cpu);

			KUNIT_EXPECT_EQ(test, 0, xpv_event_channel_rebind_unbound(channel, dom0));
			KUNIT_EXPECT_EQ(test, irq, xpv_event_channel_irq(channel));
			KUNIT_EXPECT_EQ(test, cpu, xpv_fake_port_vcpu(xpv_event_channel_port(channel)).value);
			xpv_fake_event(xpv_event_channel_port(channel));
			KUNIT_EXPECT_TRUE(test, arrives(&disk));
		}
		xpv_event_channel_close(own);
	}
	KUNIT_EXPECT_EQ(test, open, xpv_fake_open_ports());
	xpv_event_channel_close(channel);
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
