/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings of what other domains granted. */
#pragma once

#include <utility>

#include "gnttab/batch.hh"
#include "gnttab/gnttab_owned.h"

namespace xpv {

/* Return how many foreign pages are mapped. Any context. */
[[nodiscard]] unsigned int foreign_mapped();
/* Return how many of those pages Xen would not unmap. Any context. */
[[nodiscard]] unsigned int foreign_stuck();
/* Reset the count of mapped pages: a new domain starts without mappings. On the only CPU that runs. */
void foreign_restore();
/* Return our handle for the `handle` that Xen returned when xpv_restore_count() was `restores`. */
[[nodiscard]] xpv_grant_handle foreign_handle(grant_handle_t handle, uint32_t restores);
/* Return whether the mapping is this domain's, and not from before a restore. */
[[nodiscard]] bool foreign_exists(xpv_grant_handle handle);

/* A machine address: only PV guests have them. */
struct MachineAddress {
	uint64_t value;
};

/* Where a foreign frame is to be mapped, in the form that Xen expects. */
class MapTarget {
public:
	/* HVM and PVH: at a guest frame without RAM. */
	[[nodiscard]] static MapTarget frame(Gfn frame) { return MapTarget(frame.value << 12, GNTMAP_host_map); }
	/*
	 * PV: in the page table entry at a machine address. The entry must be
	 * empty, and from then on only Xen may write it. Xen refuses this for
	 * other guests. For windows of the hosted mode in a PV domain.
	 */
	[[nodiscard]] static MapTarget page_table_entry(MachineAddress entry)
	{
		return MapTarget(entry.value, GNTMAP_host_map | GNTMAP_contains_pte);
	}

	[[nodiscard]] uint64_t host_address() const { return host_address_; }
	[[nodiscard]] uint32_t flags(xpv_grant_access access) const
	{
		return flags_ | (access == XPV_GRANT_READ_ONLY ? uint32_t{ GNTMAP_readonly } : 0);
	}

private:
	MapTarget(uint64_t host_address, uint32_t flags) : host_address_(host_address), flags_(flags) {}

	uint64_t host_address_;
	uint32_t flags_;
};

/*
 * One mapping that exists. Only Mapping::make() creates it and only unmap()
 * ends it, once: what was not mapped cannot be unmapped, and a handle cannot be
 * mistyped. The destructor unmaps it.
 */
class [[nodiscard]] Mapping {
public:
	Mapping(Mapping &&other) : target_(other.target_), handle_(std::exchange(other.handle_, XPV_NO_GRANT_HANDLE)) {}
	Mapping(const Mapping &) = delete;
	Mapping &operator=(const Mapping &) = delete;
	Mapping &operator=(Mapping &&) = delete;
	~Mapping();

	/* Map one grant. Errors as xpv_grant_map(). Sleeping context. */
	[[nodiscard]] static Result<Mapping> make(Domid domain, Gref reference, xpv_grant_access access, MapTarget target);
	/*
	 * Unmap it. On an error it is still mapped, counted as stuck, and its
	 * target must not be reused. Sleeping context.
	 */
	[[nodiscard]] Status unmap() &&;

private:
	Mapping(MapTarget target, xpv_grant_handle handle) : target_(target), handle_(handle) {}

	MapTarget target_;
	xpv_grant_handle handle_;
};

/* Build the map operation for the C contract and Mapping. */
[[nodiscard]] gnttab_map_grant_ref map_request(Domid domain, Gref reference, xpv_grant_access access, MapTarget target);
/* Build the unmap operation for the C contract and Mapping. */
[[nodiscard]] gnttab_unmap_grant_ref unmap_request(MapTarget target, xpv_grant_handle handle);

/* Do xpv_grant_unmap() for a caller that will not retry: count what fails as stuck. */
[[nodiscard]] unsigned int unmap_for_good(xpv_grant_map_op *maps, unsigned int count);

} // namespace xpv
