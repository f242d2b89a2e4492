// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of event channels, /sys/kernel/debug/xpv/evtchn, and the report of
 * all tables to the log when the hypervisor's operator asks for it (VIRQ_DEBUG).
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/printk.h>

#include "evtchn/evtchn_owned.h"
#include "evtchn/linux.h"
#include "lib/debugfs.h"

#define VIRQ_DEBUG 1 /* xen.h */

static struct xpv_event_channel *debug_virq;

static struct xpv_debug_file table = { .name = "evtchn", .show = xpv_channels_show };

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
	/* Xen raises it on every vCPU; one handler reports for all. */
	error = xpv_event_channel_bind_virq(VIRQ_DEBUG, 0, &args, &debug_virq);
	if (error)
		pr_notice("VIRQ_DEBUG: cannot bind it (%pe), no report on 'xl debug-keys q'\n", ERR_PTR(error));
}

void xpv_evtchn_debug_stop(void)
{
	xpv_event_channel_close(debug_virq);
	debug_virq = NULL;
	xpv_debug_file_remove(&table);
}
