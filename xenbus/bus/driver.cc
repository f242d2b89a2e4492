// SPDX-License-Identifier: GPL-2.0-only
/* The functions of xenbus.h that drivers call for a device. */
#include "xenbus/bus/device.hh"

#include "lib/memory.hh"
#include "xenbus/bus/path_prefix.hh"

using namespace xpv;

namespace {

int read_below(std::string_view directory, xpv_store_read_item *items, unsigned int count)
{
	ScopedPathPrefix<xpv_store_read_item> prefixed(items, count);
	Status placed = prefixed.place(directory);
	return placed.ok() ? xpv_store_read_many(XPV_STORE_NO_TRANSACTION, items, count) : placed.code();
}

} // namespace

void xpv_device_set_context(xpv_device *device, xpv_device_context *context)
{
	device->context = context;
}

xpv_device_context *xpv_device_get_context(const xpv_device *device)
{
	return device->context;
}

struct device *xpv_device_linux(xpv_device *device)
{
	return device->linux_device();
}

const char *xpv_device_path(const xpv_device *device)
{
	return device->path();
}

const char *xpv_device_id(const xpv_device *device)
{
	return device->identity().id.get();
}

const char *xpv_device_type(const xpv_device *device)
{
	return device->identity().type.get();
}

const char *xpv_device_backend_path(const xpv_device *device)
{
	return device->identity().backend_path.get();
}

xpv_domid xpv_device_backend_domain(const xpv_device *device)
{
	return device->identity().backend;
}

enum xenbus_state xpv_device_state(const xpv_device *device)
{
	return device->state();
}

int xpv_device_read_backend(xpv_device *device, xpv_store_read_item *items, unsigned int count)
{
	device->assert_in_driver();
	if (device->read_cached(items, count))
		return 0;
	return read_below(device->identity().backend_path.view(), items, count);
}

int xpv_device_read_own(xpv_device *device, xpv_store_read_item *items, unsigned int count)
{
	return read_below(device->path(), items, count);
}

int xpv_device_publish(xpv_device *device, xpv_store_write_item *items, unsigned int count)
{
	if (device->vanished())
		return Error(XEN_ENODEV).negative();
	if (device->restoring())
		return Error(XEN_EAGAIN).negative();
	ScopedPathPrefix<xpv_store_write_item> prefixed(items, count);
	Status placed = prefixed.place(device->path());
	return placed.ok() ? xpv_store_write_many(XPV_STORE_NO_TRANSACTION, items, count) : placed.code();
}

int xpv_device_initialised(xpv_device *device, xpv_store_write_item *items, unsigned int count)
{
	device->assert_in_driver();
	auto all = Array<xpv_store_write_item>::make(static_cast<size_t>(count) + 1, XPV_MAY_SLEEP_NO_IO);
	if (!all.ok())
		return all.code();
	for (unsigned int i = 0; i < count; i++)
		all.value()[i] = items[i];
	xenbus_state initialised = device->state_in(Phase::initialised);
	char state[4];
	xpv_format(state, sizeof(state), "%d", static_cast<int>(initialised));
	all.value()[count] = { .path = "state", .value = state, .result = 0 };
	int code = xpv_device_publish(device, all.value().data(), count + 1);
	for (unsigned int i = 0; i < count; i++)
		items[i].result = all.value()[i].result;
	device->state_written(initialised, code == 0);
	return code;
}

void xpv_device_fail_text(xpv_device *device, int error, const char *text)
{
	device->fail(error, text);
}

void xpv_device_retired(xpv_device *device)
{
	device->retired();
}

void xpv_device_reconnect(xpv_device *device)
{
	device->reconnect();
}

void xpv_device_parked(xpv_device *device, unsigned int pages)
{
	device->parked(pages);
}

int xpv_device_bind(xpv_device *device, const xpv_frontend_driver *driver)
{
	return device->bind(*driver);
}

void xpv_device_unbind(xpv_device *device)
{
	device->unbind();
}
