/* SPDX-License-Identifier: GPL-2.0-only */
/* The table's frames: mapped by Xen into guest-physical space, and accessed through a window. */
#pragma once

#include "gnttab/entry.hh"
#include "hypervisor/window.h"
#include "lib/result.hh"
#include "lib/types.h"

namespace xpv {

/*
 * Guest frames for as many table frames as Xen allows; the first count() of
 * them are present. Frames are added one at a time and removed all together. In
 * version 2 the frames with Xen's status words follow in the same range.
 */
class TableFrames {
public:
	TableFrames() = default;
	TableFrames(const TableFrames &) = delete;
	TableFrames &operator=(const TableFrames &) = delete;
	~TableFrames();

	/*
	 * Choose the version, ask Xen for the table's maximum size and claim
	 * guest frames for that. Sleeping context.
	 */
	[[nodiscard]] Status init();
	/* Add one frame. ENOSPC at the limit. Sleeping context; the caller serialises. */
	[[nodiscard]] Status add();
	/*
	 * Map the frames of a new domain, which are empty, at the same places,
	 * as many as it allows; count() is then their number. On an error some
	 * are missing. On the only CPU that runs.
	 */
	[[nodiscard]] Status restore();

	[[nodiscard]] unsigned int version() const { return version_; }
	[[nodiscard]] unsigned int count() const { return count_; }
	[[nodiscard]] unsigned int limit() const { return limit_; }
	[[nodiscard]] unsigned int entries_per_frame() const { return Entries::per_frame(version_); }
	/*
	 * Return all entries as one array, which has count() *
	 * entries_per_frame() of them. Valid after the first add().
	 */
	[[nodiscard]] const Entries &entries() const { return entries_; }

private:
	static constexpr unsigned int statuses_per_frame = 4096 / sizeof(grant_status_t);

	[[nodiscard]] unsigned int status_frames(unsigned int frames) const
	{
		unsigned int per_status_frame = statuses_per_frame / entries_per_frame();
		return version_ == 1 ? 0 : (frames + per_status_frame - 1) / per_status_frame;
	}
	[[nodiscard]] unsigned int first_status() const { return room_ - status_frames(room_limit_); }
	[[nodiscard]] Status add_all_again();
	[[nodiscard]] Status add_again(unsigned int place, unsigned long index);
	[[nodiscard]] Gfn gfn(unsigned int place) const { return Gfn{ first_.value + place }; }
	[[nodiscard]] Status show(unsigned int place, unsigned long index, xpv_window_access access);
	[[nodiscard]] bool take_out(unsigned int place);
	[[nodiscard]] Entries first_entries() const;

	xpv_window *window_ = nullptr;
	Entries entries_;
	Gfn first_ = {};
	unsigned int version_ = 1;
	unsigned int limit_ = 0; /* Xen's maximum, and never more than room_limit_ */
	/* The number of table frames that the claimed guest frames have room for. */
	unsigned int room_limit_ = 0;
	/* Frames that a restore lost are not added again: their references may still be issued. */
	unsigned int allowed_ = 0;
	unsigned int room_ = 0; /* including the status frames */
	unsigned int count_ = 0;
	unsigned int status_count_ = 0;
};

} // namespace xpv
