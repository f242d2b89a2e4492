/* SPDX-License-Identifier: GPL-2.0-only */
/* All channels: for the table in debugfs, for CPUs that come and go, and for spreading. */
#pragma once

#include "evtchn/channel.hh"
#include "evtchn/linux.h"
#include "lib/memory.hh"

namespace xpv {

class Channels {
public:
	[[nodiscard]] static Result<Owned<Channels>> make();

	/* Sleeping context. EBUSY when the port has a channel already; then sees to it that the port can have events. */
	[[nodiscard]] Status add(xpv_event_channel &channel);
	void remove(xpv_event_channel &channel);
	template <typename Call>
	void each(Call call)
	{
		MutexGuard guard(mutex_);
		for (xpv_event_channel &channel : all_)
			call(channel);
	}

	/* How many channels a CPU serves. Any context; a snapshot. */
	[[nodiscard]] unsigned int on(unsigned int cpu) const;
	void count_move(xpv_event_channel &channel, unsigned int cpu);

private:
	Mutex mutex_; /* guards all_ and the growth of what the ABI knows of ports and CPUs */
	List<xpv_event_channel> all_;
	Array<unsigned int> on_cpu_;
};

extern constinit Channels *channels;

} // namespace xpv
