// SPDX-License-Identifier: GPL-2.0-only
/* The module: a frontend driver for the devices of type "vbd". */

#include <linux/blkdev.h>
#include <linux/major.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "blkfront/linux.h"
#include "lib/debugfs.h"

static const struct xpv_frontend_driver driver = {
	.name = KBUILD_MODNAME,
	.device_type = "vbd",
	.owner = THIS_MODULE,
	.backend_keys = xpv_vbd_backend_keys,
	.probe = xpv_vbd_probe,
	.negotiate = xpv_vbd_negotiate,
	.connect = xpv_vbd_connect,
	.backend_changed = xpv_vbd_backend_changed,
	.disconnect = xpv_vbd_disconnect,
	.connection_lost = xpv_vbd_connection_lost,
	.remove = xpv_vbd_remove,
};

static void show_one(struct xpv_vbd_viewer *viewer, const struct xpv_vbd_state *state)
{
	seq_printf((struct seq_file *)viewer, "%-8s %-24s %-12s %12llu %9u\n", state->name, state->path,
		   state->connected ? "connected" : "-", state->sectors, state->in_flight);
}

static int blkfront_show(struct seq_file *seq, void *unused)
{
	seq_printf(seq, "%-8s %-24s %-12s %12s %9s\n", "DISK", "DEVICE", "STATE", "SECTORS", "IN FLIGHT");
	xpv_vbds_each(show_one, (struct xpv_vbd_viewer *)seq);
	return 0;
}
static struct xpv_debug_file table = { .name = "blkfront", .show = blkfront_show };

static int __init blkfront_init(void)
{
	int error = xpv_vbds_start();

	if (error)
		return error;
	error = register_blkdev(XENVBD_MAJOR, "xvd");
	if (error) {
		pr_err(KBUILD_MODNAME ": block major %d is taken (is the kernel's xen-blkfront loaded?)\n",
		       XENVBD_MAJOR);
		goto stop;
	}
	/* Before there are devices: their parts of a suspend come with them. */
	xpv_suspend_part_register(&xpv_vbds_suspend_part);
	error = xpv_frontend_driver_register(&driver);
	if (error)
		goto stop_suspend;
	xpv_debug_file_add(&table);
	return 0;

stop_suspend:
	xpv_suspend_part_unregister(&xpv_vbds_suspend_part);
	unregister_blkdev(XENVBD_MAJOR, "xvd");
stop:
	xpv_vbds_stop();
	return error;
}
module_init(blkfront_init);

static void __exit blkfront_exit(void)
{
	xpv_debug_file_remove(&table);
	xpv_frontend_driver_unregister(&driver);
	xpv_suspend_part_unregister(&xpv_vbds_suspend_part);
	unregister_blkdev(XENVBD_MAJOR, "xvd");
	xpv_disks_wait_released();
	xpv_vbds_stop();
}
module_exit(blkfront_exit);

MODULE_DESCRIPTION("xpv: Xen block device frontend");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
MODULE_ALIAS("xpv:vbd");
MODULE_ALIAS_BLOCKDEV_MAJOR(XENVBD_MAJOR);
