/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Translation between Linux's frame numbers and those that Xen's interfaces take.
 * In a translated guest (HVM, PVH) they are the same; in a PV guest Linux keeps a
 * table (arch/x86/include/asm/xen/page.h: pfn_to_gfn()). All of xpv that passes
 * frames to Xen, or maps frames of Xen, translates here.
 */
#pragma once

#include "lib/types.h"

namespace xpv {

[[nodiscard]] constexpr Gfn gfn_of(Pfn frame)
{
	return Gfn{ frame.value };
}

[[nodiscard]] constexpr Pfn pfn_of(Gfn frame)
{
	return Pfn{ frame.value };
}

} // namespace xpv
