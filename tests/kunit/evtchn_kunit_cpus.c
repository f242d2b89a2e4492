// SPDX-License-Identifier: GPL-2.0-only
/* IPIs, VIRQs, priorities, and which CPU a channel is on: bound to it, spread, moved when it goes. */

#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/sched.h>

#include "evtchn_kunit.h"
#include "tests/fake/fake_hypervisor.h"

/* xen.h; the second is one of those that are the domain's (VIRQ_ARCH_0). */
#define VIRQ_DEBUG 1
#define VIRQ_GLOBAL 16

/* ---- Interrupts of Xen's and our own ---- */

void ipis_run_on_their_cpu(struct kunit *test)
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

void virqs_of_a_vcpu_stay_there(struct kunit *test)
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

void global_virqs_can_move(struct kunit *test)
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

static void record_order(struct xpv_event_context *context)
{
	struct ranked *ranked = (struct ranked *)context;

	ranked->rank = atomic_inc_return(&order);
	complete(&ranked->events.arrived);
}

void higher_priority_comes_first(struct kunit *test)
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
			.handler = record_order,
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

void new_channels_are_spread_over_the_cpus(struct kunit *test)
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

void nothing_is_lost_when_cpus_come_and_go(struct kunit *test)
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
