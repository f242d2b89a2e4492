/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ABI in use, chosen when the module is loaded. A branch that is always
 * predicted rather than an indirect call.
 */
#pragma once

#include "evtchn/fifo.hh"
#include "evtchn/two_level.hh"

namespace xpv {

struct Abi {
	TwoLevel *two_level;
	Fifo *fifo;

	template <typename Call>
	decltype(auto) operator()(Call call)
	{
		return fifo ? call(*fifo) : call(*two_level);
	}
};

extern constinit Abi abi;

/* What the CPU's vCPU was told of events; the CPU gets none while this runs. */
void forget_upcall(unsigned int cpu);

} // namespace xpv
