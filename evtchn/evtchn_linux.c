// SPDX-License-Identifier: GPL-2.0-only
/* The module. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/module.h>

#include "evtchn/linux.h"
#include "hypervisor/hypervisor.h"

static int __init evtchn_init(void)
{
	int error = xpv_hypervisor_ready();

	if (error)
		return error;
	error = xpv_ports_start();
	if (error)
		return error;
	error = xpv_irqs_start();
	if (error)
		goto stop_ports;
	error = xpv_upcalls_start();
	if (error) {
		pr_err("Xen's events cannot be received: error %d\n", error);
		goto stop_irqs;
	}
	return 0;

stop_irqs:
	xpv_irqs_stop();
stop_ports:
	xpv_ports_stop();
	return error;
}

static void __exit evtchn_exit(void)
{
	xpv_upcalls_stop();
	xpv_irqs_stop();
	xpv_ports_stop();
}

module_init(evtchn_init);
module_exit(evtchn_exit);

EXPORT_SYMBOL_GPL(xpv_event_channel_alloc_unbound);
EXPORT_SYMBOL_GPL(xpv_event_channel_adopt);
EXPORT_SYMBOL_GPL(xpv_event_channel_bind_interdomain);
EXPORT_SYMBOL_GPL(xpv_event_channel_close);
EXPORT_SYMBOL_GPL(xpv_event_channel_port);
EXPORT_SYMBOL_GPL(xpv_event_channel_irq);
EXPORT_SYMBOL_GPL(xpv_event_channel_notify);
EXPORT_SYMBOL_GPL(xpv_event_channel_mask);
EXPORT_SYMBOL_GPL(xpv_event_channel_unmask);
EXPORT_SYMBOL_GPL(xpv_event_channel_synchronize);

MODULE_DESCRIPTION("xpv: Xen event channels as Linux interrupts");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
