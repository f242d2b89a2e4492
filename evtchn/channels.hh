/* SPDX-License-Identifier: GPL-2.0-only */
/* All channels: for the table in debugfs, for CPU hotplug, and for spreading channels over CPUs. */
#pragma once

#include "evtchn/channel.hh"
#include "evtchn/linux.h"
#include "lib/memory.hh"

namespace xpv {

class Channels {
public:
	[[nodiscard]] static Result<Owned<Channels>> make();

	/*
	 * Add a channel, and make room for its port in the ABI. EBUSY when the port has
	 * a channel already. EAGAIN when xpv_restore_count() is not `restores` any
	 * more: the port is no longer the caller's. Sleeping context.
	 */
	[[nodiscard]] Status add(xpv_event_channel &channel, uint32_t restores);
	/* Attach a lost channel to a new port. EISCONN when the channel is not lost. Otherwise as add(). */
	[[nodiscard]] Status rebind(xpv_event_channel &channel, Port port, bool adopted, uint32_t restores);
	void remove(xpv_event_channel &channel);
	template <typename Call>
	void each(Call call)
	{
		MutexGuard guard(mutex_);
		for (xpv_event_channel &channel : all_)
			call(channel);
	}

	/* Return the number of channels that a CPU serves; a snapshot. Any context. */
	[[nodiscard]] unsigned int on(unsigned int cpu) const;
	void count_move(xpv_event_channel &channel, unsigned int cpu) XPV_REQUIRES(channel.lock);

	/*
	 * Call `call` while no task is inside add() or rebind(), so that no task uses
	 * an ABI that a restore replaced. Sleeping context.
	 */
	template <typename Call>
	void quiesced(Call call)
	{
		MutexGuard guard(mutex_);
		call();
	}
	/* Preallocate what restore() will need, before a suspend. Sleeping context. */
	[[nodiscard]] Status prepare();
	/* Record which channels have a pending event. Runs on the only CPU that runs; takes no mutex. */
	void save_pending() XPV_NO_THREAD_SAFETY_ANALYSIS;
	/*
	 * Lose all ports, and bind those of VIRQs and IPIs again. Try all, and return
	 * the first error. Runs on the only CPU that runs; takes no mutex.
	 */
	[[nodiscard]] Status restore() XPV_NO_THREAD_SAFETY_ANALYSIS;

private:
	[[nodiscard]] Status make_room_locked(Port port) XPV_REQUIRES(mutex_);
	[[nodiscard]] Status bind_again(xpv_event_channel &channel) XPV_EXCLUDES(channel.lock);
	[[nodiscard]] Status attach(xpv_event_channel &channel, Port port) XPV_REQUIRES(channel.lock);

	/*
	 * Guards all_, and the growth of the ABI's tables of ports. Links
	 * change with irqs off, so that a restore finds the list consistent.
	 */
	Mutex mutex_{ "xpv event channels"_lock };
	List<xpv_event_channel> all_ XPV_GUARDED_BY(mutex_);
	Array<unsigned int> on_cpu_;
};

extern constinit Channels *channels;

/* Raise all pending events again on their vCPUs. Sleeping context. */
void raise_pending();

} // namespace xpv
