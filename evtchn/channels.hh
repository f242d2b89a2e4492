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

	/*
	 * Sleeping context. EBUSY when the port has a channel already; then sees
	 * to it that the port can have events. EAGAIN when xpv_restore_count()
	 * is not `restores` any more: the port is no longer the caller's.
	 */
	[[nodiscard]] Status add(xpv_event_channel &channel, uint32_t restores);
	/* The same for a lost channel and a new port. */
	[[nodiscard]] Status rebind(xpv_event_channel &channel, Port port, bool adopted, uint32_t restores);
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

	/* The suspend: prepare() sleeping; the others on the only CPU that runs, with no lock. */
	[[nodiscard]] Status prepare();
	void remember_events();
	/* All ports are lost; those of VIRQs and IPIs are bound anew. The first error; all were tried. */
	[[nodiscard]] Status restore();

private:
	[[nodiscard]] Status make_room_locked(Port port);
	[[nodiscard]] Status bind_again(xpv_event_channel &channel);
	[[nodiscard]] Status attach(xpv_event_channel &channel, Port port);

	/*
	 * Guards all_ and the growth of what the ABI knows of ports and CPUs.
	 * Links change with irqs off, so that a restore finds the list whole.
	 */
	Mutex mutex_;
	List<xpv_event_channel> all_;
	Array<unsigned int> on_cpu_;
};

extern constinit Channels *channels;

/* Tell the vCPUs anew of every event that is pending. Sleeping context. */
void raise_pending();

} // namespace xpv
