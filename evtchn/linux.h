/* SPDX-License-Identifier: GPL-2.0-only */
/* Between this module's C++ and its Linux side; no other module includes it. */
#ifndef XPV_EVTCHN_LINUX_H
#define XPV_EVTCHN_LINUX_H

#include "evtchn/evtchn.h"
#include "hypervisor/suspend_part.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== C calls C++ ==== */

/* ---- The ABI ---- */

enum xpv_evtchn_abi {
	XPV_ABI_AUTO, /* FIFO where Xen has it */
	XPV_ABI_FIFO,
	XPV_ABI_2LEVEL,
};
/* Choose the ABI, with every port masked and nothing bound; and the end of that. Sleeping context. */
XPV_MUST_CHECK int xpv_ports_start(enum xpv_evtchn_abi wanted);
void xpv_ports_stop(void);
/* Mask every port. Any context. */
void xpv_ports_mask_all(void);
/* The name of the ABI. */
const char *xpv_ports_abi(void);

/*
 * Allocate what xpv_ports_restore() will need; free what is left over of it.
 * Sleeping context.
 */
XPV_MUST_CHECK int xpv_ports_prepare(void);
void xpv_ports_settle(void);
/* In a restored domain, on the only CPU that runs: every port is masked and nothing is bound, as after start(). */
XPV_MUST_CHECK int xpv_ports_restore(void);

/* ---- Upcalls ---- */

/* Let the CPU's vCPU have events, and forget events that it was told of before. Sleeping context. */
XPV_MUST_CHECK int xpv_upcall_prepare(unsigned int cpu);
/* Handle all that is pending for the CPU; return whether there was anything. Hard irq context. */
bool xpv_upcall(unsigned int cpu);
/*
 * Stop upcalls; every port must be masked. evtchn_upcall_pending that stays
 * set keeps Xen from raising the vector of a vCPU. With a `callback` vector it
 * must be clear, or Xen injects one as soon as a callback is set again.
 */
void xpv_upcall_silence(unsigned int cpu, bool callback);
/* HVMOP_set_evtchn_upcall_vector; whether this domain ever did that; HVM_PARAM_CALLBACK_IRQ. */
XPV_MUST_CHECK int xpv_upcall_set_vector(unsigned int cpu, unsigned int vector);
bool xpv_upcall_vectors_were_set(void);
XPV_MUST_CHECK int xpv_upcall_set_via(uint64_t via);

/* ---- All channels ---- */

XPV_MUST_CHECK int xpv_channels_start(void);
void xpv_channels_stop(void);
/* How many channels a CPU serves. Any context. */
unsigned int xpv_channels_on(unsigned int cpu);
/*
 * The CPU can get upcalls, and xpv_upcall_reaches() says so; it is dead, and
 * xpv_upcall_reaches() says no. No pending event is lost. Sleeping context.
 */
void xpv_channels_cpu_ready(unsigned int cpu);
void xpv_channels_cpu_dead(unsigned int cpu);
/* Print the table of all channels. Sleeping context. */
struct xpv_debug_sink;
void xpv_channels_show(struct xpv_debug_sink *sink);

/* ---- A channel, for its irq ---- */

/* The irq is disabled; enabled. Any context but NMI, the irq descriptor's lock held. */
void xpv_event_channel_hide(struct xpv_event_channel *channel);
void xpv_event_channel_show(struct xpv_event_channel *channel);
/* Deliver the port's events to this CPU from now on; lose none. 0 or Xen's errno. The same context. */
XPV_MUST_CHECK int xpv_event_channel_move(struct xpv_event_channel *channel, unsigned int cpu);
/* Have it handled as if an event had arrived. The same context. */
void xpv_event_channel_raise(struct xpv_event_channel *channel);
/*
 * Run the handler, in the context that the channel asked for. Where that is a
 * thread, or where the event has an explicit EOI, begin_*() masks the port
 * before, in hard irq context; run_threaded() unmasks it.
 */
void xpv_event_channel_run(struct xpv_event_channel *channel);
void xpv_event_channel_begin_until_eoi(struct xpv_event_channel *channel);
void xpv_event_channel_begin_threaded(struct xpv_event_channel *channel);
void xpv_event_channel_run_threaded(struct xpv_event_channel *channel);

/* What this module does in a suspend. */
extern struct xpv_suspend_part xpv_evtchn_suspend_part;

/* ---- /dev/xen/evtchn: one user for each open file. Sleeping context. ---- */

struct xpv_event_user; /* C++ */
struct xpv_event_node; /* C */

enum xpv_event_user_kind { XPV_EVENT_USER_VIRQ, XPV_EVENT_USER_INTERDOMAIN, XPV_EVENT_USER_UNBOUND };
struct xpv_event_user_binding {
	enum xpv_event_user_kind kind;
	unsigned int virq;
	struct xpv_domid remote;
	struct xpv_port remote_port;
};

XPV_MUST_CHECK int xpv_event_users_start(void);
void xpv_event_users_stop(void);

/* `name` shows in /proc/interrupts. */
XPV_MUST_CHECK int xpv_event_user_open(struct xpv_event_node *node, const char *name, struct xpv_event_user **user);
/* xpv_event_node_wake() is not called any more when this returns. */
void xpv_event_user_close(struct xpv_event_user *user);
/* The port, or an errno of the openers; -EACCES when the user is restricted to another domain. */
XPV_MUST_CHECK int xpv_event_user_bind(struct xpv_event_user *user, const struct xpv_event_user_binding *binding);
/* -ENOTCONN for a port that is not the user's. */
XPV_MUST_CHECK int xpv_event_user_unbind(struct xpv_event_user *user, struct xpv_port port);
XPV_MUST_CHECK int xpv_event_user_notify(struct xpv_event_user *user, struct xpv_port port);
/* Permit only this domain from now on. -EACCES the second time, -EINVAL for an impossible domain. */
XPV_MUST_CHECK int xpv_event_user_restrict(struct xpv_event_user *user, struct xpv_domid domain);
/* Empty the ring, and clear its overflow. */
void xpv_event_user_reset(struct xpv_event_user *user);
/*
 * Copy the next ports that had an event, which stay in the ring until they are
 * skipped; return their number, or -EFBIG once an event found the ring full. The caller
 * serialises both. Any context, as the last.
 */
XPV_MUST_CHECK int xpv_event_user_peek(struct xpv_event_user *user, uint32_t *ports, unsigned int most);
void xpv_event_user_skip(struct xpv_event_user *user, unsigned int count);
/* The user has handled the events of these ports; ports that are not its own are skipped. */
void xpv_event_user_finish(struct xpv_event_user *user, const uint32_t *ports, unsigned int count);
#define XPV_EVENT_USER_READABLE 1u
#define XPV_EVENT_USER_OVERFLOW 2u
unsigned int xpv_event_user_readiness(struct xpv_event_user *user);

/* ==== C++ calls C ==== */

#define XPV_IRQ_FIXED (1u << 31) /* with the flags of xpv_event_flags: stays on `cpu` */
/*
 * Make a Linux irq for the channel's port, with its handler. `*irq` is set
 * before the handler can run, and 0 after an error. `name` must live until
 * the irq is unbound. Sleeping context.
 */
XPV_MUST_CHECK int xpv_irq_bind(const char *name, unsigned int flags, unsigned int cpu,
				struct xpv_event_channel *channel, unsigned int *irq);
/* When this returns, no handler runs and Linux has no reference to the channel. Sleeping context. */
void xpv_irq_unbind(unsigned int irq, struct xpv_event_channel *channel);
/* Preallocate the map from port to irq up to `last`. Sleeping context. */
XPV_MUST_CHECK int xpv_irq_room(struct xpv_port last);
/* Clear the map. Irqs off. */
void xpv_irqs_forget_ports(void);
/* Map the port to the irq; -ENOMEM if that was not preallocated. Irqs off. */
XPV_MUST_CHECK int xpv_irq_set_port(unsigned int irq, struct xpv_port port);
/* disable_irq_nosync(), enable_irq(), synchronize_irq(). */
void xpv_irq_disable(unsigned int irq);
void xpv_irq_enable(unsigned int irq);
void xpv_irq_synchronize(unsigned int irq);
/* Run the port's irq; false when it has none. Hard irq context. */
bool xpv_irq_handle(struct xpv_port port);

/* Whether the CPU, if it is online, can get upcalls. Any context. */
bool xpv_upcall_reaches(unsigned int cpu);
/* How upcalls arrive, in words. */
const char *xpv_upcalls_kind(void);
/* In a restored domain, with irqs off: set up upcalls for the domain and this CPU; for one more vCPU. */
XPV_MUST_CHECK int xpv_upcalls_restore(void);
XPV_MUST_CHECK int xpv_upcall_restore_cpu(unsigned int cpu);

/* Tracepoints. Any context. */
void xpv_trace_event_eoi(struct xpv_port port);
void xpv_trace_event_backoff(struct xpv_port port, unsigned int milliseconds);

/* There is something to read. Hard irq context, or a thread; a spinlock held. */
void xpv_event_node_wake(struct xpv_event_node *node);

/* ==== C calls C ==== */

XPV_MUST_CHECK int xpv_event_node_register(void);
void xpv_event_node_unregister(void);

XPV_MUST_CHECK int xpv_irqs_start(void);
void xpv_irqs_stop(void);
XPV_MUST_CHECK int xpv_upcalls_start(void);
void xpv_upcalls_stop(void);
/* The table in debugfs, and reports on demand. */
void xpv_evtchn_debug_start(void);
void xpv_evtchn_debug_stop(void);

#ifdef __cplusplus
}
#endif

#endif
