/* SPDX-License-Identifier: GPL-2.0-only */
/* The modules' state in debugfs, for root and for the operator who asks for it in the log. C and C++. */
#ifndef XPV_LIB_DEBUGFS_H
#define XPV_LIB_DEBUGFS_H

#ifdef __cplusplus
extern "C" {
#endif

struct dentry;
struct seq_file;

/* What a debug file prints to: the struct seq_file of its show(), for C++. */
struct xpv_debug_sink;
#ifndef __cplusplus
/* In show(). */
static inline struct xpv_debug_sink *xpv_debug_sink_of(struct seq_file *seq)
{
	return (struct xpv_debug_sink *)seq;
}
#endif
/* As seq_printf(). Any context. */
__attribute__((format(printf, 2, 3)))
void xpv_debug_print(struct xpv_debug_sink *sink, const char *format, ...);

/* /sys/kernel/debug/xpv, there for as long as xpv_lib is loaded. Any context. */
struct dentry *xpv_debugfs_directory(void);

/*
 * A file there, 0400, whose content also goes to the log when the
 * hypervisor's operator asks (`xl debug-keys q`: VIRQ_DEBUG). Static; only
 * `name` and `show` are the owner's.
 */
struct xpv_debug_file {
	const char *name;
	int (*show)(struct seq_file *seq, void *unused);
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
