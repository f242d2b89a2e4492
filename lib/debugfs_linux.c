// SPDX-License-Identifier: GPL-2.0-only
#include <linux/debugfs.h>
#include <linux/module.h>

#include "lib/debugfs.h"

static struct dentry *directory;

struct dentry *xpv_debugfs_directory(void)
{
	return directory;
}
EXPORT_SYMBOL_GPL(xpv_debugfs_directory);

static int __init lib_init(void)
{
	/* Without debugfs it is an error pointer, which debugfs takes like any other. */
	directory = debugfs_create_dir("xpv", NULL);
	return 0;
}

static void __exit lib_exit(void)
{
	debugfs_remove(directory);
}

module_init(lib_init);
module_exit(lib_exit);
