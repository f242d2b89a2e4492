// SPDX-License-Identifier: GPL-2.0-only
/* The frontend driver's functions, as the bus and the disk's work items call them. */
#include "blkfront/linux.h"
#include "blkfront/registry.hh"
#include "blkfront/vbd.hh"
#include "lib/log.hh"
#include "lib/number.hh"

using namespace xpv;

namespace {

xpv_vbd *vbd_of(const xpv_device *device)
{
	return reinterpret_cast<xpv_vbd *>(xpv_device_get_context(device));
}

} // namespace

int xpv_vbd_probe(xpv_device *device)
{
	enum { VirtualDevice, VirtualDeviceExt, DeviceType, Keys };
	char values[Keys][32];
	xpv_store_read_item items[Keys] = {
		{ .path = "virtual-device", .value = values[VirtualDevice], .size = sizeof(values[0]), .result = 0 },
		{ .path = "virtual-device-ext", .value = values[VirtualDeviceExt], .size = sizeof(values[0]), .result = 0 },
		{ .path = "device-type", .value = values[DeviceType], .size = sizeof(values[0]), .result = 0 },
	};
	int code = xpv_device_read_own(device, items, Keys);
	if (code < 0)
		return code;

	if (items[DeviceType].result >= 0 && __builtin_strncmp(values[DeviceType], "cdrom", 5) == 0) {
		XPV_INFO("%s: a CD-ROM drive, left to the emulated one", xpv_device_path(device));
		xpv_store_write_item closed = { .path = "state", .value = "6" /* XenbusStateClosed */, .result = 0 };
		ignore(status(xpv_device_publish(device, &closed, 1))); /* the backend's own time limit has to do */
		return -XEN_ENODEV;
	}

	const char *text = items[VirtualDevice].result >= 0    ? values[VirtualDevice] :
			   items[VirtualDeviceExt].result >= 0 ? values[VirtualDeviceExt] :
								 xpv_device_id(device);
	auto number = parse_number(text);
	if (!number.ok()) {
		XPV_ERR("%s: invalid virtual-device \"%s\"", xpv_device_path(device), text);
		return number.code();
	}
	auto identity = identify(number.value());
	if (!identity.ok()) {
		XPV_ERR("%s: unsupported virtual-device %#llx; use an xvd* name in the domain's configuration",
			xpv_device_path(device), static_cast<unsigned long long>(number.value()));
		return identity.code();
	}

	auto vbd = xpv_vbd::make(device, identity.value());
	if (!vbd.ok())
		return vbd.code();
	xpv_vbd *made = vbd.value().release();
	xpv_device_set_context(device, reinterpret_cast<xpv_device_context *>(made));
	registry_add(*made);
	return 0;
}

int xpv_vbd_negotiate(xpv_device *device)
{
	return vbd_of(device)->negotiate().code();
}

int xpv_vbd_connect(xpv_device *device)
{
	return vbd_of(device)->connect().code();
}

void xpv_vbd_backend_changed(xpv_device *device)
{
	vbd_of(device)->backend_changed();
}

void xpv_vbd_connection_lost(xpv_device *device)
{
	vbd_of(device)->connection_lost();
}

void xpv_vbd_retire(xpv_device *device)
{
	vbd_of(device)->retire();
}

void xpv_vbd_disconnect(xpv_device *device)
{
	vbd_of(device)->disconnect();
}

void xpv_vbd_hold(xpv_device *device)
{
	vbd_of(device)->hold();
}

int xpv_vbd_drain(xpv_device *device, uint64_t deadline_ms)
{
	vbd_of(device)->drain(deadline_ms);
	return 0;
}

void xpv_vbd_go_on(xpv_device *device, xpv_resume_kind kind)
{
	vbd_of(device)->go_on(kind);
}

void xpv_vbd_remove(xpv_device *device)
{
	Owned<xpv_vbd> freed_here(vbd_of(device));
	registry_remove(*freed_here);
	xpv_device_set_context(device, nullptr);
}

void xpv_vbd_add_failed(xpv_vbd *vbd, int error)
{
	vbd->add_failed(error);
}

void xpv_vbd_retired(xpv_vbd *vbd)
{
	vbd->retired();
}
