/* SPDX-License-Identifier: GPL-2.0-only */
/* Interface between this module's C++ and its Linux side; no other module includes it. */
#ifndef XPV_EVTCHN_LINUX_H
#define XPV_EVTCHN_LINUX_H

#include "evtchn/evtchn.h"
#include "hypervisor/suspend_part.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- C calls C++: the ABI ---- */

enum xpv_evtchn_abi {
	XPV_ABI_AUTO, /* FIFO where Xen has it */
	XPV_ABI_FIFO,
	XPV_ABI_2LEVEL,
};
/* Choose the ABI. On return every port is masked and no port is bound. Sleeping context. */
XPV_MUST_CHECK int xpv_ports_start(enum xpv_evtchn_abi wanted);
/* Free the state of the ABI. Sleeping context. */
void xpv_ports_stop(void);
/* Mask every port. Any context. */
void xpv_ports_mask_all(void);
/* Return the name of the ABI. */
const char *xpv_ports_abi(void);

/* Allocate what xpv_ports_restore() will need. Sleeping context. */
XPV_MUST_CHECK int xpv_ports_prepare(void);
/* Free what xpv_ports_restore() did not need or replaced. Sleeping context. */
void xpv_ports_resume_done(void);
/*
 * Set up the ABI in a restored domain, on the only CPU that runs. On return every
 * port is masked and no port is bound, as after xpv_ports_start().
 */
XPV_MUST_CHECK int xpv_ports_restore(void);

/* ---- C calls C++: upcalls ---- */

/* Set up the CPU's vCPU for events, and discard the upcalls that Xen raised on it before. Sleeping context. */
XPV_MUST_CHECK int xpv_upcall_prepare(unsigned int cpu);
/* Handle all events that are pending for the CPU. Return whether an upcall was pending. Hard irq context. */
bool xpv_handle_upcall(unsigned int cpu);
/*
 * Stop upcalls; every port must be masked. evtchn_upcall_pending that stays
 * set keeps Xen from raising the vector of a vCPU. With a `callback` vector it
 * must be clear, or Xen injects one as soon as a callback is set again.
 */
void xpv_upcall_disable(unsigned int cpu, bool callback);
/* Set the vector of the vCPU (HVMOP_set_evtchn_upcall_vector). */
XPV_MUST_CHECK int xpv_upcall_set_vector(unsigned int cpu, unsigned int vector);
/* Return whether such a vector was ever set in this domain, by this load or an earlier one. */
bool xpv_upcall_vectors_were_set(void);
/* Set HVM_PARAM_CALLBACK_IRQ. */
XPV_MUST_CHECK int xpv_upcall_set_via(uint64_t via);

/* ---- C calls C++: all channels ---- */

XPV_MUST_CHECK int xpv_channels_start(void);
void xpv_channels_stop(void);
/* Return the number of channels that a CPU serves. Any context. */
unsigned int xpv_channels_on(unsigned int cpu);
/*
 * Unmask the channels that are fixed to the CPU. The CPU can get upcalls, and
 * xpv_upcall_reaches() is true already. No pending event is lost. Sleeping
 * context.
 */
void xpv_channels_cpu_ready(unsigned int cpu);
/*
 * Mask the channels that are fixed to the CPU. The CPU is dead, and
 * xpv_upcall_reaches() is false already. No pending event is lost. Sleeping
 * context.
 */
void xpv_channels_cpu_dead(unsigned int cpu);
/* Print the table of all channels. Sleeping context. */
struct xpv_debug_sink;
void xpv_channels_show(struct xpv_debug_sink *sink);

/* ---- C calls C++: a channel, for its irq ---- */

/* Mask the port: its irq is disabled. Any context but NMI, with the irq descriptor's lock held. */
void xpv_event_channel_irq_mask(struct xpv_event_channel *channel);
/* Undo xpv_event_channel_irq_mask(): the irq is enabled. The same context. */
void xpv_event_channel_irq_unmask(struct xpv_event_channel *channel);
/* Deliver the port's events to this CPU from now on; lose no event. Return 0 or Xen's errno. The same context. */
XPV_MUST_CHECK int xpv_event_channel_move(struct xpv_event_channel *channel, unsigned int cpu);
/* Raise an event on the port, as if it had arrived from the other end. The same context. */
void xpv_event_channel_raise(struct xpv_event_channel *channel);
/* Run the handler, in the context that the channel asked for. */
void xpv_event_channel_run(struct xpv_event_channel *channel);
/* Mask the port until its explicit EOI, before the handler runs. Hard irq context. */
void xpv_event_channel_begin_until_eoi(struct xpv_event_channel *channel);
/* Mask the port until xpv_event_channel_run_threaded() has run the handler. Hard irq context. */
void xpv_event_channel_begin_threaded(struct xpv_event_channel *channel);
/* Run the handler, then unmask the port. In a thread. */
void xpv_event_channel_run_threaded(struct xpv_event_channel *channel);

/* This module's suspend part. */
extern struct xpv_suspend_part xpv_evtchn_suspend_part;

/* ---- C calls C++: /dev/xen/evtchn, one user for each open file. Sleeping context. ---- */

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

/* Create a user. `name` appears in /proc/interrupts. */
XPV_MUST_CHECK int xpv_event_user_open(struct xpv_event_node *node, const char *name, struct xpv_event_user **user);
/* Destroy a user and close its ports. xpv_event_node_wake() is not called after this returns. */
void xpv_event_user_close(struct xpv_event_user *user);
/* Bind a port. Return its number, or an errno of the openers; -EACCES when the user is restricted to another domain. */
XPV_MUST_CHECK int xpv_event_user_bind(struct xpv_event_user *user, const struct xpv_event_user_binding *binding);
/* Unbind a port. -EINVAL for a number out of range, -ENOTCONN for a port that is not the user's. */
XPV_MUST_CHECK int xpv_event_user_unbind(struct xpv_event_user *user, struct xpv_port port);
/* Send an event to the other end. -ENOTCONN for a port that is not the user's. */
XPV_MUST_CHECK int xpv_event_user_notify(struct xpv_event_user *user, struct xpv_port port);
/* Permit only this domain from now on. -EACCES the second time, -EINVAL for an impossible domain. */
XPV_MUST_CHECK int xpv_event_user_restrict(struct xpv_event_user *user, struct xpv_domid domain);
/* Empty the ring, and clear its overflow. */
void xpv_event_user_reset(struct xpv_event_user *user);
/*
 * Copy out up to `most` ports that had an event, without consuming them. Return
 * their number, or -EFBIG after an overflow. The caller serialises this with
 * xpv_event_user_skip(). Any context.
 */
XPV_MUST_CHECK int xpv_event_user_peek(struct xpv_event_user *user, uint32_t *ports, unsigned int most);
/* Consume `count` ports. Any context. */
void xpv_event_user_skip(struct xpv_event_user *user, unsigned int count);
/* End the events of these ports, which the user has handled; skip ports that are not the user's. */
void xpv_event_user_finish(struct xpv_event_user *user, const uint32_t *ports, unsigned int count);
#define XPV_EVENT_USER_READABLE 1u
#define XPV_EVENT_USER_OVERFLOW 2u
/* Return flags XPV_EVENT_USER_READABLE and XPV_EVENT_USER_OVERFLOW. Any context. */
unsigned int xpv_event_user_readiness(struct xpv_event_user *user);

/* ---- C++ calls C ---- */

#define XPV_IRQ_FIXED (1u << 31) /* with the flags of xpv_event_flags: stays on `cpu` */
/*
 * Create a Linux irq for the channel's port, with its handler. `*irq` is set
 * before the handler can run, and 0 after an error. `name` must live until the
 * irq is unbound. Sleeping context.
 */
XPV_MUST_CHECK int xpv_irq_bind(const char *name, unsigned int flags, unsigned int cpu,
				struct xpv_event_channel *channel, unsigned int *irq);
/* Free the irq. On return no handler runs and Linux has no reference to the channel. Sleeping context. */
void xpv_irq_unbind(unsigned int irq, struct xpv_event_channel *channel);
/* Preallocate the map from port to irq up to `last`. Sleeping context. */
XPV_MUST_CHECK int xpv_irq_reserve(struct xpv_port last);
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

/* Return whether the CPU, if it is online, can get upcalls. Any context. */
bool xpv_upcall_reaches(unsigned int cpu);
/* Return how upcalls arrive, as text for the log and debugfs. */
const char *xpv_upcalls_kind(void);
/* Set up upcalls for a restored domain and for this CPU. Irqs off. */
XPV_MUST_CHECK int xpv_upcalls_restore(void);
/* Set up upcalls for one more CPU of a restored domain. Irqs off. */
XPV_MUST_CHECK int xpv_upcall_restore_cpu(unsigned int cpu);

/* Tracepoints. Any context. */
void xpv_trace_event_eoi(struct xpv_port port);
void xpv_trace_event_backoff(struct xpv_port port, unsigned int milliseconds);

/*
 * Wake the readers of the node: the ring has changed. Called in hard irq context
 * or in a thread, with a spinlock held.
 */
void xpv_event_node_wake(struct xpv_event_node *node);

/* ---- C calls C ---- */

XPV_MUST_CHECK int xpv_event_node_register(void);
void xpv_event_node_unregister(void);

XPV_MUST_CHECK int xpv_irqs_start(void);
void xpv_irqs_stop(void);
XPV_MUST_CHECK int xpv_upcalls_start(void);
void xpv_upcalls_stop(void);
/* Create the table in debugfs, and bind VIRQ_DEBUG for reports on demand. */
void xpv_evtchn_debug_start(void);
/* Undo xpv_evtchn_debug_start(). */
void xpv_evtchn_debug_stop(void);

#ifdef __cplusplus
}
#endif

#endif
