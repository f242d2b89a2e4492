// SPDX-License-Identifier: GPL-2.0-only
/* The primitives of the kernel's own Xen support, counted. */
#define pr_fmt(fmt) "bench_intree: " fmt

#include <linux/gfp.h>
#include <linux/interrupt.h>
#include <xen/events.h>
#include <xen/grant_table.h>
#include <xen/interface/event_channel.h>
#include <xen/page.h>
#include <asm/xen/hypercall.h>

#include "bench.h"

static irqreturn_t on_event(int irq, void *unused)
{
	WRITE_ONCE(handled, handled + 1);
	return IRQ_HANDLED;
}

static irqreturn_t on_event_late(int irq, void *unused)
{
	WRITE_ONCE(handled, handled + 1);
	xen_irq_lateeoi(irq, 0);
	return IRQ_HANDLED;
}

static int rival_grants(void *unused)
{
	struct page *page = alloc_page(GFP_KERNEL);
	int round, reference;

	while (!kthread_should_stop()) {
		for (round = 0; page && round < 1000; round++) {
			reference = gnttab_grant_foreign_access(0, xen_page_to_gfn(page), 0);
			gnttab_try_end_foreign_access(reference);
		}
		cond_resched();
	}
	if (page)
		__free_page(page);
	return 0;
}

static void bench_grants(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	unsigned long frame = xen_page_to_gfn(page);
	grant_ref_t head, batch[BATCH];
	int reference, i;

	MEASURE("grant", , reference = gnttab_grant_foreign_access(0, frame, 0);
		gnttab_try_end_foreign_access(reference), );
	AGAINST(rival_grants, MEASURE("grant-contended", , reference = gnttab_grant_foreign_access(0, frame, 0);
				      gnttab_try_end_foreign_access(reference), ));
	if (!gnttab_alloc_grant_references(1, &head)) {
		/* What a data path does with references of its own. */
		MEASURE("grant-pool", , reference = gnttab_claim_grant_reference(&head);
			gnttab_grant_foreign_access_ref(reference, 0, frame, 0);
			gnttab_end_foreign_access_ref(reference); gnttab_release_grant_reference(&head, reference), );
		gnttab_free_grant_references(head);
	}
	if (!gnttab_alloc_grant_references(BATCH, &head)) {
		MEASURE(
			"grant-batch", ,
			for (i = 0; i < BATCH; i++) {
				batch[i] = gnttab_claim_grant_reference(&head);
				gnttab_grant_foreign_access_ref(batch[i], 0, frame, 0);
			} for (i = 0; i < BATCH; i++) {
				gnttab_end_foreign_access_ref(batch[i]);
				gnttab_release_grant_reference(&head, batch[i]);
			}, );
		gnttab_free_grant_references(head);
	}
	__free_page(page);
}

static void bench_events(const char *name, irq_handler_t handler, bool late)
{
	struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
	struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };
	unsigned int before;
	int receiver;

	if (HYPERVISOR_event_channel_op(EVTCHNOP_alloc_unbound, &alloc))
		return;
	receiver = late ? bind_evtchn_to_irqhandler_lateeoi(alloc.port, handler, 0, "bench", &handled) :
			  bind_evtchn_to_irqhandler(alloc.port, handler, 0, "bench", &handled);
	bind.remote_port = alloc.port;
	if (receiver < 0 || HYPERVISOR_event_channel_op(EVTCHNOP_bind_interdomain, &bind))
		return;
	irq_set_affinity(receiver, cpumask_of(0));
	if (!late)
		MEASURE("notify", , notify_remote_via_evtchn(bind.local_port), );
	MEASURE(name, notify_remote_via_evtchn(bind.local_port); before = handled, local_irq_enable();
		local_irq_disable(), missed += handled != before + 1);
	{
		struct evtchn_close close = { .port = bind.local_port };

		if (HYPERVISOR_event_channel_op(EVTCHNOP_close, &close))
			pr_err("cannot close\n");
	}
	unbind_from_irqhandler(receiver, &handled);
}

static void bench_measures(void)
{
	bench_grants();
	bench_events("event", on_event, false);
	bench_events("event-lateeoi", on_event_late, true);
}

MODULE_DESCRIPTION("Benchmark: the kernel's own primitives");
MODULE_LICENSE("GPL");
