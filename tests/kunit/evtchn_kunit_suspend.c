// SPDX-License-Identifier: GPL-2.0-only
/* Event channels across a suspend, where all other CPUs stand still as at the barrier. */

#include <linux/cpu.h>
#include <linux/interrupt.h>
#include <linux/smp.h>
#include <linux/stop_machine.h>

#include "evtchn_kunit.h"
#include "hypervisor/suspend_part.h"
#include "tests/fake/fake_hypervisor.h"

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

void cancelled_suspend_changes_nothing(struct kunit *test)
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

void restored_domain_has_events_again(struct kunit *test)
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
