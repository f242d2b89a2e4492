/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings of what other domains granted. */
#pragma once

#include <utility>

#include "gnttab/batch.hh"
#include "gnttab/gnttab_owned.h"

namespace xpv {

/* How many pages are mapped, and how many of them Xen would not unmap. Any context. */
[[nodiscard]] unsigned int foreign_mapped();
[[nodiscard]] unsigned int foreign_stuck();
/* In a new domain, on the only CPU that runs: nothing is mapped any more. */
void foreign_restore();
/* A handle that Xen gave when xpv_restore_count() was `restores`; whether it is of this domain. */
[[nodiscard]] xpv_grant_handle foreign_handle(grant_handle_t handle, uint32_t restores);
[[nodiscard]] bool foreign_exists(xpv_grant_handle handle);

/* A machine address: only PV guests have them. */
struct MachineAddress {
	uint64_t value;
};

/* Where a foreign frame is to appear, as Xen wants to be told. */
class MapTarget {
public:
	/* HVM and PVH: at a guest frame that has no RAM of its own. */
	[[nodiscard]] static MapTarget frame(Gfn frame) { return MapTarget(frame.value << 12, GNTMAP_host_map); }
	/*
	 * PV: in the page table entry at a machine address (which must be empty
	 * and is from then on Xen's to write). Xen refuses it to other guests. For
	 * windows of the hosted mode in a PV domain.
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
 * One mapping that exists. Only Mapping::make() makes them and only
 * unmap() ends them, once: what was not mapped cannot be unmapped, and a
 * handle cannot be mistyped. One that is dropped is unmapped.
 */
class [[nodiscard]] Mapping {
public:
	Mapping(Mapping &&other) : target_(other.target_), handle_(std::exchange(other.handle_, XPV_NO_GRANT_HANDLE)) {}
	Mapping(const Mapping &) = delete;
	Mapping &operator=(const Mapping &) = delete;
	Mapping &operator=(Mapping &&) = delete;
	~Mapping();

	/* Sleeping context. Errors as xpv_grant_map(). */
	[[nodiscard]] static Result<Mapping> make(Domid domain, Gref reference, xpv_grant_access access, MapTarget target);
	/* An error: it is still there, counted as stuck, and its target must not be used again. Sleeping context. */
	[[nodiscard]] Status unmap() &&;

private:
	Mapping(MapTarget target, xpv_grant_handle handle) : target_(target), handle_(handle) {}

	MapTarget target_;
	xpv_grant_handle handle_;
};

/* The requests that the C contract's and Mapping's operations become. */
[[nodiscard]] gnttab_map_grant_ref map_request(Domid domain, Gref reference, xpv_grant_access access, MapTarget target);
[[nodiscard]] gnttab_unmap_grant_ref unmap_request(MapTarget target, xpv_grant_handle handle);

/* xpv_grant_unmap() for a caller who will not try again: what fails is stuck. */
[[nodiscard]] unsigned int unmap_for_good(xpv_grant_map_op *maps, unsigned int count);

} // namespace xpv
