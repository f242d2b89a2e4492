/* SPDX-License-Identifier: GPL-2.0-only */
/* One event channel: its port, its mask reasons, and its back-off after spurious events. */
#pragma once

#include "evtchn/evtchn.h"
#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/ordering.hh"
#include "lib/result.hh"
#include "lib/work.hh"

using xpv::operator""_lock;

namespace xpv {

/* Mask reasons. A port is masked while it has any. */
enum class MaskReason : unsigned int {
	irq = 1 << 0, /* Linux disabled the irq, or has not enabled it yet */
	move = 1 << 1, /* it is being moved to another vCPU */
	thread = 1 << 2, /* its threaded handler has been woken and is not done */
	backoff = 1 << 3, /* its back-off after spurious events has not ended */
	offline = 1 << 4, /* it belongs to a vCPU that gets no upcalls now */
	eoi = 1 << 5, /* its handler has run, and the event awaits its explicit EOI */
};

/* What is needed to bind the port again after a restore. */
struct Source {
	enum class Kind : unsigned char { peer, virq, ipi } kind;
	unsigned int virq;
};

/* The back-off after spurious events: 4 ms, doubled with each further one, up to a second. */
class Backoff {
public:
	/*
	 * A well-behaved other end can cause two in a row: it sent them for work that
	 * the handler found with an earlier event.
	 */
	static constexpr unsigned int tolerated = 2;
	static constexpr unsigned int first_ms = 4, most_ms = 1000;

	/* Account for a spurious event, the `events`-th of all. Return for how many ms the port must stay masked. */
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
	 * 0 when it is lost in a restore. Xen knows only port numbers, and after a
	 * restore an old number can belong to any other port. So code that reads the
	 * port and then acts on it keeps irqs off in between, which holds off suspends.
	 */
	xpv_port port;
	bool adopted;
	bool closing; /* do not bind it again in a restore */
	xpv::Source source;
	bool had_event; /* an event was pending when the domain was suspended */
	bool fixed; /* Xen keeps it on its vCPU */
	unsigned int irq;
	unsigned int cpu XPV_GUARDED_BY(lock); /* the CPU that serves it; never changes for a fixed one */
	unsigned int priority;
	xpv_event_handler *handler;
	xpv_event_context *context;
	char name[32];

	/* Also guards the port's mask. Raw: irq chip callbacks take it, with the irq descriptor's lock held. */
	xpv::RawSpinlock lock{ "xpv event channel"_lock };
	unsigned int mask_reasons XPV_GUARDED_BY(lock);

	/*
	 * Written only in the handler, which never runs twice at once, and between the
	 * handler and an explicit EOI. The debug file reads them at any time.
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

[[nodiscard]] inline bool has_mask_reason(const xpv_event_channel &channel, MaskReason reason) XPV_REQUIRES(channel.lock)
{
	return channel.mask_reasons & static_cast<unsigned int>(reason);
}

/* Add a mask reason; mask the port if it was the first. Any context but NMI. */
void mask(xpv_event_channel &channel, MaskReason reason) XPV_EXCLUDES(channel.lock);
/* Remove a mask reason; unmask the port if it was the last. Any context but NMI. */
void unmask(xpv_event_channel &channel, MaskReason reason) XPV_EXCLUDES(channel.lock);
/* As mask(). Must be called with the channel's lock held. */
void mask_locked(xpv_event_channel &channel, MaskReason reason) XPV_REQUIRES(channel.lock);
/* As unmask(). Must be called with the channel's lock held. */
void unmask_locked(xpv_event_channel &channel, MaskReason reason) XPV_REQUIRES(channel.lock);

} // namespace xpv
