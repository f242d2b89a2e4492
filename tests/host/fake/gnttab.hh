/* SPDX-License-Identifier: GPL-2.0-only */
/* Linux's side of gnttab on the host, and helpers of the tests that use grants. */
#pragma once

#include <vector>

#include "gnttab/gnttab_owned.h"
#include "lib/shim.h"
#include "tests/host/fake/clock.hh"

namespace xpv_test {

/* get_page() counts by frame, and how often the module is held. */
unsigned int held_frames();
unsigned int held_module();

inline constexpr xpv_domid backend = { 3 };

/* A frame number of no page; for grants whose memory nobody looks at. */
xpv_pfn frame_number(unsigned int i);

inline std::vector<xpv_pfn> frame_numbers(unsigned int count)
{
	std::vector<xpv_pfn> frames;
	for (unsigned int i = 0; i < count; i++)
		frames.push_back(frame_number(i));
	return frames;
}

inline xpv_grant_counts grant_counts()
{
	xpv_grant_counts counts;
	xpv_grant_get_counts(&counts);
	return counts;
}

using fake::eventually;

} // namespace xpv_test
