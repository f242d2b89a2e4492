/* SPDX-License-Identifier: GPL-2.0-only */
/* The modules' state in debugfs, for root and for the operator who asks for it in the log. C and C++. */
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
/* Print text that may hold any byte: what is not printable as "\\xff". Any context. */
void xpv_debug_print_escaped(struct xpv_debug_sink *sink, const char *text, size_t length);

/*
 * A file in /sys/kernel/debug/xpv, 0400, whose content also goes to the log when
 * the hypervisor's operator asks (`xl debug-keys q`: VIRQ_DEBUG). Static; only
 * the first three are the owner's.
 */
struct xpv_debug_file {
	const char *name;
	/* Print the content. Sleeping context. */
	void (*show)(struct xpv_debug_sink *sink);
	/* Not for the log. */
	bool file_only;
	struct dentry *dentry;
	struct {
		void *next, *previous;
	} link;
};
/* Sleeping context. After removal show() does not run and will not. */
void xpv_debug_file_add(struct xpv_debug_file *file);
void xpv_debug_file_remove(struct xpv_debug_file *file);

/* For the module's start and end: make the directory, which is empty again when it goes. Sleeping context. */
void xpv_debugfs_create(void);
void xpv_debugfs_destroy(void);

/* All files into the log, in the order in which they were added. Sleeping context. */
void xpv_debug_report(void);

#ifdef __cplusplus
}
#endif

#endif
