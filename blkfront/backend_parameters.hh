/* SPDX-License-Identifier: GPL-2.0-only */
/* The backend's features and parameters in xenstore (blkif.h), validated. */
#pragma once

#include "lib/result.hh"
#include "lib/types.h"

struct xpv_device;

namespace xpv {

/* How to flush the backend's write cache. */
enum class Flush {
	none, /* no write cache */
	cache, /* BLKIF_OP_FLUSH_DISKCACHE */
	barrier, /* BLKIF_OP_WRITE_BARRIER, which can also carry data */
};

struct BackendParameters {
	uint64_t sectors; /* of 512 bytes, for any sector_size */
	unsigned int sector_size;
	unsigned int physical_sector_size;
	Flush flush;
	bool read_only;
	bool removable;
};

/* The nodes' texts as read; null for a missing node. */
struct BackendParameterTexts {
	const char *sectors;
	const char *sector_size;
	const char *physical_sector_size;
	const char *info;
	const char *mode;
	const char *barrier;
	const char *flush_cache;
};

/* Parse and validate the texts. ENOENT, EINVAL or ERANGE for an invalid node, which is logged. */
[[nodiscard]] Result<BackendParameters> parse_backend_parameters(const BackendParameterTexts &texts, const char *device);
/* Parse and validate a number of sectors. Errors as parse_backend_parameters(), without the log line. */
[[nodiscard]] Result<uint64_t> check_sectors(const char *text);

/* The keys that read_backend_parameters() and read_sectors() read, NULL-terminated, for the bus. */
extern const char *const backend_parameter_keys[];
/* Read and validate all keys, in one round trip. Sleeping context. */
[[nodiscard]] Result<BackendParameters> read_backend_parameters(xpv_device *device);
/* Read and validate the number of sectors, in one round trip. Sleeping context. */
[[nodiscard]] Result<uint64_t> read_sectors(xpv_device *device);

} // namespace xpv
