/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_evtchn: event channels (event_channel.h) as Linux irqs,
 * each with a name and counts in /proc/interrupts and an affinity.
 *
 * A handler runs in hard irq context with irqs off, or in a thread of its own
 * (XPV_EVENT_THREADED). Where the kernel runs all handlers in threads
 * (PREEMPT_RT, threadirqs) it does so too, and may take spinlock_t. The pending bit is cleared before the handler runs, so
 * an event that arrives meanwhile runs it again. The port of a threaded
 * handler stays masked until the handler returns ("late EOI"), so a storm of
 * events costs no more interrupts than the thread has rounds. The handler of
 * one channel never runs on two CPUs at once.
 *
 * A new channel goes to the CPU that serves the fewest. From then on it
 * follows the affinity of its irq.
 *
 * Functions return 0 or a negative errno. What only an owner of the upcall
 * can offer (VIRQs, IPIs, priorities, ports of /dev/xen/evtchn) is in
 * evtchn_owned.h, which no frontend includes. C++: evtchn.hh.
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
	XPV_EVENT_HARD = 0, /* handler must not sleep; in hard irq context, or a thread with PREEMPT_RT and threadirqs */
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
 * A restored domain has none of the ports that it had before. Channels of
 * VIRQs and IPIs are bound again by evtchn, and an event that was pending is
 * delivered. Every other channel is lost: no event arrives, notify() returns
 * -ENOTCONN, masking and closing are safe. A handler that runs at that moment
 * goes on; no event of the old port follows. Its owner closes it or rebinds it.
 * Any context.
 */
bool xpv_event_channel_lost(const struct xpv_event_channel *channel);
/*
 * Bind a lost channel to a port that the toolstack allocated, or to a new one
 * that `remote` may bind to. Name, handler, affinity and the nesting of
 * mask() are kept; the irq's number need not be. Errors as of
 * xpv_event_channel_adopt() and xpv_event_channel_alloc_unbound(); -EISCONN
 * when the channel is not lost. After an error the channel is as before.
 * Sleeping context.
 */
XPV_MUST_CHECK int xpv_event_channel_rebind_adopted(struct xpv_event_channel *channel, struct xpv_port port);
XPV_MUST_CHECK int xpv_event_channel_rebind_unbound(struct xpv_event_channel *channel, struct xpv_domid remote);

/* The local port's number, to be written for the other end; 0 when the channel is lost. Any context. */
struct xpv_port xpv_event_channel_port(const struct xpv_event_channel *channel);
/* The Linux irq. It can change when the channel is rebound. Any context. */
unsigned int xpv_event_channel_irq(const struct xpv_event_channel *channel);
/*
 * Send an event to the other end (EVTCHNOP_send). -ENOTCONN when the channel
 * is lost. Any context, NMI and panic included: one hypercall, no lock.
 */
XPV_MUST_CHECK int xpv_event_channel_notify(struct xpv_event_channel *channel);
/*
 * Stop and resume delivery. An event that arrives while masked is delivered
 * after unmasking. Nests as disable_irq_nosync() does. Any context but NMI.
 */
void xpv_event_channel_mask(struct xpv_event_channel *channel);
void xpv_event_channel_unmask(struct xpv_event_channel *channel);
/* Wait until a handler that runs now has returned. Sleeping context; not from the handler. */
void xpv_event_channel_synchronize(struct xpv_event_channel *channel);

/*
 * Spurious events: an event that carried no work. From the third in a row on
 * the port stays masked before the next is delivered, for 4 ms at first,
 * doubling to 1 s, so that an other end which sends events for nothing cannot
 * keep a vCPU busy. The next event that is not reported as spurious ends that.
 *
 * With XPV_EVENT_EXPLICIT_EOI the owner reports it in xpv_event_channel_eoi().
 * All other handlers call xpv_event_channel_spurious(), for the event that
 * they handle, and call nothing for a good one. Only from the handler.
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
