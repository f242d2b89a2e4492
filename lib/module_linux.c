// SPDX-License-Identifier: GPL-2.0-only
/* The module: create and destroy the work queues and the debugfs directory. */

#include <linux/module.h>

#include "lib/debugfs.h"
#include "lib/work_linux.h"

static int __init lib_init(void)
{
	int error = xpv_work_queues_create();

	if (error)
		return error;
	xpv_debugfs_create();
	return 0;
}

static void __exit lib_exit(void)
{
	xpv_debugfs_destroy();
	xpv_work_queues_destroy();
}

module_init(lib_init);
module_exit(lib_exit);

MODULE_DESCRIPTION("xpv: base library of the Xen guest drivers");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
