/* SPDX-License-Identifier: GPL-2.0-only */
/* The time of day, across a suspend that may have lasted a second or a year. */
#pragma once

#include "lib/result.hh"

namespace xpv {

/*
 * Return Xen's time of day for this domain, in nanoseconds since 1970 (xen.h:
 * wc_*, vcpu_time_info). ENODATA: it has no valid one.
 */
[[nodiscard]] Result<int64_t> xen_wall_clock();

/* Records, when constructed, the offset of Linux's time of day from Xen's. */
class WallClock {
public:
	WallClock();
	/*
	 * Step Linux's clock to that offset again, if it differs: a guest that
	 * keeps a time of its own (another zone, a better source) keeps it.
	 * Return the step, in ns. Sleeping context.
	 */
	int64_t catch_up();

private:
	bool known_;
	int64_t ahead_ = 0;
};

} // namespace xpv
