/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

#include "evtchn/evtchn.h"
#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/ordering.hh"
#include "lib/result.hh"
#include "lib/work.hh"

using xpv::operator""_lock;

namespace xpv {

/* Why a port is masked; it is while there is any reason. */
enum class Hidden : unsigned int {
	Irq = 1 << 0, /* Linux disabled the irq, or has not enabled it yet */
	Move = 1 << 1, /* it is on its way to another vCPU */
	Thread = 1 << 2, /* its threaded handler has been woken and is not done */
	Backoff = 1 << 3, /* it had spurious events and waits */
	Offline = 1 << 4, /* it belongs to a vCPU that gets no upcalls now */
	Eoi = 1 << 5, /* its handler was told of an event that is not done with */
};

/* What Xen has to be told to have the port again. */
struct Source {
	enum Kind : unsigned char { Peer, Virq, Ipi } kind;
	unsigned int virq;
};

/* When events bring nothing: 4 ms, doubled with each further one, up to a second. */
class Backoff {
public:
	/* Two in a row happen to a good other end: it sent them for what an earlier event found. */
	static constexpr unsigned int tolerated = 2;
	static constexpr unsigned int first_ms = 4, most_ms = 1000;

	/* After a spurious event, the `events`-th of all: for how long there is to be no further one. */
	[[nodiscard]] unsigned int after_spurious(uint64_t events)
	{
		streak_ = events == last_ + 1 ? streak_ + 1 : 1;
		last_ = events;
		if (streak_ <= tolerated)
			return 0;
		constexpr unsigned int doublings = 8; /* first_ms << doublings > most_ms */
		unsigned int wait_ms = first_ms
				       << (streak_ - tolerated <= doublings ? streak_ - tolerated - 1 : doublings);
		return wait_ms < most_ms ? wait_ms : most_ms;
	}

private:
	uint64_t last_ = 0;
	unsigned int streak_ = 0;
};

} // namespace xpv

/* A port with a handler. Its irq refers to it from xpv_irq_bind() to xpv_irq_unbind(). */
struct xpv_event_channel : xpv::ListLink<> {
	/*
	 * 0 when it is lost in a restore. Xen knows only port numbers, and after
	 * a restore an old one may be anybody's: whoever looks here and then
	 * changes something keeps irqs off between, which keeps suspends away.
	 */
	xpv_port port;
	bool adopted;
	bool closing; /* not to be bound again */
	xpv::Source source;
	bool had_event; /* when the domain was suspended */
	bool fixed; /* to its vCPU, by Xen */
	unsigned int irq;
	unsigned int cpu XPV_GUARDED_BY(lock); /* which serves it; of a fixed one it never changes */
	unsigned int priority;
	xpv_event_handler *handler;
	xpv_event_context *context;
	char name[32];

	/* Also guards the port's mask. Raw: callbacks of the irq chip take it, with the irq descriptor's lock held. */
	xpv::RawSpinlock lock{ "xpv event channel"_lock };
	unsigned int hidden XPV_GUARDED_BY(lock);

	/*
	 * Only in the handler, which never runs twice at once, and between the
	 * handler and an explicit EOI; the debug file reads them at any time.
	 */
	uint64_t events;
	uint64_t spurious;
	xpv::Backoff backoff;

	void end_backoff();
	xpv::Work<&xpv_event_channel::end_backoff> backoff_end{ *this, XPV_WORK_WATCHDOG, "xpv event backoff"_lock };
};

namespace xpv {

[[nodiscard]] inline bool lost(const xpv_event_channel &channel)
{
	return read_once(channel.port.value) == 0;
}

[[nodiscard]] inline bool is_hidden(const xpv_event_channel &channel, Hidden reason) XPV_REQUIRES(channel.lock)
{
	return channel.hidden & static_cast<unsigned int>(reason);
}

/* Each in any context but NMI. */
void hide(xpv_event_channel &channel, Hidden reason) XPV_EXCLUDES(channel.lock);
void show(xpv_event_channel &channel, Hidden reason) XPV_EXCLUDES(channel.lock);
void hide_locked(xpv_event_channel &channel, Hidden reason) XPV_REQUIRES(channel.lock);
void show_locked(xpv_event_channel &channel, Hidden reason) XPV_REQUIRES(channel.lock);

} // namespace xpv
