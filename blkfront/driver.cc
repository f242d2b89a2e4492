// SPDX-License-Identifier: GPL-2.0-only
/* The frontend driver's table for the bus, its probe(), and the calls from the disk's work items. */
#include "blkfront/linux.h"
#include "blkfront/backend_parameters.hh"
#include "blkfront/vbd.hh"
#include "lib/log.hh"
#include "lib/number.hh"
#include "xenbus/frontend_driver.hh"

using namespace xpv;

constinit const xpv_frontend_driver xpv_vbd_driver = FrontendDriver<xpv_vbd>::table("vbd", backend_parameter_keys);

Result<Owned<xpv_vbd>> xpv_vbd::probe(xpv_device *device)
{
	enum { key_virtual_device, key_virtual_device_ext, key_device_type, key_count };
	char values[key_count][32];
	xpv_store_read_item items[key_count] = {
		{ .path = "virtual-device", .value = values[key_virtual_device], .size = sizeof(values[0]), .result = 0 },
		{ .path = "virtual-device-ext",
		  .value = values[key_virtual_device_ext],
		  .size = sizeof(values[0]),
		  .result = 0 },
		{ .path = "device-type", .value = values[key_device_type], .size = sizeof(values[0]), .result = 0 },
	};
	XPV_TRY(status(xpv_device_read_own(device, items, key_count)));

	if (items[key_device_type].result >= 0 && __builtin_strncmp(values[key_device_type], "cdrom", 5) == 0) {
		XPV_INFO("%s: CD-ROM drive is not supported, use the emulated one", xpv_device_path(device));
		xpv_store_write_item closed = { .path = "state", .value = "6" /* XenbusStateClosed */, .result = 0 };
		ignore(status(xpv_device_publish(device, &closed, 1))); /* if it fails, the backend has to time out */
		return Error(XEN_ENODEV);
	}

	const char *text = items[key_virtual_device].result >= 0     ? values[key_virtual_device] :
			   items[key_virtual_device_ext].result >= 0 ? values[key_virtual_device_ext] :
								       xpv_device_id(device);
	auto number = parse_number(text);
	if (!number.ok()) {
		XPV_ERR("%s: invalid virtual-device \"%s\"", xpv_device_path(device), text);
		return number.error();
	}
	auto identity = identify(number.value());
	if (!identity.ok()) {
		XPV_ERR("%s: unsupported virtual-device %llu; use an xvd* name in the domain's configuration",
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
