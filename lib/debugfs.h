/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the modules show their state to root; for their Linux sides. */
#ifndef XPV_LIB_DEBUGFS_H
#define XPV_LIB_DEBUGFS_H

struct dentry;

/* /sys/kernel/debug/xpv, there for as long as xpv_lib is loaded. Any context. */
struct dentry *xpv_debugfs_directory(void);

#endif
