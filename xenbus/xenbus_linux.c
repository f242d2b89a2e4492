// SPDX-License-Identifier: GPL-2.0-only
/* The module: its start and stop, its parameter, and its exports for xenstore. */

#include <linux/module.h>

#include "hypervisor/hypervisor.h"
#include "xenbus/linux.h"

static unsigned int store_timeout_ms = 60000;
module_param(store_timeout_ms, uint, 0444);
MODULE_PARM_DESC(store_timeout_ms, "Milliseconds to wait for a reply from xenstored (default 60000)");

static int __init xenbus_init(void)
{
	int error;

	if (xpv_hypervisor_ready() != XPV_HYPERVISOR_OWNED)
		return -ENODEV;
	error = xpv_store_start(store_timeout_ms);
	if (error)
		return error;
	error = xpv_bus_linux_start();
	if (error)
		goto stop_store;
	error = xpv_store_users_start();
	if (error)
		goto stop_linux_bus;
	error = xpv_bus_start();
	if (error)
		goto stop_users;
	error = xpv_store_node_register();
	if (error)
		goto stop_bus;
	xpv_suspend_part_register(&xpv_xenbus_suspend_part);
	xpv_xenbus_debug_start();
	return 0;

stop_bus:
	xpv_bus_stop();
	xpv_bus_linux_wait();
stop_users:
	xpv_store_users_stop();
stop_linux_bus:
	xpv_bus_linux_stop();
stop_store:
	xpv_store_stop();
	return error;
}
module_init(xenbus_init);

static void __exit xenbus_exit(void)
{
	xpv_xenbus_debug_stop();
	xpv_suspend_part_unregister(&xpv_xenbus_suspend_part);
	xpv_store_node_unregister();
	xpv_bus_stop();
	xpv_bus_linux_wait();
	xpv_store_users_stop();
	xpv_bus_linux_stop();
	xpv_store_stop();
}
module_exit(xenbus_exit);

EXPORT_SYMBOL_GPL(xpv_store_read);
EXPORT_SYMBOL_GPL(xpv_store_write);
EXPORT_SYMBOL_GPL(xpv_store_remove);
EXPORT_SYMBOL_GPL(xpv_store_directory);
EXPORT_SYMBOL_GPL(xpv_store_read_many);
EXPORT_SYMBOL_GPL(xpv_store_write_many);
EXPORT_SYMBOL_GPL(xpv_store_transaction_start);
EXPORT_SYMBOL_GPL(xpv_store_transaction_end);
EXPORT_SYMBOL_GPL(xpv_store_watch_register);
EXPORT_SYMBOL_GPL(xpv_store_watch_registered);
EXPORT_SYMBOL_GPL(xpv_store_watch_unregister);

MODULE_DESCRIPTION("xpv: xenstore client and device bus");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
/* A guest with a Xen platform device can have devices on this bus. */
MODULE_ALIAS("pci:v00005853d00000001sv*sd*bc*sc*i*");
