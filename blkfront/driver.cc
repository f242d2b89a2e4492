// SPDX-License-Identifier: GPL-2.0-only
/* The frontend driver's table for the bus, its probe(), and the calls from the disk's work items. */
#include "blkfront/linux.h"
#include "blkfront/offer.hh"
#include "blkfront/vbd.hh"
#include "lib/log.hh"
#include "lib/number.hh"
#include "xenbus/frontend_driver.hh"

using namespace xpv;

constinit const xpv_frontend_driver xpv_vbd_driver = FrontendDriver<xpv_vbd>::table("vbd", offer_keys);

Result<Owned<xpv_vbd>> xpv_vbd::probe(xpv_device *device)
{
	enum { VirtualDevice, VirtualDeviceExt, DeviceType, Keys };
	char values[Keys][32];
	xpv_store_read_item items[Keys] = {
		{ .path = "virtual-device", .value = values[VirtualDevice], .size = sizeof(values[0]), .result = 0 },
		{ .path = "virtual-device-ext", .value = values[VirtualDeviceExt], .size = sizeof(values[0]), .result = 0 },
		{ .path = "device-type", .value = values[DeviceType], .size = sizeof(values[0]), .result = 0 },
	};
	XPV_TRY(status(xpv_device_read_own(device, items, Keys)));

	if (items[DeviceType].result >= 0 && __builtin_strncmp(values[DeviceType], "cdrom", 5) == 0) {
		XPV_INFO("%s: a CD-ROM drive, left to the emulated one", xpv_device_path(device));
		xpv_store_write_item closed = { .path = "state", .value = "6" /* XenbusStateClosed */, .result = 0 };
		ignore(status(xpv_device_publish(device, &closed, 1))); /* if it fails, the backend has to time out */
		return Error(XEN_ENODEV);
	}

	const char *text = items[VirtualDevice].result >= 0    ? values[VirtualDevice] :
			   items[VirtualDeviceExt].result >= 0 ? values[VirtualDeviceExt] :
								 xpv_device_id(device);
	auto number = parse_number(text);
	if (!number.ok()) {
		XPV_ERR("%s: invalid virtual-device \"%s\"", xpv_device_path(device), text);
		return number.error();
	}
	auto identity = identify(number.value());
	if (!identity.ok()) {
		XPV_ERR("%s: unsupported virtual-device %#llx; use an xvd* name in the domain's configuration",
			xpv_device_path(device), static_cast<unsigned long long>(number.value()));
		return identity.error();
	}

	return make(device, identity.value());
}

void xpv_vbd_add_failed(xpv_vbd *vbd, int error)
{
	vbd->add_failed(error);
}

void xpv_vbd_retired(xpv_vbd *vbd)
{
	vbd->retired();
}
