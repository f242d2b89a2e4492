/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of the contract of xpv_evtchn that only an owner of the upcall can
 * implement. No frontend includes this file: where the kernel has Xen support of
 * its own, it offers modules no IPIs and no priorities by port, and VIRQs and
 * /dev/xen/evtchn belong to the kernel.
 */
#ifndef XPV_EVTCHN_OWNED_H
#define XPV_EVTCHN_OWNED_H

#include "evtchn/evtchn.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Bind a VIRQ to a handler (EVTCHNOP_bind_virq; xen.h: VIRQ_*). A VIRQ of each
 * vCPU stays on the vCPU of Linux's CPU `cpu`, which must be online or have
 * been. A global VIRQ is bound with `cpu` 0 and follows the affinity of its
 * irq; -EINVAL for another `cpu`. -EEXIST when it is bound. Sleeping context.
 */
XPV_MUST_CHECK int xpv_event_channel_bind_virq(unsigned int virq, unsigned int cpu,
					       const struct xpv_event_channel_args *args,
					       struct xpv_event_channel **channel);

/*
 * Bind an IPI to a handler on the vCPU of `cpu` (EVTCHNOP_bind_ipi). It is
 * sent with xpv_event_channel_notify(). Sleeping context.
 */
XPV_MUST_CHECK int xpv_event_channel_bind_ipi(unsigned int cpu, const struct xpv_event_channel_args *args,
					      struct xpv_event_channel **channel);

/*
 * Set the order in which events that are pending together are handled, from 0
 * (first) to 15 (last); 7 is the default. -ENOSYS with the 2-level ABI,
 * -EINVAL, -ENOTCONN when the channel is lost. Sleeping context.
 */
XPV_MUST_CHECK int xpv_event_channel_set_priority(struct xpv_event_channel *channel, unsigned int priority);

/* ---- Ports that user space opened, through /dev/xen/evtchn ---- */

struct xpv_held_port;
/*
 * Keep such a port open until it is released, even if its user closes it. -EINVAL
 * for any other port, including the kernel's ports. Sleeping context.
 */
XPV_MUST_CHECK int xpv_event_port_hold(struct xpv_port port, struct xpv_held_port **held);
/* Release a held port; NULL is allowed. Sleeping context. */
void xpv_event_port_release(struct xpv_held_port *held);
/* Send an event to the other end (EVTCHNOP_send). -ENOTCONN when the port was lost in a restore. Any context. */
XPV_MUST_CHECK int xpv_event_port_notify(struct xpv_held_port *held);

#ifdef __cplusplus
}
#endif

#endif
