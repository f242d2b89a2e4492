// SPDX-License-Identifier: GPL-2.0-only
/*
 * Choose the table's version, add its frames to the physmap one at a time,
 * remove them at unload, and add them again after a restore.
 */
#include "gnttab/frames.hh"

#include "hypervisor/hypercall.hh"
#include "hypervisor/hypervisor_owned.h"
#include "lib/guard.hh"
#include "lib/log.hh"
#include "lib/memory.hh"

namespace xpv {

namespace {

/* A million references; bounds the address space we take whatever the toolstack allows. */
constexpr unsigned int most_frames = 2048;

/*
 * Choose version 1, where revoking is one operation, unless Xen refuses it. Set
 * once, before the table is used: a later change would race with holders of
 * grants.
 */
Result<unsigned int> choose_version()
{
	/* EAGAIN: operations on a table of version 2 are still being completed. */
	Status set = grant_table_set_version(1);
	for (unsigned int delay_ms = 1; delay_ms <= 64 && !set.ok() && set.error() == XEN_EAGAIN; delay_ms *= 2) {
		xpv_sleep_ms(delay_ms);
		set = grant_table_set_version(1);
	}
	/* ENOSYS: a Xen from before table versions. */
	if (set.ok() || set.error() == XEN_ENOSYS)
		return 1u;
	auto current = grant_table_get_version();
	if (!current.ok() || current.value() != 2)
		XPV_TRY(grant_table_set_version(2));
	XPV_NOTICE("grant table: cannot set version 1 (%pe), using version 2", err_ptr(set.code()));
	return 2u;
}

} // namespace

Status TableFrames::init()
{
	auto size = grant_table_query_size();
	if (!size.ok())
		return size.error();
	unsigned int limit = size.value().max_frames;
	if (limit == 0) {
		XPV_ERR("grant table: Xen's maximum for this domain is 0 frames");
		return Error(XEN_ENOSPC);
	}
	if (limit > most_frames)
		limit = most_frames;
	version_ = XPV_TRY(choose_version());

	Gfn first;
	unsigned int room = limit + status_frames(limit);
	XPV_TRY(status(xpv_frames_claim(room, &first)));
	xpv_window *window = xpv_window_create(room, "grant table");
	if (!window) {
		xpv_frames_release(first, room);
		return Error(XEN_ENOMEM);
	}
	window_ = window;
	first_ = first;
	limit_ = room_limit_ = allowed_ = limit;
	room_ = room;
	return {};
}

/* Map the table's frame `index`, in Xen's numbering, at `place`. */
Status TableFrames::show(unsigned int place, unsigned long index, xpv_window_access access)
{
	/* Grows Xen's table if it does not have this frame yet; it may have it, from before a reload. */
	XPV_TRY(add_to_physmap(XENMAPSPACE_grant_table, index, gfn(place)));
	auto mapped = status(xpv_window_map(window_, place, pfn_of(gfn(place)), access));
	if (!mapped.ok())
		ignore(take_out(place)); /* logged there; return the first error */
	return mapped;
}

bool TableFrames::take_out(unsigned int place)
{
	auto removed = remove_from_physmap(gfn(place));
	if (!removed.ok())
		XPV_ERR("grant table: cannot remove frame %u from the physmap (%pe)", place, err_ptr(removed.code()));
	return removed.ok();
}

Entries TableFrames::first_entries() const
{
	void *first = xpv_window_address(window_);
	if (version_ == 1)
		return Entries(static_cast<grant_entry_v1 *>(first));
	const void *status = static_cast<char *>(first) + first_status() * page_size;
	return Entries(static_cast<grant_entry_v2 *>(first), static_cast<const grant_status_t *>(status));
}

Status TableFrames::add()
{
	if (count_ == limit_)
		return Error(XEN_ENOSPC);
	/* The status words must be there before the entries that they belong to are used. */
	if (status_count_ < status_frames(count_ + 1)) {
		XPV_TRY(show(first_status() + status_count_, status_count_ | XENMAPIDX_grant_table_status,
			     XPV_WINDOW_READ_ONLY));
		status_count_++;
	}
	XPV_TRY(show(count_, count_, XPV_WINDOW_READ_WRITE));
	/* The address never changes, so readers may cache it. */
	if (count_ == 0)
		entries_ = first_entries();
	count_++;
	return {};
}

TableFrames::~TableFrames()
{
	if (!window_)
		return;
	/* No mapping may be left of a frame that is removed. */
	xpv_window_destroy(window_);
	bool empty = true;
	for (unsigned int i = 0; i < count_; i++)
		empty &= take_out(i);
	for (unsigned int i = 0; i < status_count_; i++)
		empty &= take_out(first_status() + i);
	/* Guest frames with something still mapped must not be reused. */
	if (empty)
		xpv_frames_release(first_, room_);
}

/*
 * Map a table frame at its place again. Xen drops the page that the toolstack
 * put there when it restored the old frame's contents.
 */
Status TableFrames::add_again(unsigned int place, unsigned long index)
{
	return add_to_physmap(XENMAPSPACE_grant_table, index, gfn(place));
}

Status TableFrames::restore()
{
	unsigned int wanted = count_;
	Status added = add_all_again();
	if (count_ < wanted)
		limit_ = allowed_ = count_;
	return added;
}

Status TableFrames::add_all_again()
{
	unsigned int wanted = count_, statuses = status_count_;
	count_ = status_count_ = 0;
	/*
	 * The table is unusable in a version other than that of our entries.
	 * ENOSYS: a Xen from before table versions.
	 */
	Status set = grant_table_set_version(version_);
	if (!set.ok() && !(version_ == 1 && set.error() == XEN_ENOSYS))
		return set;
	auto size = XPV_TRY(grant_table_query_size());
	limit_ = size.max_frames < allowed_ ? size.max_frames : allowed_;

	Status added;
	while (status_count_ < statuses && added.ok()) {
		added = add_again(first_status() + status_count_, status_count_ | XENMAPIDX_grant_table_status);
		status_count_ += added.ok();
	}
	while (count_ < wanted && added.ok()) {
		if (count_ == limit_ || status_frames(count_ + 1) > status_count_)
			return Error(XEN_ENOSPC);
		added = add_again(count_, count_);
		count_ += added.ok();
	}
	return added;
}

} // namespace xpv
