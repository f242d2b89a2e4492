// SPDX-License-Identifier: GPL-2.0-only
/* The module: its parameters, the notification of user space, and the timings of the last suspend. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "hypervisor/hypervisor.h"
#include "lib/debugfs.h"
#include "suspend/linux.h"
#include "suspend/suspend.h"

struct xpv_suspend_choice xpv_suspend_options = { .down = true, .stop_ms = 5000, .return_ms = 120000 };

static int barrier_set(const char *text, const struct kernel_param *parameter)
{
	static const char *const names[] = { "spin", "down" };
	int choice = sysfs_match_string(names, text);

	if (choice < 0)
		return choice;
	WRITE_ONCE(xpv_suspend_options.down, choice);
	return 0;
}

static int barrier_get(char *buffer, const struct kernel_param *parameter)
{
	return sysfs_emit(buffer, "%s\n", xpv_suspend_options.down ? "down" : "spin");
}

static const struct kernel_param_ops barrier_operations = { .set = barrier_set, .get = barrier_get };
module_param_cb(barrier, &barrier_operations, NULL, 0644);
MODULE_PARM_DESC(
	barrier,
	"while the domain is suspended, the other vCPUs are \"down\" (default; rebuilt when it is restored) or \"spin\" (Xen saves them)");
module_param_named(stop_timeout_ms, xpv_suspend_options.stop_ms, uint, 0644);
MODULE_PARM_DESC(stop_timeout_ms,
		 "Milliseconds that a vCPU may take to stop before xl save or migrate is refused (default 5000)");
module_param_named(return_timeout_ms, xpv_suspend_options.return_ms, uint, 0644);
MODULE_PARM_DESC(return_timeout_ms,
		 "Milliseconds that a vCPU may take to come back after a suspend before the guest panics (default 120000)");

/* ---- /sys/kernel/xpv/suspend: uevents, and a count to poll ---- */

static struct kset *set;
static struct kobject *object;

static ssize_t count_show(struct kobject *kobject, struct kobj_attribute *attribute, char *buffer)
{
	struct xpv_suspend_statistics statistics;

	xpv_suspend_get_statistics(&statistics);
	return sysfs_emit(buffer, "%llu\n", statistics.restored + statistics.cancelled);
}
static struct kobj_attribute count_attribute = __ATTR_RO(count);

static void object_release(struct kobject *released)
{
	kfree(released);
}

static struct kobj_type object_type = {
	.release = object_release,
	.sysfs_ops = &kobj_sysfs_ops,
};

void xpv_suspend_tell(enum xpv_suspend_event event)
{
	static const char *const texts[] = {
		[XPV_SUSPEND_PREPARE] = "XPV_SUSPEND=prepare",
		[XPV_SUSPEND_RESTORED] = "XPV_SUSPEND=restored",
		[XPV_SUSPEND_CANCELLED] = "XPV_SUSPEND=cancelled",
		[XPV_SUSPEND_FAILED] = "XPV_SUSPEND=failed",
	};
	char *environment[] = { (char *)texts[event], NULL };

	/* Ignore errors: there may be no listener. */
	kobject_uevent_env(object, KOBJ_CHANGE, environment);
	if (event == XPV_SUSPEND_RESTORED || event == XPV_SUSPEND_CANCELLED)
		sysfs_notify(object, NULL, "count");
}

static int object_make(void)
{
	int error = -ENOMEM;

	set = kset_create_and_add("xpv", NULL, kernel_kobj);
	if (!set)
		return -ENOMEM;
	object = kzalloc(sizeof(*object), GFP_KERNEL);
	if (!object)
		goto remove_set;
	object->kset = set;
	error = kobject_init_and_add(object, &object_type, NULL, "suspend");
	if (!error)
		error = sysfs_create_file(object, &count_attribute.attr);
	if (!error)
		return 0;
	kobject_put(object);
remove_set:
	kset_unregister(set);
	return error;
}

static void object_remove(void)
{
	sysfs_remove_file(object, &count_attribute.attr);
	kobject_put(object);
	kset_unregister(set);
}

/* ---- /sys/kernel/debug/xpv/suspend ---- */

static void suspend_show(struct xpv_debug_sink *sink)
{
	static const char *const names[] = {
		[XPV_STEP_STARTED] = "started",	    [XPV_STEP_PREPARED] = "prepared",
		[XPV_STEP_STOPPED] = "stopped",	    [XPV_STEP_ENTERING] = "entering",
		[XPV_STEP_RETURNED] = "returned",   [XPV_STEP_EARLY_DONE] = "early_done",
		[XPV_STEP_CPUS_BACK] = "cpus_back", [XPV_STEP_LATE] = "late",
		[XPV_STEP_DONE] = "done",
	};
	struct xpv_suspend_statistics statistics;
	unsigned int i;

	xpv_suspend_get_statistics(&statistics);
	xpv_debug_print(sink, "barrier %s\n", xpv_suspend_options.down ? "down" : "spin");
	xpv_debug_print(sink, "restored %llu\n", statistics.restored);
	xpv_debug_print(sink, "cancelled %llu\n", statistics.cancelled);
	xpv_debug_print(sink, "failed %llu\n", statistics.failed);
	xpv_debug_print(sink, "retries %llu\n", statistics.retries);
	xpv_debug_print(sink, "cpus_rebuilt %llu\n", statistics.cpus_rebuilt);
	xpv_debug_print(sink, "wall_clock_step_ns %lld\n", statistics.wall_clock_step);
	/* Of the last suspend, in ns of CPU 0's TSC. */
	for (i = 0; i < ARRAY_SIZE(names); i++)
		xpv_debug_print(sink, "%s %llu\n", names[i], statistics.step[i]);
	for_each_possible_cpu(i) {
		if (xpv_suspend_cpu_back(i))
			xpv_debug_print(sink, "cpu%u_back %llu\n", i, xpv_suspend_cpu_back(i));
	}
}
static struct xpv_debug_file suspend_file = { .name = "suspend", .show = suspend_show };

static int __init suspend_init(void)
{
	int error;

	if (xpv_hypervisor_ready() != XPV_HYPERVISOR_OWNED)
		return -ENODEV;
	error = xpv_suspend_start();
	if (error)
		return error;
	error = object_make();
	if (error) {
		xpv_suspend_stop();
		return error;
	}
	xpv_cpu_reports_start();
	/* Last: from here on the toolstack may ask for a suspend. */
	error = xpv_control_linux_start();
	if (error) {
		xpv_cpu_reports_stop();
		object_remove();
		xpv_suspend_stop();
		return error;
	}
	xpv_debug_file_add(&suspend_file);
	return 0;
}
module_init(suspend_init);

static void __exit suspend_exit(void)
{
	xpv_debug_file_remove(&suspend_file);
	xpv_control_linux_stop();
	xpv_cpu_reports_stop();
	object_remove();
	xpv_suspend_stop();
}
module_exit(suspend_exit);

EXPORT_SYMBOL_GPL(xpv_suspend);

#ifdef CONFIG_XPV_FAKE_HYPERVISOR
EXPORT_SYMBOL_GPL(xpv_context_save);
EXPORT_SYMBOL_GPL(xpv_context_jump);
EXPORT_SYMBOL_GPL(xpv_suspend_clock);
EXPORT_SYMBOL_GPL(xpv_suspend_options);
EXPORT_SYMBOL_GPL(xpv_suspend_get_statistics);
EXPORT_SYMBOL_GPL(xpv_suspend_cpu_back);
#endif

MODULE_DESCRIPTION("xpv: suspend, and the toolstack's other requests: shutdown, reboot, SysRq");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
/* Load this module where Xen's platform device is: it does not bind to the device, but then there is a toolstack. */
MODULE_ALIAS("pci:v00005853d00000001sv*sd*bc*sc*i*");
