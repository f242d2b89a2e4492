/* SPDX-License-Identifier: GPL-2.0-only */
/* What the backend says of its disk in the store (blkif.h), checked. */
#pragma once

#include "lib/result.hh"
#include "lib/types.h"

struct xpv_device;

namespace xpv {

/* How a write cache is flushed, if there is one. */
enum class Flush {
	None, /* the backend writes through */
	Cache, /* BLKIF_OP_FLUSH_DISKCACHE */
	Barrier, /* BLKIF_OP_WRITE_BARRIER, which can also carry data */
};

struct Offer {
	uint64_t sectors; /* of 512 bytes, whatever the sector size */
	unsigned int sector_size;
	unsigned int physical_sector_size;
	Flush flush;
	bool read_only;
	bool removable;
};

/* The texts as read; null for a node that is not there. */
struct OfferTexts {
	const char *sectors;
	const char *sector_size;
	const char *physical_sector_size;
	const char *info;
	const char *mode;
	const char *barrier;
	const char *flush_cache;
};

/* EINVAL or ERANGE for what no disk can be; logs which node it is. */
[[nodiscard]] Result<Offer> check_offer(const OfferTexts &texts, const char *device);
[[nodiscard]] Result<uint64_t> check_sectors(const char *text);

/* The keys that these two read, NULL at the end: for the bus. */
extern const char *const offer_keys[];
/* One round trip. Sleeping context. */
[[nodiscard]] Result<Offer> read_offer(xpv_device *device);
[[nodiscard]] Result<uint64_t> read_sectors(xpv_device *device);

} // namespace xpv
