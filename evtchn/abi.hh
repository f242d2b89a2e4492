/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ABI in use, chosen when the module is loaded. Calls go through a branch,
 * which is always predicted, rather than an indirect call.
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

/*
 * Discard the upcalls that Xen raised on the CPU's vCPU; the events stay pending.
 * The CPU must not get upcalls meanwhile.
 */
void forget_upcall(unsigned int cpu);

} // namespace xpv
