// SPDX-License-Identifier: GPL-2.0-only
/*
 * In dom0's kernel: send events through one of its ports as fast as it can,
 * as a hostile backend would. `sent` says how many; unloading ends it.
 */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <xen/interface/event_channel.h>
#include <asm/xen/hypercall.h>

static unsigned int port;
module_param(port, uint, 0444);
static unsigned long sent;
module_param(sent, ulong, 0444);
static unsigned long refused;
module_param(refused, ulong, 0444);

static struct task_struct *sender;

static int send(void *unused)
{
	while (!kthread_should_stop()) {
		struct evtchn_send operation = { .port = port };

		if (HYPERVISOR_event_channel_op(EVTCHNOP_send, &operation))
			WRITE_ONCE(refused, refused + 1);
		else
			WRITE_ONCE(sent, sent + 1);
		cond_resched();
	}
	return 0;
}

static int __init storm_init(void)
{
	sender = kthread_run(send, NULL, "storm");
	return PTR_ERR_OR_ZERO(sender);
}
module_init(storm_init);

static void __exit storm_exit(void)
{
	kthread_stop(sender);
}
module_exit(storm_exit);

MODULE_DESCRIPTION("Lab: a storm of events");
MODULE_LICENSE("GPL");
