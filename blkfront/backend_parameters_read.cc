// SPDX-License-Identifier: GPL-2.0-only
/* Read the backend's features from xenstore, unless the bus has read them already. */
#include "blkfront/backend_parameters.hh"

#include "blkfront/linux.h"
#include "xenbus/xenbus.h"

namespace {
enum {
	key_sectors,
	key_sector_size,
	key_physical_sector_size,
	key_info,
	key_mode,
	key_barrier,
	key_flush_cache,
	key_count
};
} // namespace

const char *const xpv::backend_parameter_keys[key_count + 1] = {
	"sectors", "sector-size",     "physical-sector-size", "info",
	"mode",	   "feature-barrier", "feature-flush-cache",  nullptr,
};

namespace xpv {

Result<BackendParameters> read_backend_parameters(xpv_device *device)
{
	char values[key_count][32];
	xpv_store_read_item items[key_count];
	for (unsigned int i = 0; i < key_count; i++)
		items[i] = { .path = backend_parameter_keys[i], .value = values[i], .size = sizeof(values[i]), .result = 0 };
	XPV_TRY(status(xpv_device_read_backend(device, items, key_count)));

	auto text = [&items](unsigned int i) -> const char * { return items[i].result >= 0 ? items[i].value : nullptr; };
	return parse_backend_parameters(
		{ .sectors = text(key_sectors),
		  .sector_size = text(key_sector_size),
		  .physical_sector_size = text(key_physical_sector_size),
		  .info = text(key_info),
		  .mode = text(key_mode),
		  .barrier = text(key_barrier),
		  .flush_cache = text(key_flush_cache) },
		xpv_device_id(device));
}

Result<uint64_t> read_sectors(xpv_device *device)
{
	char value[32];
	xpv_store_read_item item = { .path = "sectors", .value = value, .size = sizeof(value), .result = 0 };
	XPV_TRY(status(xpv_device_read_backend(device, &item, 1)));
	return check_sectors(item.result >= 0 ? value : nullptr);
}

} // namespace xpv
