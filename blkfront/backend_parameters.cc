// SPDX-License-Identifier: GPL-2.0-only
/* Parse the nodes' texts: refuse an invalid sector count or sector size, ignore an invalid hint or feature. */
#include "blkfront/backend_parameters.hh"

#include "lib/xen.hh"

#include <xen/io/blkif.h>

#include "lib/log.hh"
#include "lib/number.hh"
#include "lib/untrusted.hh"

namespace xpv {

namespace {

constexpr bool power_of_2(uint64_t number)
{
	return number != 0 && (number & (number - 1)) == 0;
}

/* Linux uses signed 64-bit byte offsets into a disk. */
constexpr uint64_t most_sectors = INT64_MAX >> 9;
constexpr uint64_t least_sector_size = 512;
constexpr uint64_t most_sector_size = 4096;
constexpr uint64_t most_physical_sector_size = 65536;

Result<uint64_t> required(const char *text)
{
	if (!text)
		return Error(XEN_ENOENT);
	return parse_number(text);
}

/* Return whether a feature is on. A text that is not a number means off. */
bool is_on(const char *text)
{
	return text && parse_number(text).value_or(0) != 0;
}

} // namespace

Result<uint64_t> check_sectors(const char *text)
{
	uint64_t sectors = XPV_TRY(required(text));
	return Untrusted<uint64_t>::from_copy(sectors).between(0, most_sectors);
}

Result<BackendParameters> parse_backend_parameters(const BackendParameterTexts &texts, const char *device)
{
	BackendParameters backend = {};

	auto sectors = check_sectors(texts.sectors);
	if (!sectors.ok()) {
		XPV_ERR_LIMITED("%s: invalid sector count \"%.32s\" from backend", device,
				texts.sectors ? texts.sectors : "");
		return sectors.error();
	}
	backend.sectors = sectors.value();

	auto sector_size = required(texts.sector_size);
	if (!sector_size.ok() || !power_of_2(sector_size.value()) || sector_size.value() < least_sector_size ||
	    sector_size.value() > most_sector_size) {
		XPV_ERR_LIMITED("%s: invalid sector size \"%.32s\" from backend", device,
				texts.sector_size ? texts.sector_size : "");
		return Error(XEN_EINVAL);
	}
	backend.sector_size = static_cast<unsigned int>(sector_size.value());

	/* Only a hint: ignore an invalid value. */
	backend.physical_sector_size = backend.sector_size;
	if (texts.physical_sector_size) {
		uint64_t physical = parse_number(texts.physical_sector_size).value_or(0);
		if (power_of_2(physical) && physical > backend.sector_size && physical <= most_physical_sector_size)
			backend.physical_sector_size = static_cast<unsigned int>(physical);
	}

	uint64_t info = texts.info ? parse_number(texts.info).value_or(0) : 0;
	backend.read_only = (info & VDISK_READONLY) || (texts.mode && texts.mode[0] == 'r');
	backend.removable = info & VDISK_REMOVABLE;

	if (is_on(texts.flush_cache))
		backend.flush = Flush::cache;
	else if (is_on(texts.barrier))
		backend.flush = Flush::barrier;
	return backend;
}

} // namespace xpv
