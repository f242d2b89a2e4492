// SPDX-License-Identifier: GPL-2.0-only
/* Bind drivers to devices of their type under each device's lock, as Linux's driver core does. */
#include "tests/host/fake/xenbus.hh"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "lib/xen.hh"
#include "tests/host/fake/shim.hh"

#include <xen/errno.h>

/* ---- The device bus: matching, binding, and each device's lock ---- */

struct xpv_linux_device {
	fake::Mutex lock; /* as device_lock(): bind and unbind */
	xpv_device *device = nullptr;
	const xpv_frontend_driver *driver = nullptr;
	bool added = false;
	bool dead = false;

	/* As Linux's release(): when the last reference goes. */
	~xpv_linux_device() { xpv_device_release(device); }
};

namespace {

std::mutex lists_mutex;
std::set<std::shared_ptr<xpv_linux_device>> devices;
std::vector<const xpv_frontend_driver *> drivers;
bool fail_next_add = false;

void try_bind(xpv_linux_device &linux_device, const xpv_frontend_driver *driver)
{
	std::lock_guard guard(linux_device.lock);
	if (!linux_device.added || linux_device.dead || linux_device.driver ||
	    std::strcmp(driver->device_type, xpv_device_type(linux_device.device)) != 0)
		return;
	if (xpv_device_bind(linux_device.device, driver) == 0)
		linux_device.driver = driver;
}

void unbind(xpv_linux_device &linux_device, const xpv_frontend_driver *driver, bool dead)
{
	std::lock_guard guard(linux_device.lock);
	linux_device.dead |= dead;
	if (!linux_device.driver || (driver && linux_device.driver != driver))
		return;
	xpv_device_unbind(linux_device.device);
	linux_device.driver = nullptr;
}

std::vector<std::shared_ptr<xpv_linux_device>> all_devices()
{
	std::lock_guard guard(lists_mutex);
	return { devices.begin(), devices.end() };
}

} // namespace

void fake::fail_adding_a_device()
{
	std::lock_guard guard(lists_mutex);
	fail_next_add = true;
}

int xpv_linux_device_make(xpv_device *device, const char *, xpv_linux_device **linux_device)
{
	auto made = std::make_shared<xpv_linux_device>();
	made->device = device;
	*linux_device = made.get();
	std::lock_guard guard(lists_mutex);
	devices.insert(made);
	return 0;
}

int xpv_linux_device_add(xpv_linux_device *linux_device)
{
	std::vector<const xpv_frontend_driver *> known;
	{
		std::lock_guard guard(lists_mutex);
		if (std::exchange(fail_next_add, false))
			return -XEN_ENOMEM;
		linux_device->added = true;
		known = drivers;
	}
	for (const xpv_frontend_driver *driver : known)
		try_bind(*linux_device, driver);
	return 0;
}

void xpv_linux_device_del(xpv_linux_device *linux_device)
{
	unbind(*linux_device, nullptr, true);
}

/* Whoever else refers to the device, as the list does for a moment, uses it after this. */
void xpv_linux_device_put(xpv_linux_device *linux_device)
{
	std::shared_ptr<xpv_linux_device> last;
	{
		std::lock_guard guard(lists_mutex);
		auto found = std::find_if(devices.begin(), devices.end(), [&](const auto &device) {
			return device.get() == linux_device;
		});
		last = *found;
		devices.erase(found);
	}
}

struct device *xpv_linux_device_get(xpv_linux_device *linux_device)
{
	return reinterpret_cast<struct device *>(linux_device);
}

int xpv_frontend_driver_register(const xpv_frontend_driver *driver, module *)
{
	{
		std::lock_guard guard(lists_mutex);
		drivers.push_back(driver);
	}
	for (auto &device : all_devices())
		try_bind(*device, driver);
	return 0;
}

void xpv_frontend_driver_unregister(const xpv_frontend_driver *driver)
{
	{
		std::lock_guard guard(lists_mutex);
		std::erase(drivers, driver);
	}
	xpv_bus_prepare_unregister(driver);
	for (auto &device : all_devices())
		unbind(*device, driver, false);
}

void xpv_device_fail(xpv_device *device, int error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	std::string text = fake::format_text(format, arguments);
	va_end(arguments);
	text.resize(std::min(text.size(), std::size_t(127)));
	xpv_device_fail_text(device, error, text.c_str());
}

/* ---- /dev/xen/xenbus ---- */

void xpv_store_node_wake(xpv_store_node *node)
{
	std::lock_guard guard(node->mutex);
	node->wakes++;
	node->changed.notify_all();
}
