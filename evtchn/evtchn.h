/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_evtchn: event channels (event_channel.h) as Linux irqs, each
 * with a name and counts in /proc/interrupts and an affinity.
 *
 * A handler runs in hard irq context with irqs off, or in a thread of its own
 * (XPV_EVENT_THREADED). Where the kernel runs all handlers in threads
 * (PREEMPT_RT, threadirqs), a hard handler runs in a thread too, and may take
 * spinlock_t. The pending bit is cleared before the handler runs, so an event
 * that arrives meanwhile runs it again. The port of a threaded handler stays
 * masked until the handler returns ("late EOI"), so a storm of events causes at
 * most one interrupt for each run of the thread. The handler of one channel never
 * runs on two CPUs at once.
 *
 * A new channel goes to the CPU that serves the fewest channels. From then on it
 * follows the affinity of its irq.
 *
 * Functions return 0 or a negative errno. What only an owner of the upcall can
 * offer (VIRQs, IPIs, priorities, ports of /dev/xen/evtchn) is in evtchn_owned.h,
 * which no frontend includes. C++: evtchn.hh.
 */
#ifndef XPV_EVTCHN_H
#define XPV_EVTCHN_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A port bound to a handler. */
struct xpv_event_channel;
/* The argument of a handler: each client casts it to a type of its own. */
struct xpv_event_context;
typedef void xpv_event_handler(struct xpv_event_context *context);

enum xpv_event_flags {
	XPV_EVENT_HARD = 0, /* must not sleep; in hard irq context, or in a thread with PREEMPT_RT or threadirqs */
	XPV_EVENT_THREADED = 1 << 0, /* handler in a thread: may sleep */
	XPV_EVENT_EXPLICIT_EOI = 1 << 1, /* hard only: masked from before the handler until xpv_event_channel_eoi() */
};

struct xpv_event_channel_args {
	const char *name; /* in /proc/interrupts; copied */
	unsigned int flags; /* enum xpv_event_flags */
	xpv_event_handler *handler; /* may run before the opener returns, but not before it has set *channel */
	struct xpv_event_context *context;
};

/*
 * Allocate a port that `remote` may bind to (EVTCHNOP_alloc_unbound), and bind
 * it to the handler. `*channel` is NULL after an error. Close it with
 * xpv_event_channel_close(). Sleeping context.
 */
XPV_MUST_CHECK int xpv_event_channel_alloc_unbound(struct xpv_domid remote, const struct xpv_event_channel_args *args,
						   struct xpv_event_channel **channel);

/*
 * Bind a port that the toolstack allocated (xenstore, console) to the handler.
 * xpv_event_channel_close() leaves such a port open. -EBUSY when the port has
 * a handler, -ERANGE when there is no such port. Otherwise as
 * xpv_event_channel_alloc_unbound().
 */
XPV_MUST_CHECK int xpv_event_channel_adopt(struct xpv_port port, const struct xpv_event_channel_args *args,
					   struct xpv_event_channel **channel);

/* Connect to `port` of `remote` (EVTCHNOP_bind_interdomain). Otherwise as xpv_event_channel_alloc_unbound(). */
XPV_MUST_CHECK int xpv_event_channel_bind_interdomain(struct xpv_domid remote, struct xpv_port port,
						      const struct xpv_event_channel_args *args,
						      struct xpv_event_channel **channel);

/*
 * Unbind the handler, and close the port (EVTCHNOP_close) unless it was
 * adopted. No handler runs after this returns. NULL is allowed. Sleeping
 * context; not from the channel's own handler.
 */
void xpv_event_channel_close(struct xpv_event_channel *channel);

/*
 * Return whether the channel was lost in a restore. Any context.
 *
 * A restored domain has lost all its ports. evtchn binds channels of VIRQs and
 * IPIs again, and delivers an event that was pending. Every other channel is
 * lost: no event arrives, notify() returns -ENOTCONN, masking and closing are
 * safe. A handler that runs at that moment continues; no event of the old port
 * follows. The owner closes or rebinds the channel.
 */
bool xpv_event_channel_lost(const struct xpv_event_channel *channel);
/*
 * Bind a lost channel to a port that the toolstack allocated. Name, handler,
 * affinity and the nesting of mask() are kept; the irq's number need not be.
 * Errors as of xpv_event_channel_adopt(); -EISCONN when the channel is not lost.
 * After an error the channel is as before. Sleeping context.
 */
XPV_MUST_CHECK int xpv_event_channel_rebind_adopted(struct xpv_event_channel *channel, struct xpv_port port);
/*
 * Bind a lost channel to a new port that `remote` may bind to. Errors as of
 * xpv_event_channel_alloc_unbound(). Otherwise as
 * xpv_event_channel_rebind_adopted().
 */
XPV_MUST_CHECK int xpv_event_channel_rebind_unbound(struct xpv_event_channel *channel, struct xpv_domid remote);

/* Return the local port's number, which is published for the other end; 0 when the channel is lost. Any context. */
struct xpv_port xpv_event_channel_port(const struct xpv_event_channel *channel);
/* Return the Linux irq. It can change when the channel is rebound. Any context. */
unsigned int xpv_event_channel_irq(const struct xpv_event_channel *channel);
/*
 * Send an event to the other end (EVTCHNOP_send). -ENOTCONN when the channel
 * is lost. Any context, NMI and panic included: one hypercall, no lock.
 */
XPV_MUST_CHECK int xpv_event_channel_notify(struct xpv_event_channel *channel);
/*
 * Stop delivery. An event that arrives while masked is delivered after unmasking.
 * Nests as disable_irq_nosync() does. Any context but NMI.
 */
void xpv_event_channel_mask(struct xpv_event_channel *channel);
/* Resume delivery, once for each xpv_event_channel_mask(). Any context but NMI. */
void xpv_event_channel_unmask(struct xpv_event_channel *channel);
/* Wait until a handler that runs now has returned. Sleeping context; not from the handler. */
void xpv_event_channel_synchronize(struct xpv_event_channel *channel);

/*
 * Report the event as spurious: it carried no work. From the third spurious event
 * in a row on, the port stays masked before the next event is delivered, for 4 ms
 * at first, doubling to 1 s. So the other end cannot keep a vCPU busy with events
 * that carry no work. The next event that is not reported as spurious resets this
 * back-off.
 *
 * With XPV_EVENT_EXPLICIT_EOI the owner reports a spurious event in
 * xpv_event_channel_eoi(). All other handlers call xpv_event_channel_spurious(),
 * for the event that they handle, and call nothing for a good one. Only from the
 * handler.
 */
void xpv_event_channel_spurious(struct xpv_event_channel *channel);

enum xpv_eoi_flags {
	XPV_EOI_SPURIOUS = 1 << 0, /* the event carried no work */
};
/*
 * End an event of a channel with XPV_EVENT_EXPLICIT_EOI, once for each run of
 * its handler: the next event may be delivered, and is if one arrived
 * meanwhile. Without an event that awaits its EOI, do nothing. `flags`: enum
 * xpv_eoi_flags. Any context but NMI, also after the handler has returned.
 */
void xpv_event_channel_eoi(struct xpv_event_channel *channel, unsigned int flags);

#ifdef __cplusplus
}
#endif

#endif
