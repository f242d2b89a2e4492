/* SPDX-License-Identifier: GPL-2.0-only */
/* The modules' state in debugfs, for root, and in the log when the hypervisor's operator asks for it. C and C++. */
#ifndef XPV_LIB_DEBUGFS_H
#define XPV_LIB_DEBUGFS_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dentry;

/* What a debug file prints to. */
struct xpv_debug_sink;
/* As seq_printf(). Any context. */
__attribute__((format(printf, 2, 3))) void xpv_debug_print(struct xpv_debug_sink *sink, const char *format, ...);
/* Print text that may contain any byte; escape bytes that are not printable as "\\xff". Any context. */
void xpv_debug_print_escaped(struct xpv_debug_sink *sink, const char *text, size_t length);

/*
 * A file in /sys/kernel/debug/xpv, mode 0400. Its content is also logged when the
 * hypervisor's operator asks for it (`xl debug-keys q`: VIRQ_DEBUG). Static; the
 * owner sets only the first three members.
 */
struct xpv_debug_file {
	const char *name;
	/* Print the content. Sleeping context. */
	void (*show)(struct xpv_debug_sink *sink);
	/* Do not log the content. */
	bool file_only;
	struct dentry *dentry;
	struct {
		void *next, *previous;
	} link;
};
/* Add a file. Sleeping context. */
void xpv_debug_file_add(struct xpv_debug_file *file);
/* Remove a file. On return show() does not run and is not called any more. Sleeping context. */
void xpv_debug_file_remove(struct xpv_debug_file *file);

/* Create the directory, when the module is loaded. Sleeping context. */
void xpv_debugfs_create(void);
/* Remove the directory, which is empty again, when the module is unloaded. Sleeping context. */
void xpv_debugfs_destroy(void);

/* Log the content of all files but those with file_only, in the order in which they were added. Sleeping context. */
void xpv_debug_report(void);

#ifdef __cplusplus
}
#endif

#endif
