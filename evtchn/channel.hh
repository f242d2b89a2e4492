/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

#include "evtchn/evtchn.h"
#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/ordering.hh"
#include "lib/result.hh"

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
		unsigned int wait_ms = first_ms << (streak_ - tolerated <= doublings ? streak_ - tolerated - 1 : doublings);
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
	unsigned int cpu; /* changes under the irq descriptor's lock */
	unsigned int priority;
	xpv_event_handler *handler;
	xpv_event_context *context;
	char name[32];

	xpv::Spinlock lock; /* guards `hidden` and with it the port's mask */
	unsigned int hidden;

	/* Only in the handler, which never runs twice at once; read by anybody. */
	uint64_t events;
	uint64_t spurious;
	xpv::Backoff backoff;
	xpv_work end_backoff;
};

namespace xpv {

[[nodiscard]] inline bool lost(const xpv_event_channel &channel)
{
	return read_once(channel.port.value) == 0;
}

void hide(xpv_event_channel &channel, Hidden reason);
void show(xpv_event_channel &channel, Hidden reason);

} // namespace xpv
