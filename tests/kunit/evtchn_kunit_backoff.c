// SPDX-License-Identifier: GPL-2.0-only
/* A channel whose events bring nothing is slowed down; a handler in a thread bounds its interrupts. */

#include <linux/delay.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kthread.h>

#include "evtchn_kunit.h"
#include "tests/fake/fake_hypervisor.h"

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

/*
 * Case 17 (XSA-332, XSA-391). The other end sends events without work as fast
 * as it can. A driver that handles each leaves the CPU no time for anything
 * else. In 1.5 s the handler may run 14 times at most, since the wait doubles;
 * one useful event must end that, and all that follow be handled at full speed.
 */
void spurious_events_are_slowed_down(struct kunit *test)
{
	spurious_storm(test, XPV_EVENT_HARD);
}

/* Case 17. As above, with the handler in a thread. */
void spurious_events_are_slowed_down_in_threads(struct kunit *test)
{
	spurious_storm(test, XPV_EVENT_THREADED);
}

/*
 * Cases 17 and 19. The channel is closed while its port is masked for the
 * back-off, with an event pending. If the work that ends the back-off runs
 * after the close, it unmasks a port that is gone, or another's, and uses freed
 * memory: KASAN would report it. The next round opens a channel that must get
 * its events.
 */
void closes_while_backing_off(struct kunit *test)
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

/*
 * Case 17. The other end sends events as fast as it can while the handler's
 * thread is at work. If the port is not masked meanwhile, each event interrupts
 * the CPU, although nothing can handle it yet. There must be no further
 * interrupt until the handler returns, and then one for all.
 */
void storm_on_a_threaded_handler_costs_one_interrupt_a_run(struct kunit *test)
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
