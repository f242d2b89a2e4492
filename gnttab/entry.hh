/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The entries of the grant table, in the version that is in use. Xen reads an
 * entry whenever the other end maps or copies, and sets GTF_reading and
 * GTF_writing for as long as the frame is in use: in version 1 in the entry's
 * flags, in version 2 in a separate status word. It writes nothing else. While
 * the type in the flags is GTF_invalid Xen ignores the entry, whatever its
 * other fields hold.
 */
#pragma once

#include "lib/xen.hh"

#include <xen/grant_table.h>

#include "gnttab/gnttab.h"
#include "hypervisor/translate.hh"
#include "lib/ordering.hh"

namespace xpv {

static_assert(sizeof(grant_entry_v1) == 8);
static_assert(sizeof(grant_entry_v1::frame) == 4, "version 1 ends at 16 TiB");
static_assert(sizeof(grant_entry_v2) == 16);
static_assert(sizeof(grant_status_t) == 2);

enum class Revocation {
	done,
	still_mapped,
	nothing_granted,
	no_entry, /* its frame was lost in a restore: revoked, but cannot be reused */
};

/* Return the flags of an entry that permits access, without Xen's bits. */
[[nodiscard]] constexpr uint16_t permission(xpv_grant_access access)
{
	return access == XPV_GRANT_READ_ONLY ? GTF_permit_access | GTF_readonly : GTF_permit_access;
}

/* ---- Version 1 ---- */

/* Fill in the entry and permit access. The entry must be idle. */
inline void permit_access(grant_entry_v1 &entry, Domid remote, Gfn frame, xpv_grant_access access)
{
	write_once(entry.domid, remote.value);
	write_once(entry.frame, static_cast<uint32_t>(frame.value));
	/* Xen must not see the permission before the domain and the frame. */
	store_release(entry.flags, permission(access));
}

/*
 * Revoke the permission. The compare-and-exchange decides: either Xen had
 * marked the entry as in use before it, or Xen finds no permission after it.
 */
[[nodiscard]] inline Revocation revoke(grant_entry_v1 &entry)
{
	uint16_t flags = read_once(entry.flags);
	do {
		if (flags & (GTF_reading | GTF_writing))
			return Revocation::still_mapped;
		if ((flags & GTF_type_mask) == GTF_invalid)
			return Revocation::nothing_granted;
	} while (!compare_exchange(entry.flags, flags, GTF_invalid));
	return Revocation::done;
}

/* ---- Version 2 ---- */

inline void permit_access(grant_entry_v2 &entry, Domid remote, Gfn frame, xpv_grant_access access)
{
	write_once(entry.hdr.domid, remote.value);
	write_once(entry.full_page.frame, frame.value);
	store_release(entry.hdr.flags, permission(access));
}

/*
 * Revoke the permission. Unlike in version 1, no single operation can decide:
 * first the permission is cleared, and only then does `status` tell whether the
 * frame is in use. So a frame that is still mapped has lost its permission
 * already. This is recorded in a field that Xen ignores, and the next attempt
 * only checks the status again. If two callers revoke the same entry at once
 * both may succeed: the caller must prevent that.
 *
 * The read-only flag is kept after the permission is cleared: to a domain that
 * has the frame mapped Xen gives further mappings without checking the type,
 * and only this flag makes it refuse writable ones.
 */
[[nodiscard]] inline Revocation revoke(grant_entry_v2 &entry, const grant_status_t &status)
{
	constexpr uint32_t withdrawn = 1;

	uint16_t flags = read_once(entry.hdr.flags);
	if ((flags & GTF_type_mask) != GTF_invalid) {
		write_once(entry.full_page.pad0, withdrawn);
		write_once(entry.hdr.flags, static_cast<uint16_t>(GTF_invalid | (flags & GTF_readonly)));
		/* Xen sets its bits, then rereads the flags; we clear the flags, then read its bits. */
		virt_mb();
	} else if (read_once(entry.full_page.pad0) != withdrawn) {
		return Revocation::nothing_granted;
	}
	if (load_acquire(status) & (GTF_reading | GTF_writing))
		return Revocation::still_mapped;
	write_once(entry.hdr.flags, GTF_invalid);
	write_once(entry.full_page.pad0, 0);
	return Revocation::done;
}

/* ---- The whole table, in one of its versions ---- */

struct EntriesV1 {
	grant_entry_v1 *first;

	/* Return whether the entries can express all frame numbers up to this one. */
	[[nodiscard]] static bool grantable(Gfn frame) { return frame.value <= UINT32_MAX; }
	/* Permit access to the frame. The entry must be idle, and the frame grantable(). */
	void permit(Gref reference, Domid remote, Gfn frame, xpv_grant_access access) const
	{
		permit_access(first[reference.value], remote, frame, access);
	}
	[[nodiscard]] Revocation revoke(Gref reference) const { return xpv::revoke(first[reference.value]); }
};

struct EntriesV2 {
	grant_entry_v2 *first;
	const grant_status_t *status;

	[[nodiscard]] static bool grantable(Gfn) { return true; }
	void permit(Gref reference, Domid remote, Gfn frame, xpv_grant_access access) const
	{
		permit_access(first[reference.value], remote, frame, access);
	}
	[[nodiscard]] Revocation revoke(Gref reference) const
	{
		return xpv::revoke(first[reference.value], status[reference.value]);
	}
};

/* Address and version of the entries; set at load and constant from then on. */
class Entries {
public:
	Entries() = default;
	explicit Entries(grant_entry_v1 *first) : v1_(first) {}
	Entries(grant_entry_v2 *first, const grant_status_t *status) : v2_(first), status_(status) {}

	[[nodiscard]] static constexpr unsigned int per_frame(unsigned int version)
	{
		return 4096 / (version == 1 ? sizeof(grant_entry_v1) : sizeof(grant_entry_v2));
	}

	/* Call `call` with the entries of the version in use, so that a loop checks the version only once. */
	template <typename Call>
	decltype(auto) visit(Call call) const
	{
		if (v1_) [[likely]]
			return call(EntriesV1{ v1_ });
		return call(EntriesV2{ v2_, status_ });
	}

	/* Return the frame that was granted; valid until the reference is free. */
	[[nodiscard]] Gfn frame(Gref reference) const
	{
		if (v1_)
			return Gfn{ read_once(v1_[reference.value].frame) };
		return Gfn{ read_once(v2_[reference.value].full_page.frame) };
	}

	/* Return whether nothing is granted and nothing is still in use. */
	[[nodiscard]] bool idle(uint32_t index) const
	{
		if (v1_)
			return read_once(v1_[index].flags) == 0;
		return read_once(v2_[index].hdr.flags) == 0 && !(read_once(status_[index]) & (GTF_reading | GTF_writing));
	}

	/* Free-list link of an idle entry, in a field that Xen ignores. */
	[[nodiscard]] uint32_t link(uint32_t index) const
	{
		return v1_ ? v1_[index].frame : static_cast<uint32_t>(v2_[index].full_page.frame);
	}
	void set_link(uint32_t index, uint32_t link) const
	{
		if (v1_)
			v1_[index].frame = link;
		else
			v2_[index].full_page.frame = link;
	}

	/*
	 * Mark an idle entry in a new domain as granted in the domain before.
	 * Xen ignores the domid of an idle entry, and no domain has this one,
	 * should the entry ever be permitted.
	 */
	void set_withdrawn(uint32_t index) const { write_once(domain(index), DOMID_INVALID); }
	/* Clear the mark, if it is set. */
	void clear_withdrawn(uint32_t index) const
	{
		if (read_once(domain(index)) == DOMID_INVALID)
			write_once(domain(index), 0);
	}
	/* Clear the mark of an idle entry; return true once for each set_withdrawn(). */
	[[nodiscard]] bool take_withdrawn(uint32_t index) const
	{
		domid_t withdrawn = DOMID_INVALID;
		return compare_exchange(domain(index), withdrawn, 0);
	}

	/* Reset an idle entry to what it is in a new domain. */
	void clean(uint32_t index) const
	{
		if (v1_) {
			write_once(v1_[index].frame, 0);
			write_once(v1_[index].domid, 0);
		} else {
			write_once(v2_[index].full_page.frame, 0);
			write_once(v2_[index].full_page.pad0, 0);
			write_once(v2_[index].hdr.domid, 0);
		}
	}

private:
	[[nodiscard]] domid_t &domain(uint32_t index) const { return v1_ ? v1_[index].domid : v2_[index].hdr.domid; }

	grant_entry_v1 *v1_ = nullptr; /* one of these two */
	grant_entry_v2 *v2_ = nullptr;
	const grant_status_t *status_ = nullptr;
};

template <typename EntriesOfVersion>
[[nodiscard]] inline bool all_grantable(const EntriesOfVersion &entries, const Pfn *frames, unsigned int count)
{
	uint64_t all = 0;
	for (unsigned int i = 0; i < count; i++)
		all |= gfn_of(frames[i]).value;
	return entries.grantable(Gfn{ all });
}

} // namespace xpv
