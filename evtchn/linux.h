/* SPDX-License-Identifier: GPL-2.0-only */
/* Between this module's C++ and its Linux side; nobody else includes it. */
#ifndef XPV_EVTCHN_LINUX_H
#define XPV_EVTCHN_LINUX_H

#include "evtchn/evtchn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Ports, for the irq chip; called under the irq descriptor's lock, irqs off ---- */

/* Every port masked, nothing bound. Sleeping context; and undo it. */
int xpv_ports_start(void);
void xpv_ports_stop(void);
unsigned int xpv_ports_limit(void);
void xpv_port_clear(struct xpv_port port);
void xpv_port_mask(struct xpv_port port);
void xpv_port_unmask(struct xpv_port port);
/* Deliver the port's events to this CPU from now on, none lost. 0 or what Xen said. */
int xpv_port_move(struct xpv_port port, unsigned int cpu);

/* ---- Upcalls ---- */

/* Forget what happened on this CPU's vCPU before the ports were masked. */
void xpv_upcall_prepare(unsigned int cpu);
/* Handle all that is pending for the CPU. Hard irq context. False when there was nothing. */
bool xpv_upcall(unsigned int cpu);
/* Let Xen see an upcall as already pending, so that it makes no more. Ports must be masked. */
void xpv_upcall_silence(unsigned int cpu);
/* HVMOP_set_evtchn_upcall_vector, HVM_PARAM_CALLBACK_IRQ. */
int xpv_upcall_set_vector(unsigned int cpu, unsigned int vector);
int xpv_upcall_set_via(uint64_t via);

/* ---- The handler of a channel; runs in the context the channel asked for ---- */

void xpv_event_channel_run(struct xpv_event_channel *channel);

/* ---- Called by the C++ code ---- */

/* Linux's irq of a port and the channel's handler behind it. Sleeping context. */
int xpv_irq_bind(struct xpv_port port, const char *name, unsigned int flags, struct xpv_event_channel *channel,
		 unsigned int *irq);
/* No handler runs after this, and the port has no irq. Sleeping context. */
void xpv_irq_unbind(unsigned int irq);
void xpv_irq_disable(unsigned int irq);
void xpv_irq_enable(unsigned int irq);
void xpv_irq_synchronize(unsigned int irq);
/* Run the port's irq. Hard irq context. False when it has none. */
bool xpv_irq_handle(struct xpv_port port);

/* ---- Between the Linux files ---- */

int xpv_irqs_start(void);
void xpv_irqs_stop(void);
int xpv_upcalls_start(void);
void xpv_upcalls_stop(void);
/* Whether events can reach only CPU 0. */
bool xpv_upcalls_on_one_cpu(void);

#ifdef __cplusplus
}
#endif

#endif
