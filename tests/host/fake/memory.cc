// SPDX-License-Identifier: GPL-2.0-only
/* On the host a frame's number is its address, see xpv_pages_gfn() in shim.cc. */
#include "tests/fake/fake_hypervisor.h"

void *xpv_fake_memory(xpv_gfn frame)
{
	return reinterpret_cast<void *>(frame.value << 12);
}
