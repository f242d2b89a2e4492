// SPDX-License-Identifier: GPL-2.0-only
/* The primitives of xpv, counted. */
#define pr_fmt(fmt) "bench_xpv: " fmt

#include <linux/gfp.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mm.h>

#include "bench.h"
#include "evtchn/evtchn.h"
#include "gnttab/gnttab.h"

/* What is measured is the call alone. */
#define UNCHECKED(call)                                                                                                \
	do {                                                                                                           \
		typeof(call) outcome_ = (call);                                                                        \
		(void)outcome_;                                                                                        \
	} while (0)

static void on_event(struct xpv_event_context *unused)
{
	WRITE_ONCE(handled, handled + 1);
}

static int rival_grants(void *unused)
{
	struct xpv_domid dom0 = { 0 };
	void *page = (void *)__get_free_page(GFP_KERNEL);
	struct xpv_pfn frame = { virt_to_phys(page) >> PAGE_SHIFT };
	struct xpv_gref reference;
	int round;

	while (!kthread_should_stop()) {
		for (round = 0; page && round < 1000; round++) {
			UNCHECKED(xpv_grant_page(dom0, frame, XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference));
			UNCHECKED(xpv_grant_try_revoke(reference));
		}
		cond_resched();
	}
	free_page((unsigned long)page);
	return 0;
}

static void bench_grants(void)
{
	struct xpv_domid dom0 = { 0 };
	void *page = (void *)__get_free_page(GFP_KERNEL);
	struct xpv_pfn frame = { virt_to_phys(page) >> PAGE_SHIFT };
	struct xpv_pfn frames[BATCH];
	struct xpv_gref reference, references[BATCH];
	struct xpv_grant_pool *pool;
	unsigned int i;

	MEASURE("grant", , UNCHECKED(xpv_grant_page(dom0, frame, XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference));
		UNCHECKED(xpv_grant_try_revoke(reference)), );
	AGAINST(rival_grants,
		MEASURE("grant-contended", ,
			UNCHECKED(xpv_grant_page(dom0, frame, XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference));
			UNCHECKED(xpv_grant_try_revoke(reference)), ));
	if (!xpv_grant_pool_create("bench", 1, &pool)) {
		MEASURE("grant-pool", ,
			UNCHECKED(xpv_grant_pool_issue(pool, dom0, XPV_GRANT_READ_WRITE, &frame, 1, &reference));
			UNCHECKED(xpv_grant_pool_revoke(pool, &reference, 1)), );
		xpv_grant_pool_destroy(pool);
	}
	for (i = 0; i < BATCH; i++)
		frames[i] = frame;
	if (!xpv_grant_pool_create("bench", BATCH, &pool)) {
		MEASURE("grant-batch", ,
			UNCHECKED(xpv_grant_pool_issue(pool, dom0, XPV_GRANT_READ_WRITE, frames, BATCH, references));
			UNCHECKED(xpv_grant_pool_revoke(pool, references, BATCH)), );
		xpv_grant_pool_destroy(pool);
	}
	free_page((unsigned long)page);
}

static void bench_events(unsigned int flags)
{
	struct xpv_domid self = { 0x7ff0 };
	const struct xpv_event_channel_args args = { .name = "bench", .flags = flags, .handler = on_event };
	struct xpv_event_channel *receiver, *sender;
	unsigned int before;

	if (xpv_event_channel_alloc_unbound(self, &args, &receiver))
		return;
	if (!xpv_event_channel_bind_interdomain(self, xpv_event_channel_port(receiver), &args, &sender)) {
		irq_set_affinity(xpv_event_channel_irq(receiver), cpumask_of(0));
		irq_set_affinity(xpv_event_channel_irq(sender), cpumask_of(0));
		MEASURE("notify", , if (xpv_event_channel_notify(sender)){}, );
		MEASURE(
			"event", if (xpv_event_channel_notify(sender)) {} before = handled, local_irq_enable();
			local_irq_disable(), missed += handled != before + 1);
		xpv_event_channel_close(sender);
	}
	xpv_event_channel_close(receiver);
}

static void bench_measures(void)
{
	bench_grants();
	bench_events(XPV_EVENT_HARD);
}

MODULE_DESCRIPTION("Benchmark: xpv's primitives");
MODULE_LICENSE("GPL");
