// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of event channels, /sys/kernel/debug/xpv/evtchn; and the answer
 * to the hypervisor's operator who asks for the state of all (VIRQ_DEBUG).
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/seq_file.h>

#include "evtchn/evtchn_owned.h"
#include "evtchn/linux.h"
#include "lib/debugfs.h"

#define VIRQ_DEBUG 1 /* xen.h */

static struct xpv_event_channel *debug_virq;

/*
 * State: P pending, M masked; why: i irq disabled, m moving, t thread at work,
 * b backoff, o CPU offline, e waits for its EOI.
 */
static void show_one(struct xpv_event_channel_viewer *viewer, const struct xpv_event_channel_state *state)
{
	char remote[12] = "-";

	if (state->remote >= 0)
		snprintf(remote, sizeof(remote), "%d", state->remote);
	seq_printf((struct seq_file *)viewer, "%-11s %6s %6u %5u %4u %4u  %c%c %c%c%c%c%c%c %12llu %9llu  %-20s %ps\n",
		   state->kind, remote, state->port.value, state->irq, state->cpu, state->priority,
		   state->pending ? 'P' : '-', state->masked ? 'M' : '-', state->hidden & 1 ? 'i' : '-',
		   state->hidden & 2 ? 'm' : '-', state->hidden & 4 ? 't' : '-', state->hidden & 8 ? 'b' : '-',
		   state->hidden & 16 ? 'o' : '-', state->hidden & 32 ? 'e' : '-',
		   state->events, state->spurious, state->name, (void *)state->handler);
}

static int evtchn_show(struct seq_file *seq, void *unused)
{
	seq_printf(seq, "# %s ABI, %s\n", xpv_ports_abi(), xpv_upcalls_kind());
	seq_printf(seq, "%-11s %6s %6s %5s %4s %4s  %-2s %-6s %12s %9s  %-20s %s\n", "TYPE", "REMOTE", "PORT", "IRQ",
		   "CPU", "PRIO", "ST", "WHY", "EVENTS", "SPURIOUS", "NAME", "HANDLER");
	xpv_channels_each(show_one, (struct xpv_event_channel_viewer *)seq);
	return 0;
}
static struct xpv_debug_file table = { .name = "evtchn", .show = evtchn_show };

static void on_debug_virq(struct xpv_event_context *unused)
{
	xpv_debug_report();
}

void xpv_evtchn_debug_start(void)
{
	static const struct xpv_event_channel_args args = {
		.name = "xen debug",
		.flags = XPV_EVENT_THREADED,
		.handler = on_debug_virq,
	};
	int error;

	xpv_debug_file_add(&table);
	/* Xen raises it on every vCPU; one answers for all. */
	error = xpv_event_channel_bind_virq(VIRQ_DEBUG, 0, &args, &debug_virq);
	if (error)
		pr_notice("no reports on demand: VIRQ_DEBUG: error %d\n", error);
}

void xpv_evtchn_debug_stop(void)
{
	xpv_event_channel_close(debug_virq);
	debug_virq = NULL;
	xpv_debug_file_remove(&table);
}
