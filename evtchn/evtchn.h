/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of xpv_evtchn: event channels (event_channel.h) as Linux irqs,
 * each with a name and counts in /proc/interrupts and an affinity.
 *
 * A handler runs in hard irq context, irqs off, or in a thread of its own
 * when it asked for that; the event was cleared before it runs, so events
 * that come meanwhile make it run again. A threaded handler's port is masked
 * until it is done ("late EOI"), so that a storm of events costs no more than
 * the thread. One channel's handler never runs on two CPUs at once.
 *
 * New channels go to the CPU that serves the fewest; from then on they follow
 * their irq's affinity, and CPUs that come and go.
 *
 * Errors are negative errno values.
 */
#ifndef XPV_EVTCHN_H
#define XPV_EVTCHN_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One end of an event channel that is bound to a handler. */
struct xpv_event_channel;
/* What the handler is about: each client has its own idea and casts. */
struct xpv_event_context;
typedef void xpv_event_handler(struct xpv_event_context *context);

enum xpv_event_flags {
	XPV_EVENT_HARD = 0, /* handler in hard irq context */
	XPV_EVENT_THREADED = 1 << 0, /* handler in a thread: may sleep */
	XPV_EVENT_EXPLICIT_EOI = 1 << 1, /* hard: masked from before the handler until xpv_event_channel_eoi() */
};

/*
 * A new port that `remote` may bind to (EVTCHNOP_alloc_unbound). `name` shows
 * in /proc/interrupts; it is copied. The handler may run before this returns.
 * Closed with xpv_event_channel_close(). Sleeping context.
 */
int xpv_event_channel_alloc_unbound(struct xpv_domid remote, const char *name, unsigned int flags,
				    xpv_event_handler *handler, struct xpv_event_context *context,
				    struct xpv_event_channel **channel);

/*
 * As above, over a port that the toolstack made for us (xenstore, console):
 * closing gives up the handler but leaves the port open. -EBUSY when the
 * port already has a handler, -ERANGE when there is no such port.
 */
int xpv_event_channel_adopt(struct xpv_port port, const char *name, unsigned int flags, xpv_event_handler *handler,
			    struct xpv_event_context *context, struct xpv_event_channel **channel);

/* As above, connected to `port` of `remote` (EVTCHNOP_bind_interdomain). */
int xpv_event_channel_bind_interdomain(struct xpv_domid remote, struct xpv_port port, const char *name,
				       unsigned int flags, xpv_event_handler *handler,
				       struct xpv_event_context *context, struct xpv_event_channel **channel);

/*
 * As above, for an interrupt that Xen itself raises (EVTCHNOP_bind_virq;
 * xen.h: VIRQ_*). One that each vCPU has of its own stays on the vCPU of
 * Linux's CPU `cpu`, which must be or have been online; a global one is
 * bound with `cpu` 0 and follows its irq's affinity. -EINVAL otherwise,
 * -EEXIST when it is bound already.
 */
int xpv_event_channel_bind_virq(unsigned int virq, unsigned int cpu, const char *name, unsigned int flags,
				xpv_event_handler *handler, struct xpv_event_context *context,
				struct xpv_event_channel **channel);

/* As above, for events that we send ourselves, with notify(), to the vCPU of `cpu` (EVTCHNOP_bind_ipi). */
int xpv_event_channel_bind_ipi(unsigned int cpu, const char *name, unsigned int flags, xpv_event_handler *handler,
			       struct xpv_event_context *context, struct xpv_event_channel **channel);

/*
 * No handler runs after this returns, and the port is closed
 * (EVTCHNOP_close) unless it was adopted. Takes no lock that delivery needs.
 * NULL is fine. Sleeping context; not from the channel's own handler.
 */
void xpv_event_channel_close(struct xpv_event_channel *channel);

/*
 * A suspend that ends in another domain leaves no port behind. Channels of
 * VIRQs and IPIs are bound anew by themselves; an event that they had then is
 * delivered. All others are lost: they have no event any more, notify() says
 * -ENOTCONN, masking and closing are safe. Their owners close them and open
 * new ones, or give them a new port with the functions below, and keep irq,
 * affinity, mask and counts. A handler that is at work goes on; no event of
 * the old port comes after it.
 */
bool xpv_event_channel_lost(const struct xpv_event_channel *channel);
/*
 * A lost channel lives on with a port that the toolstack made, or with a new
 * one that `remote` may bind to. Errors as of adopt() and alloc_unbound(),
 * -EISCONN when the channel is not lost; then it stays as it was. Sleeping context.
 */
int xpv_event_channel_rebind_adopted(struct xpv_event_channel *channel, struct xpv_port port);
int xpv_event_channel_rebind_unbound(struct xpv_event_channel *channel, struct xpv_domid remote);

/* Our port's number, for the other end; 0 when it is lost. Any context. */
struct xpv_port xpv_event_channel_port(const struct xpv_event_channel *channel);
/* Its Linux irq. Any context. */
unsigned int xpv_event_channel_irq(const struct xpv_event_channel *channel);
/* Send an event to the other end (EVTCHNOP_send). -ENOTCONN when the channel is lost. Any context. */
int xpv_event_channel_notify(struct xpv_event_channel *channel);
/*
 * Stop and resume delivery; events that come while masked are delivered
 * after unmasking. Nests as disable_irq_nosync(). Any context.
 */
void xpv_event_channel_mask(struct xpv_event_channel *channel);
void xpv_event_channel_unmask(struct xpv_event_channel *channel);
/*
 * Said by the handler, of the event that it handles: it brought nothing. When
 * such events follow each other, the next is delivered only after a while, at
 * first 4 ms, in the end a second; so an other end that sends events for
 * nothing cannot keep a vCPU busy. An event of which this is not said ends
 * that, and costs nothing. Only from the handler.
 */
void xpv_event_channel_spurious(struct xpv_event_channel *channel);
/*
 * The event that a handler with XPV_EVENT_EXPLICIT_EOI was told of is done
 * with: the next may come, and does if there was one meanwhile. Any context.
 */
void xpv_event_channel_eoi(struct xpv_event_channel *channel);
/*
 * 0 (first) to 15 (last), 7 at first: in which order events that are pending
 * together are handled. -ENOSYS under the 2-level ABI, -EINVAL. Sleeping context.
 */
int xpv_event_channel_set_priority(struct xpv_event_channel *channel, unsigned int priority);
/* Wait until a handler that runs now has returned. Sleeping context; not from the handler. */
void xpv_event_channel_synchronize(struct xpv_event_channel *channel);

/* ---- Ports that user space opened, through /dev/xen/evtchn ---- */

struct xpv_held_port;
/*
 * Keep such a port open until it is released, whatever its user does. Ports
 * of others, the kernel's among them, are -EINVAL. Sleeping context.
 */
int xpv_event_port_hold(struct xpv_port port, struct xpv_held_port **held);
/* NULL is fine. Sleeping context. */
void xpv_event_port_release(struct xpv_held_port *held);
/* Send an event to the other end (EVTCHNOP_send). Any context. */
int xpv_event_port_notify(struct xpv_held_port *held);

#ifdef __cplusplus
}
#endif

#endif
