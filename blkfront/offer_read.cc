// SPDX-License-Identifier: GPL-2.0-only
/* Read the backend's features from xenstore, unless the bus has read them already. */
#include "blkfront/offer.hh"

#include "blkfront/linux.h"
#include "xenbus/xenbus.h"

namespace {
enum { Sectors, SectorSize, PhysicalSectorSize, Info, Mode, Barrier, FlushCache, Keys };
} // namespace

const char *const xpv::offer_keys[Keys + 1] = {
	"sectors", "sector-size",     "physical-sector-size", "info",
	"mode",	   "feature-barrier", "feature-flush-cache",  nullptr,
};

namespace xpv {

Result<Offer> read_offer(xpv_device *device)
{
	char values[Keys][32];
	xpv_store_read_item items[Keys];
	for (unsigned int i = 0; i < Keys; i++)
		items[i] = { .path = offer_keys[i], .value = values[i], .size = sizeof(values[i]), .result = 0 };
	XPV_TRY(status(xpv_device_read_backend(device, items, Keys)));

	auto text = [&items](unsigned int i) -> const char * { return items[i].result >= 0 ? items[i].value : nullptr; };
	return check_offer({ .sectors = text(Sectors),
			     .sector_size = text(SectorSize),
			     .physical_sector_size = text(PhysicalSectorSize),
			     .info = text(Info),
			     .mode = text(Mode),
			     .barrier = text(Barrier),
			     .flush_cache = text(FlushCache) },
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
