// SPDX-License-Identifier: GPL-2.0-only
/* The debugfs directory "xpv", its files by seq_file, and the report of their content to the log. */

#include <linux/build_bug.h>
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/string_helpers.h>

#include "lib/debugfs.h"

/* The most that is logged of one file, in bytes. */
#define REPORT_SIZE 16384

static struct dentry *directory;
static LIST_HEAD(files);
static DEFINE_MUTEX(files_mutex);

static_assert(sizeof(struct list_head) == sizeof(((struct xpv_debug_file *)0)->link));

/* A sink is the struct seq_file. */
static struct xpv_debug_sink *sink_of(struct seq_file *seq)
{
	return (struct xpv_debug_sink *)seq;
}

static struct seq_file *seq_of(struct xpv_debug_sink *sink)
{
	return (struct seq_file *)sink;
}

static int debug_file_show(struct seq_file *seq, void *unused)
{
	const struct xpv_debug_file *shown = seq->private;

	shown->show(sink_of(seq));
	return 0;
}

static int debug_file_open(struct inode *inode, struct file *file)
{
	return single_open(file, debug_file_show, inode->i_private);
}

static const struct file_operations debug_file_operations = {
	.owner = THIS_MODULE,
	.open = debug_file_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static struct list_head *link_of(struct xpv_debug_file *file)
{
	return (struct list_head *)&file->link;
}

void xpv_debug_file_add(struct xpv_debug_file *file)
{
	mutex_lock(&files_mutex);
	list_add_tail(link_of(file), &files);
	mutex_unlock(&files_mutex);
	file->dentry = debugfs_create_file(file->name, 0400, directory, file, &debug_file_operations);
}
EXPORT_SYMBOL_GPL(xpv_debug_file_add);

void xpv_debug_file_remove(struct xpv_debug_file *file)
{
	debugfs_remove(file->dentry);
	mutex_lock(&files_mutex);
	list_del(link_of(file));
	mutex_unlock(&files_mutex);
}
EXPORT_SYMBOL_GPL(xpv_debug_file_remove);

void xpv_debug_print(struct xpv_debug_sink *sink, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	seq_vprintf(seq_of(sink), format, arguments);
	va_end(arguments);
}
EXPORT_SYMBOL_GPL(xpv_debug_print);

void xpv_debug_print_escaped(struct xpv_debug_sink *sink, const char *text, size_t length)
{
	seq_escape_mem(seq_of(sink), text, length, ESCAPE_NP | ESCAPE_HEX, NULL);
}
EXPORT_SYMBOL_GPL(xpv_debug_print_escaped);

static void report(const struct xpv_debug_file *file, char *buffer)
{
	struct seq_file seq = { .buf = buffer, .size = REPORT_SIZE };
	char *line;

	file->show(sink_of(&seq));
	buffer[min_t(size_t, seq.count, REPORT_SIZE - 1)] = '\0';
	while ((line = strsep(&buffer, "\n"))) {
		if (*line)
			pr_info("xpv %s: %s\n", file->name, line);
	}
}

void xpv_debug_report(void)
{
	char *buffer = kvmalloc(REPORT_SIZE, GFP_KERNEL);
	struct list_head *link;

	if (!buffer)
		return;
	mutex_lock(&files_mutex);
	list_for_each(link, &files) {
		const struct xpv_debug_file *file = container_of((void *)link, struct xpv_debug_file, link);

		if (!file->file_only)
			report(file, buffer);
	}
	mutex_unlock(&files_mutex);
	kvfree(buffer);
}
EXPORT_SYMBOL_GPL(xpv_debug_report);

void xpv_debugfs_create(void)
{
	/* Without debugfs this is an error pointer, which the debugfs functions accept like any other. */
	directory = debugfs_create_dir("xpv", NULL);
}

void xpv_debugfs_destroy(void)
{
	debugfs_remove(directory);
}
