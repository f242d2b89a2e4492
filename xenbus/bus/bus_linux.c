// SPDX-License-Identifier: GPL-2.0-only
/* Linux's side of the bus: bus type, devices, drivers and their attributes. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/version.h>
#include <linux/wait_bit.h>

#include "xenbus/linux.h"

/* ---- Devices ---- */

struct xpv_linux_device {
	struct device device;
	struct xpv_device *xpv;
};

/* The Linux driver that represents a frontend driver. */
struct linux_driver {
	struct device_driver driver;
	const struct xpv_frontend_driver *frontend;
	struct list_head list;
};

static struct device *root;

static struct xpv_device *xpv_of(const struct device *device)
{
	return container_of(device, struct xpv_linux_device, device)->xpv;
}

static const struct xpv_frontend_driver *frontend_of(const struct device_driver *driver)
{
	return container_of(driver, struct linux_driver, driver)->frontend;
}

static ssize_t nodename_show(struct device *device, struct device_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%s\n", xpv_device_path(xpv_of(device)));
}
static DEVICE_ATTR_RO(nodename);

static ssize_t devtype_show(struct device *device, struct device_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%s\n", xpv_device_type(xpv_of(device)));
}
static DEVICE_ATTR_RO(devtype);

static ssize_t modalias_show(struct device *device, struct device_attribute *attribute, char *text)
{
	return sysfs_emit(text, "xpv:%s\n", xpv_device_type(xpv_of(device)));
}
static DEVICE_ATTR_RO(modalias);

static ssize_t otherend_show(struct device *device, struct device_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%s\n", xpv_device_backend_path(xpv_of(device)));
}
static DEVICE_ATTR_RO(otherend);

static ssize_t state_show(struct device *device, struct device_attribute *attribute, char *text)
{
	static const char *const names[] = {
		[XenbusStateUnknown] = "Unknown",     [XenbusStateInitialising] = "Initialising",
		[XenbusStateInitWait] = "InitWait",   [XenbusStateInitialised] = "Initialised",
		[XenbusStateConnected] = "Connected", [XenbusStateClosing] = "Closing",
		[XenbusStateClosed] = "Closed",
	};
	unsigned int state = xpv_device_state(xpv_of(device));

	return sysfs_emit(text, "%s\n", state < ARRAY_SIZE(names) ? names[state] : "?");
}
static DEVICE_ATTR_RO(state);

static struct attribute *device_attrs[] = {
	&dev_attr_nodename.attr, &dev_attr_devtype.attr, &dev_attr_modalias.attr,
	&dev_attr_otherend.attr, &dev_attr_state.attr,	 NULL,
};
ATTRIBUTE_GROUPS(device);

/* Number of devices with references. Their release() is in this module, so unload must wait for them. */
static atomic_t devices_alive = ATOMIC_INIT(0);

static void device_release(struct device *device)
{
	struct xpv_linux_device *linux_device = container_of(device, struct xpv_linux_device, device);

	if (linux_device->xpv)
		xpv_device_release(linux_device->xpv);
	kfree(linux_device);
	if (atomic_dec_and_test(&devices_alive))
		wake_up_var(&devices_alive);
}

/* ---- The bus type ---- */

static bool matches(const struct device *device, const struct device_driver *driver)
{
	return !strcmp(frontend_of(driver)->device_type, xpv_device_type(xpv_of(device)));
}

/* Add MODALIAS, from which udev loads the driver, and variables for rules, named as for the kernel's own backends. */
static int add_uevent_vars(const struct device *device, struct kobj_uevent_env *environment)
{
	const struct xpv_device *xpv = xpv_of(device);
	int error = add_uevent_var(environment, "MODALIAS=xpv:%s", xpv_device_type(xpv));

	if (!error)
		error = add_uevent_var(environment, "XENBUS_TYPE=%s", xpv_device_type(xpv));
	if (!error)
		error = add_uevent_var(environment, "XENBUS_PATH=%s", xpv_device_path(xpv));
	if (!error)
		error = add_uevent_var(environment, "XENBUS_HANDLE=%s", xpv_device_id(xpv));
	return error;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
static int bus_match(struct device *device, const struct device_driver *driver)
#else
static int bus_match(struct device *device, struct device_driver *driver)
#endif
{
	return matches(device, driver);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
static int bus_uevent(const struct device *device, struct kobj_uevent_env *environment)
#else
static int bus_uevent(struct device *device, struct kobj_uevent_env *environment)
#endif
{
	return add_uevent_vars(device, environment);
}

static int bus_probe(struct device *device)
{
	return xpv_device_bind(xpv_of(device), frontend_of(device->driver));
}

static void bus_remove(struct device *device)
{
	xpv_device_unbind(xpv_of(device));
}

static struct bus_type xpv_bus = {
	.name = "xpv",
	.match = bus_match,
	.uevent = bus_uevent,
	.probe = bus_probe,
	.remove = bus_remove,
	.dev_groups = device_groups,
};

int xpv_linux_device_make(struct xpv_device *device, const char *name, struct xpv_linux_device **linux_device)
{
	struct xpv_linux_device *made = kzalloc(sizeof(*made), GFP_KERNEL);
	int error;

	if (!made)
		return -ENOMEM;
	atomic_inc(&devices_alive);
	device_initialize(&made->device);
	made->device.bus = &xpv_bus;
	made->device.parent = root;
	made->device.release = device_release;
	error = dev_set_name(&made->device, "%s", name);
	if (error) {
		put_device(&made->device);
		return error;
	}
	made->xpv = device;
	*linux_device = made;
	return 0;
}

int xpv_linux_device_add(struct xpv_linux_device *linux_device)
{
	return device_add(&linux_device->device);
}

void xpv_linux_device_del(struct xpv_linux_device *linux_device)
{
	device_del(&linux_device->device);
}

void xpv_linux_device_put(struct xpv_linux_device *linux_device)
{
	put_device(&linux_device->device);
}

struct device *xpv_linux_device_get(struct xpv_linux_device *linux_device)
{
	return &linux_device->device;
}

/* ---- Drivers ---- */

static LIST_HEAD(drivers);
static DEFINE_MUTEX(drivers_mutex); /* guards `drivers` */

int xpv_frontend_driver_register(const struct xpv_frontend_driver *frontend, struct module *owner)
{
	struct linux_driver *made = kzalloc(sizeof(*made), GFP_KERNEL);
	int error;

	if (!made)
		return -ENOMEM;
	made->frontend = frontend;
	made->driver.name = frontend->name;
	made->driver.owner = owner;
	made->driver.bus = &xpv_bus;
	error = driver_register(&made->driver);
	if (error) {
		kfree(made);
		return error;
	}
	mutex_lock(&drivers_mutex);
	list_add(&made->list, &drivers);
	mutex_unlock(&drivers_mutex);
	return 0;
}
EXPORT_SYMBOL_GPL(xpv_frontend_driver_register);

void xpv_frontend_driver_unregister(const struct xpv_frontend_driver *frontend)
{
	struct linux_driver *driver, *found = NULL;

	mutex_lock(&drivers_mutex);
	list_for_each_entry(driver, &drivers, list) {
		if (driver->frontend == frontend) {
			found = driver;
			list_del(&driver->list);
			break;
		}
	}
	mutex_unlock(&drivers_mutex);
	if (!found)
		return;
	/* driver_unregister() unbinds devices one after another; start to close them all now. */
	xpv_bus_prepare_unregister(frontend);
	driver_unregister(&found->driver);
	kfree(found);
}
EXPORT_SYMBOL_GPL(xpv_frontend_driver_unregister);

void xpv_device_fail(struct xpv_device *device, int error, const char *format, ...)
{
	char text[128];
	va_list arguments;

	va_start(arguments, format);
	vscnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	xpv_device_fail_text(device, error, text);
}
EXPORT_SYMBOL_GPL(xpv_device_fail);

/* ---- Start and stop ---- */

int xpv_bus_linux_start(void)
{
	int error;

	root = root_device_register("xpv");
	if (IS_ERR(root))
		return PTR_ERR(root);
	error = bus_register(&xpv_bus);
	if (error)
		root_device_unregister(root);
	return error;
}

void xpv_bus_linux_wait(void)
{
	wait_var_event(&devices_alive, !atomic_read(&devices_alive));
}

void xpv_bus_linux_stop(void)
{
	bus_unregister(&xpv_bus);
	root_device_unregister(root);
}

EXPORT_SYMBOL_GPL(xpv_device_set_context);
EXPORT_SYMBOL_GPL(xpv_device_get_context);
EXPORT_SYMBOL_GPL(xpv_device_linux);
EXPORT_SYMBOL_GPL(xpv_device_path);
EXPORT_SYMBOL_GPL(xpv_device_id);
EXPORT_SYMBOL_GPL(xpv_device_backend_path);
EXPORT_SYMBOL_GPL(xpv_device_backend_domain);
EXPORT_SYMBOL_GPL(xpv_device_state);
EXPORT_SYMBOL_GPL(xpv_device_read_backend);
EXPORT_SYMBOL_GPL(xpv_device_read_own);
EXPORT_SYMBOL_GPL(xpv_device_publish);
EXPORT_SYMBOL_GPL(xpv_device_initialised);
EXPORT_SYMBOL_GPL(xpv_device_retired);
EXPORT_SYMBOL_GPL(xpv_device_reconnect);
EXPORT_SYMBOL_GPL(xpv_device_parked);
