// SPDX-License-Identifier: GPL-2.0-only
/* The module: a frontend driver for the devices of type "vbd". */

#include <linux/blkdev.h>
#include <linux/major.h>
#include <linux/module.h>

#include "blkfront/linux.h"

static const struct xpv_frontend_driver driver = {
	.name = KBUILD_MODNAME,
	.device_type = "vbd",
	.owner = THIS_MODULE,
	.probe = xpv_vbd_probe,
	.negotiate = xpv_vbd_negotiate,
	.connect = xpv_vbd_connect,
	.backend_changed = xpv_vbd_backend_changed,
	.disconnect = xpv_vbd_disconnect,
	.remove = xpv_vbd_remove,
};

static int __init blkfront_init(void)
{
	int result = register_blkdev(XENVBD_MAJOR, "xvd");

	if (result) {
		pr_err(KBUILD_MODNAME ": block major %d is taken (is the kernel's xen-blkfront loaded?)\n",
		       XENVBD_MAJOR);
		return result;
	}
	result = xpv_frontend_driver_register(&driver);
	if (result)
		unregister_blkdev(XENVBD_MAJOR, "xvd");
	return result;
}
module_init(blkfront_init);

static void __exit blkfront_exit(void)
{
	xpv_frontend_driver_unregister(&driver);
	unregister_blkdev(XENVBD_MAJOR, "xvd");
}
module_exit(blkfront_exit);

MODULE_DESCRIPTION("xpv: Xen block device frontend");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
MODULE_ALIAS("xpv:vbd");
MODULE_ALIAS_BLOCKDEV_MAJOR(XENVBD_MAJOR);
