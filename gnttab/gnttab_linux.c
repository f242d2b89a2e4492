// SPDX-License-Identifier: GPL-2.0-only
/* Linux's side of the grant table: the module, its exports, and the table of counts in debugfs. */

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/smp.h>

#include "gnttab/gnttab.h"
#include "gnttab/linux.h"
#include "lib/debugfs.h"

void xpv_gnttab_hold_module(void)
{
	/* The caller uses our exports, so there is a reference already. */
	__module_get(THIS_MODULE);
}

void xpv_gnttab_release_module(void)
{
	module_put(THIS_MODULE);
}

void xpv_gnttab_hold_frame(struct xpv_pfn frame)
{
	if (pfn_valid(frame.value))
		get_page(pfn_to_page(frame.value));
}

void xpv_gnttab_release_frame(struct xpv_pfn frame)
{
	if (pfn_valid(frame.value))
		put_page(pfn_to_page(frame.value));
}

DEFINE_PER_CPU(struct xpv_gnttab_magazine *, xpv_gnttab_magazine_of_cpu);

void xpv_gnttab_set_magazine(unsigned int cpu, struct xpv_gnttab_magazine *magazine)
{
	if (cpu_possible(cpu))
		per_cpu(xpv_gnttab_magazine_of_cpu, cpu) = magazine;
}

struct cpu_call {
	void (*function)(struct xpv_gnttab_cpu_context *context);
	struct xpv_gnttab_cpu_context *context;
};

static void call_on_cpu(void *argument)
{
	const struct cpu_call *call = argument;

	call->function(call->context);
}

void xpv_gnttab_on_each_cpu(void (*function)(struct xpv_gnttab_cpu_context *context),
			    struct xpv_gnttab_cpu_context *context)
{
	struct cpu_call call = { function, context };

	on_each_cpu(call_on_cpu, &call, 1);
}

static void gnttab_show(struct xpv_debug_sink *sink)
{
	struct xpv_gnttab_pool_line pool;
	struct xpv_grant_counts counts;
	unsigned int i;

	xpv_grant_get_counts(&counts);
	xpv_debug_print(sink, "version       %u\n", counts.version);
	xpv_debug_print(sink, "frames        %u\n", counts.frames);
	xpv_debug_print(sink, "frames limit  %u\n", counts.frames_limit);
	xpv_debug_print(sink, "references    %u\n", counts.total);
	xpv_debug_print(sink, "free          %u\n", counts.free);
	xpv_debug_print(sink, "in pools      %u\n", counts.pooled);
	xpv_debug_print(sink, "parked        %u\n", counts.parked);
	xpv_debug_print(sink, "lost          %u\n", counts.lost);
	xpv_debug_print(sink, "waiters       %u\n", counts.waiters);
	xpv_debug_print(sink, "foreign       %u\n", counts.foreign_mapped);
	xpv_debug_print(sink, "foreign stuck %u\n", counts.foreign_stuck);
	for (i = 0; xpv_gnttab_describe_pool(i, &pool); i++) {
		xpv_debug_print(sink, "pool %s holds %u\n", pool.name, pool.owned);
		xpv_debug_print(sink, "pool %s issued %u\n", pool.name, pool.issued);
	}
}
static struct xpv_debug_file counts_file = { .name = "gnttab", .show = gnttab_show };

static int __init gnttab_module_init(void)
{
	int code = xpv_gnttab_load();

	if (code)
		return code;
	code = xpv_gntalloc_register();
	if (code)
		goto unload;
	code = xpv_gntdev_register();
	if (code)
		goto unregister;
	xpv_debug_file_add(&counts_file);
	return 0;

unregister:
	xpv_gntalloc_unregister();
unload:
	xpv_gnttab_unload();
	return code;
}
module_init(gnttab_module_init);

static void __exit gnttab_module_exit(void)
{
	xpv_debug_file_remove(&counts_file);
	xpv_gntdev_unregister();
	xpv_gntalloc_unregister();
	xpv_gnttab_unload();
}
module_exit(gnttab_module_exit);

EXPORT_SYMBOL_GPL(xpv_grant_page);
EXPORT_SYMBOL_GPL(xpv_grant_pages);
EXPORT_SYMBOL_GPL(xpv_grant_try_revoke);
EXPORT_SYMBOL_GPL(xpv_grant_revoke_pages);
EXPORT_SYMBOL_GPL(xpv_grant_revoke_and_free);
EXPORT_SYMBOL_GPL(xpv_grant_wait);
EXPORT_SYMBOL_GPL(xpv_grant_wait_cancel);
EXPORT_SYMBOL_GPL(xpv_grant_pool_create);
EXPORT_SYMBOL_GPL(xpv_grant_pool_destroy);
EXPORT_SYMBOL_GPL(xpv_grant_pool_available);
EXPORT_SYMBOL_GPL(xpv_grant_pool_issue);
EXPORT_SYMBOL_GPL(xpv_grant_pool_revoke);
EXPORT_SYMBOL_GPL(xpv_grant_park);
EXPORT_SYMBOL_GPL(xpv_grant_map);
EXPORT_SYMBOL_GPL(xpv_grant_unmap);
EXPORT_SYMBOL_GPL(xpv_grant_map_window);
EXPORT_SYMBOL_GPL(xpv_grant_window_address);
EXPORT_SYMBOL_GPL(xpv_grant_unmap_window);
EXPORT_SYMBOL_GPL(xpv_grant_copy);
EXPORT_SYMBOL_GPL(xpv_grant_get_counts);

MODULE_DESCRIPTION("xpv: Xen grant tables");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
