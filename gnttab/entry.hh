/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One entry of the grant table, version 1. Xen reads it whenever the other
 * end maps or copies, and sets GTF_reading and GTF_writing in the flags for
 * as long as the frame is in use; all else is ours. While the flags are zero
 * the entry means nothing to Xen, whatever its other fields hold.
 */
#pragma once

#include "lib/xen.hh"

#include <xen/grant_table.h>

#include "gnttab/gnttab.h"
#include "lib/ordering.hh"

namespace xpv {

static_assert(sizeof(grant_entry_v1) == 8);
static_assert(sizeof(grant_entry_v1::frame) == 4, "version 1 ends at 16 TiB");

[[nodiscard]] inline bool grantable(Gfn frame)
{
	return frame.value <= UINT32_MAX;
}

/* Only for an entry that is not in use, and a grantable() frame. */
inline void permit_access(grant_entry_v1 &entry, Domid remote, Gfn frame, xpv_grant_access access)
{
	write_once(entry.domid, remote.value);
	write_once(entry.frame, static_cast<uint32_t>(frame.value));
	/* Xen must not see the permission before it sees for whom and what. */
	store_release(entry.flags, static_cast<uint16_t>(access == XPV_GRANT_READ_ONLY ?
								 GTF_permit_access | GTF_readonly :
								 GTF_permit_access));
}

enum class Revocation {
	Done,
	StillMapped,
	NothingGranted,
};

/*
 * The one locked operation decides: either Xen had marked the entry as in use
 * before it, or finds no permission after it.
 */
[[nodiscard]] inline Revocation revoke(grant_entry_v1 &entry)
{
	uint16_t flags = read_once(entry.flags);
	do {
		if (flags & (GTF_reading | GTF_writing))
			return Revocation::StillMapped;
		if ((flags & GTF_type_mask) == GTF_invalid)
			return Revocation::NothingGranted;
	} while (!compare_exchange(entry.flags, flags, GTF_invalid));
	return Revocation::Done;
}

} // namespace xpv
