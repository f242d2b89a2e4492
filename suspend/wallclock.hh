/* SPDX-License-Identifier: GPL-2.0-only */
/* The time of day, across a suspend that may have taken a second or a year. */
#pragma once

#include "lib/result.hh"

namespace xpv {

/* Xen's time of day for this domain, in nanoseconds since 1970 (xen.h: wc_*, vcpu_time_info). ENODATA: it shows none. */
[[nodiscard]] Result<int64_t> xen_wall_clock();

/* Notes, when made, how far Linux's time of day is from Xen's. */
class WallClock {
public:
	WallClock();
	/*
	 * Makes it that far again, if it is not: so a guest that keeps a time of
	 * its own (another zone, a better source) keeps it. Returns by how much
	 * it stepped the clock, in ns. Sleeping context.
	 */
	int64_t catch_up();

private:
	bool known_;
	int64_t ahead_ = 0;
};

} // namespace xpv
