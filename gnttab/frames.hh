/* SPDX-License-Identifier: GPL-2.0-only */
/* The table's pages: lent by Xen into guest-physical space, seen through a window. */
#pragma once

#include "gnttab/entry.hh"
#include "hypervisor/window.h"
#include "lib/result.hh"
#include "lib/types.h"

namespace xpv {

/*
 * Room for as many frames as Xen allows, of which the first count() are
 * there. Frames come one at a time and go all together. In version 2 the
 * frames with Xen's status words follow in the same run.
 */
class TableFrames {
public:
	TableFrames() = default;
	TableFrames(const TableFrames &) = delete;
	TableFrames &operator=(const TableFrames &) = delete;
	~TableFrames();

	/* Chooses the version, asks Xen how large the table may become and makes room for that. Sleeping context. */
	[[nodiscard]] Status init();
	/* ENOSPC at the limit. Sleeping context; the caller serialises. */
	[[nodiscard]] Status add();
	/*
	 * In a new domain, on the only CPU that runs: the frames at the same
	 * places, empty, as far as there are any there; count() tells. An error
	 * says why not all.
	 */
	[[nodiscard]] Status restore();

	[[nodiscard]] unsigned int version() const { return version_; }
	[[nodiscard]] unsigned int count() const { return count_; }
	[[nodiscard]] unsigned int limit() const { return limit_; }
	[[nodiscard]] unsigned int entries_per_frame() const { return Entries::per_frame(version_); }
	/* All entries in one array, of which count() * entries_per_frame() are there; after the first add(). */
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
	unsigned int limit_ = 0; /* Xen's, and never more than we have room for: */
	unsigned int room_limit_ = 0;
	/* Frames that were lost once do not come back: their references may still be somebody's. */
	unsigned int allowed_ = 0;
	unsigned int room_ = 0; /* with the status frames */
	unsigned int count_ = 0;
	unsigned int status_count_ = 0;
};

} // namespace xpv
