// SPDX-License-Identifier: GPL-2.0-only
#include "gnttab/frames.hh"

#include "hypervisor/hypercall.hh"
#include "lib/guard.hh"
#include "lib/log.hh"

namespace xpv {

namespace {

/* A million references; bounds the address space we take whatever the toolstack allows. */
constexpr unsigned int most_frames = 2048;

} // namespace

Status TableFrames::init()
{
	auto size = grant_table_query_size();
	if (!size.ok())
		return size.error();
	unsigned int limit = size.value().max_frames;
	if (limit == 0) {
		XPV_ERR("Xen gives this domain no grant table");
		return Error(XEN_ENOSPC);
	}
	if (limit > most_frames)
		limit = most_frames;

	Gfn first;
	XPV_TRY(status(xpv_frames_claim(limit, &first)));
	xpv_window *window = xpv_window_create(limit, "grant table");
	if (!window) {
		xpv_frames_release(first, limit);
		return Error(XEN_ENOMEM);
	}
	window_ = window;
	first_ = first;
	limit_ = limit;
	return {};
}

Status TableFrames::add()
{
	if (count_ == limit_)
		return Error(XEN_ENOSPC);
	/* Makes the table larger when Xen's has not got this frame yet; it may, from before a reload. */
	XPV_TRY(add_to_physmap(XENMAPSPACE_grant_table, count_, gfn(count_)));
	auto mapped = status(xpv_window_map(window_, count_, Pfn{ gfn(count_).value }, XPV_WINDOW_READ_WRITE));
	if (!mapped.ok()) {
		auto removed = remove_from_physmap(gfn(count_));
		if (!removed.ok())
			XPV_ERR("cannot take grant table frame %u out of the physmap: %d", count_, removed.code());
		return mapped;
	}
	entries_ = static_cast<grant_entry_v1 *>(xpv_window_address(window_));
	count_++;
	return {};
}

TableFrames::~TableFrames()
{
	if (!window_)
		return;
	/* No mapping may be left of a frame that goes. */
	xpv_window_destroy(window_);
	for (unsigned int i = 0; i < count_; i++) {
		auto removed = remove_from_physmap(gfn(i));
		if (!removed.ok()) {
			/* The space may not be used again: it is not empty. */
			XPV_ERR("cannot take grant table frame %u out of the physmap: %d", i, removed.code());
			return;
		}
	}
	xpv_frames_release(first_, limit_);
}

} // namespace xpv
