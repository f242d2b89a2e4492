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
	void count_move(xpv_event_channel &channel, unsigned int cpu) XPV_REQUIRES(channel.lock);

	/* Call with no task inside add() or rebind(): none holds what it found of an ABI before. Sleeping context. */
	template <typename Call>
	void quiesced(Call call)
	{
		MutexGuard guard(mutex_);
		call();
	}
	/* The suspend: prepare() in sleeping context. The others run on the only CPU that does, and take no mutex. */
	[[nodiscard]] Status prepare();
	void remember_events() XPV_NO_THREAD_SAFETY_ANALYSIS;
	/* Lose all ports; bind those of VIRQs and IPIs again. Return the first error; all are tried. */
	[[nodiscard]] Status restore() XPV_NO_THREAD_SAFETY_ANALYSIS;

private:
	[[nodiscard]] Status make_room_locked(Port port) XPV_REQUIRES(mutex_);
	[[nodiscard]] Status bind_again(xpv_event_channel &channel) XPV_EXCLUDES(channel.lock);
	[[nodiscard]] Status attach(xpv_event_channel &channel, Port port) XPV_REQUIRES(channel.lock);

	/*
	 * Guards all_ and the growth of what the ABI knows of ports and CPUs.
	 * Links change with irqs off, so that a restore finds the list whole.
	 */
	Mutex mutex_{ "xpv event channels"_lock };
	List<xpv_event_channel> all_ XPV_GUARDED_BY(mutex_);
	Array<unsigned int> on_cpu_;
};

extern constinit Channels *channels;

/* Tell the vCPUs anew of every event that is pending. Sleeping context. */
void raise_pending();

} // namespace xpv
