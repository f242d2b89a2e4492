// SPDX-License-Identifier: GPL-2.0-only
/* The module: a frontend driver for the devices of type "vbd". */

#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/major.h>
#include <linux/module.h>

#include "blkfront/linux.h"

static struct xpv_debug_file table = { .name = "blkfront", .show = xpv_vbds_show };

static int __init blkfront_init(void)
{
	int error = register_blkdev(XENVBD_MAJOR, "xvd");

	if (error) {
		pr_err(KBUILD_MODNAME ": cannot register block major %d (%pe), is the kernel's xen-blkfront loaded?\n",
		       XENVBD_MAJOR, ERR_PTR(error));
		return error;
	}
	error = xpv_disks_start();
	if (error)
		goto out_major;
	xpv_vbds_start();
	error = xpv_frontend_driver_register(&xpv_vbd_driver, THIS_MODULE);
	if (error)
		goto out_disks;
	xpv_debug_file_add(&table);
	return 0;

out_disks:
	xpv_disks_stop();
out_major:
	unregister_blkdev(XENVBD_MAJOR, "xvd");
	return error;
}
module_init(blkfront_init);

static void __exit blkfront_exit(void)
{
	xpv_debug_file_remove(&table);
	xpv_frontend_driver_unregister(&xpv_vbd_driver);
	unregister_blkdev(XENVBD_MAJOR, "xvd");
	xpv_disks_stop();
}
module_exit(blkfront_exit);

MODULE_DESCRIPTION("xpv: Xen block device frontend");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
MODULE_ALIAS("xpv:vbd");
MODULE_ALIAS_BLOCKDEV_MAJOR(XENVBD_MAJOR);
