// SPDX-License-Identifier: GPL-2.0-only
/* The module. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/string.h>

#include "evtchn/evtchn_owned.h"
#include "evtchn/linux.h"
#include "hypervisor/hypervisor.h"

static char *abi = "auto";
module_param(abi, charp, 0444);
MODULE_PARM_DESC(
	abi,
	"Event channel ABI: fifo, 2level or auto (default: fifo where Xen has it). A domain that used fifo once cannot go back");

static int abi_wanted(enum xpv_evtchn_abi *wanted)
{
	static const char *const names[] = { [XPV_ABI_AUTO] = "auto", [XPV_ABI_FIFO] = "fifo", [XPV_ABI_2LEVEL] = "2level" };
	int found = match_string(names, ARRAY_SIZE(names), abi);

	if (found < 0)
		return -EINVAL;
	*wanted = found;
	return 0;
}

static int __init evtchn_init(void)
{
	enum xpv_evtchn_abi wanted;
	int error;

	if (xpv_hypervisor_ready() != XPV_HYPERVISOR_OWNED)
		return -ENODEV;
	error = abi_wanted(&wanted);
	if (error)
		return error;
	error = xpv_ports_start(wanted);
	if (error) {
		pr_err("cannot set up event channels (%pe)\n", ERR_PTR(error));
		return error;
	}
	error = xpv_channels_start();
	if (error)
		goto stop_ports;
	error = xpv_irqs_start();
	if (error)
		goto stop_channels;
	error = xpv_upcalls_start();
	if (error) {
		pr_err("cannot set up event channel upcalls (%pe)\n", ERR_PTR(error));
		goto stop_irqs;
	}
	error = xpv_event_users_start();
	if (error)
		goto stop_upcalls;
	error = xpv_event_node_register();
	if (error)
		goto stop_users;
	xpv_suspend_part_register(&xpv_evtchn_suspend_part);
	xpv_evtchn_debug_start();
	pr_info("event channels use the %s ABI, upcalls use %s\n", xpv_ports_abi(), xpv_upcalls_kind());
	return 0;

stop_users:
	xpv_event_users_stop();
stop_upcalls:
	xpv_upcalls_stop();
stop_irqs:
	xpv_irqs_stop();
stop_channels:
	xpv_channels_stop();
stop_ports:
	xpv_ports_stop();
	return error;
}

static void __exit evtchn_exit(void)
{
	xpv_evtchn_debug_stop();
	xpv_event_node_unregister();
	xpv_event_users_stop();
	xpv_suspend_part_unregister(&xpv_evtchn_suspend_part);
	xpv_upcalls_stop();
	xpv_irqs_stop();
	xpv_channels_stop();
	xpv_ports_stop();
}

module_init(evtchn_init);
module_exit(evtchn_exit);

EXPORT_SYMBOL_GPL(xpv_event_channel_alloc_unbound);
EXPORT_SYMBOL_GPL(xpv_event_channel_adopt);
EXPORT_SYMBOL_GPL(xpv_event_channel_bind_interdomain);
EXPORT_SYMBOL_GPL(xpv_event_channel_bind_virq);
EXPORT_SYMBOL_GPL(xpv_event_channel_bind_ipi);
EXPORT_SYMBOL_GPL(xpv_event_channel_close);
EXPORT_SYMBOL_GPL(xpv_event_channel_lost);
EXPORT_SYMBOL_GPL(xpv_event_channel_rebind_adopted);
EXPORT_SYMBOL_GPL(xpv_event_channel_rebind_unbound);
EXPORT_SYMBOL_GPL(xpv_event_channel_port);
EXPORT_SYMBOL_GPL(xpv_event_channel_irq);
EXPORT_SYMBOL_GPL(xpv_event_channel_notify);
EXPORT_SYMBOL_GPL(xpv_event_channel_mask);
EXPORT_SYMBOL_GPL(xpv_event_channel_unmask);
EXPORT_SYMBOL_GPL(xpv_event_channel_synchronize);
EXPORT_SYMBOL_GPL(xpv_event_channel_spurious);
EXPORT_SYMBOL_GPL(xpv_event_channel_eoi);
EXPORT_SYMBOL_GPL(xpv_event_channel_set_priority);
EXPORT_SYMBOL_GPL(xpv_event_port_hold);
EXPORT_SYMBOL_GPL(xpv_event_port_release);
EXPORT_SYMBOL_GPL(xpv_event_port_notify);

MODULE_DESCRIPTION("xpv: Xen event channels as Linux interrupts");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
