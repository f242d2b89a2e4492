// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of event channels: /sys/kernel/debug/xpv/evtchn, and in the log
 * when the hypervisor's operator asks (VIRQ_DEBUG).
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "evtchn/linux.h"
#include "lib/debugfs.h"
#include "lib/report.h"

#define VIRQ_DEBUG 1 /* xen.h */
#define LINE 160

static struct dentry *table;
static struct xpv_event_channel *debug_virq;

/* State: P pending, M masked; why: i irq disabled, m moving, t thread at work, b backoff. */
static void describe(char *line, const struct xpv_event_channel_state *state)
{
	char remote[12] = "-";

	if (state->remote >= 0)
		snprintf(remote, sizeof(remote), "%d", state->remote);
	snprintf(line, LINE, "%-11s %6s %6u %5u %4u %4u  %c%c %c%c%c%c %12llu %9llu  %-20s %ps", state->kind, remote,
		 state->port.value, state->irq, state->cpu, state->priority, state->pending ? 'P' : '-',
		 state->masked ? 'M' : '-', state->hidden & 1 ? 'i' : '-', state->hidden & 2 ? 'm' : '-',
		 state->hidden & 4 ? 't' : '-', state->hidden & 8 ? 'b' : '-', state->events, state->spurious,
		 state->name, (void *)state->handler);
}

static void head(char *line)
{
	snprintf(line, LINE, "%-11s %6s %6s %5s %4s %4s  %-2s %-4s %12s %9s  %-20s %s", "TYPE", "REMOTE", "PORT", "IRQ",
		 "CPU", "PRIO", "ST", "WHY", "EVENTS", "SPURIOUS", "NAME", "HANDLER");
}

static void show_one(struct xpv_event_channel_viewer *viewer, const struct xpv_event_channel_state *state)
{
	char line[LINE];

	describe(line, state);
	seq_printf((struct seq_file *)viewer, "%s\n", line);
}

static int evtchn_show(struct seq_file *seq, void *unused)
{
	char line[LINE];

	head(line);
	seq_printf(seq, "# %s ABI\n%s\n", xpv_ports_abi(), line);
	xpv_channels_each(show_one, (struct xpv_event_channel_viewer *)seq);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(evtchn);

static void log_one(struct xpv_event_channel_viewer *viewer, const struct xpv_event_channel_state *state)
{
	char line[LINE];

	describe(line, state);
	pr_info("%s\n", line);
}

static void log_all(void)
{
	char line[LINE];

	head(line);
	pr_info("%s ABI\n", xpv_ports_abi());
	pr_info("%s\n", line);
	xpv_channels_each(log_one, NULL);
}
static struct xpv_reporter reporter = { .write = log_all };

static void on_debug_virq(struct xpv_event_context *unused)
{
	xpv_report_all();
}

void xpv_evtchn_debug_start(void)
{
	int error;

	table = debugfs_create_file("evtchn", 0400, xpv_debugfs_directory(), NULL, &evtchn_fops);
	xpv_reporter_add(&reporter);
	/* Xen raises it on every vCPU; one answers for all. */
	error = xpv_event_channel_bind_virq(VIRQ_DEBUG, 0, "xen debug", XPV_EVENT_THREADED, on_debug_virq, NULL,
					    &debug_virq);
	if (error)
		pr_notice("no reports on demand: VIRQ_DEBUG: error %d\n", error);
}

void xpv_evtchn_debug_stop(void)
{
	xpv_event_channel_close(debug_virq);
	xpv_reporter_remove(&reporter);
	debugfs_remove(table);
}
