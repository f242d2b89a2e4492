/* SPDX-License-Identifier: GPL-2.0-only */
/* The table's pages: lent by Xen into guest-physical space, seen through a window. */
#pragma once

#include "lib/xen.hh"

#include <xen/grant_table.h>

#include "hypervisor/window.h"
#include "lib/result.hh"
#include "lib/types.h"

namespace xpv {

/*
 * Room for as many frames as Xen allows, of which the first count() are
 * there. Frames come one at a time and go all together.
 */
class TableFrames {
public:
	static constexpr unsigned int entries_per_frame = 4096 / sizeof(grant_entry_v1);

	TableFrames() = default;
	TableFrames(const TableFrames &) = delete;
	TableFrames &operator=(const TableFrames &) = delete;
	~TableFrames();

	/* Asks Xen how large the table may become and makes room for that. Sleeping context. */
	[[nodiscard]] Status init();
	/* ENOSPC at the limit. Sleeping context; the caller serialises. */
	[[nodiscard]] Status add();

	[[nodiscard]] unsigned int count() const { return count_; }
	[[nodiscard]] unsigned int limit() const { return limit_; }
	/* All entries in one array, of which count() * entries_per_frame are there; after the first add(). */
	[[nodiscard]] grant_entry_v1 *entries() const { return entries_; }

private:
	[[nodiscard]] Gfn gfn(unsigned int index) const { return Gfn{ first_.value + index }; }

	xpv_window *window_ = nullptr;
	grant_entry_v1 *entries_ = nullptr;
	Gfn first_ = {};
	unsigned int limit_ = 0;
	unsigned int count_ = 0;
};

} // namespace xpv
