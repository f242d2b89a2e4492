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

} // namespace xpv
