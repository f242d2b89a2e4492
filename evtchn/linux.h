/* SPDX-License-Identifier: GPL-2.0-only */
/* Between this module's C++ and its Linux side; nobody else includes it. */
#ifndef XPV_EVTCHN_LINUX_H
#define XPV_EVTCHN_LINUX_H

#include "evtchn/evtchn.h"
#include "hypervisor/suspend_part.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The ABI ---- */

enum xpv_evtchn_abi {
	XPV_ABI_AUTO, /* FIFO where Xen has it */
	XPV_ABI_FIFO,
	XPV_ABI_2LEVEL,
};
/* Every port masked, nothing bound. Sleeping context; and undo it. */
int xpv_ports_start(enum xpv_evtchn_abi wanted);
void xpv_ports_stop(void);
/* No port has an event any more. Any context. */
void xpv_ports_mask_all(void);
/* Its name. */
const char *xpv_ports_abi(void);

/*
 * A suspend: what restore() may need (sleeping context), and what it left
 * (likewise). restore() in a new domain, on the only CPU that runs: every
 * port masked, nothing bound, as after start().
 */
int xpv_ports_prepare(void);
int xpv_ports_restore(void);
void xpv_ports_settle(void);

/* ---- Upcalls ---- */

/* The CPU's vCPU can get events; what it was told before is forgotten. Sleeping context. */
int xpv_upcall_prepare(unsigned int cpu);
/* Handle all that is pending for the CPU. Hard irq context. False when there was nothing. */
bool xpv_upcall(unsigned int cpu);
/*
 * No upcall is made any more. Every port must be masked. While Xen sees one
 * as pending it raises no further vector, but does not leave off with a
 * `callback` either, if one is set again.
 */
void xpv_upcall_silence(unsigned int cpu, bool callback);
/* HVMOP_set_evtchn_upcall_vector; whether this domain ever did that; HVM_PARAM_CALLBACK_IRQ. */
int xpv_upcall_set_vector(unsigned int cpu, unsigned int vector);
bool xpv_upcall_vectors_were_set(void);
int xpv_upcall_set_via(uint64_t via);

/* ---- All channels ---- */

int xpv_channels_start(void);
void xpv_channels_stop(void);
/* How many channels a CPU serves. Any context. */
unsigned int xpv_channels_on(unsigned int cpu);
/*
 * The CPU can get upcalls, and xpv_upcall_reaches() says so; it is dead, and
 * does not say so any more. No event that is pending anywhere is lost.
 * Sleeping context.
 */
void xpv_channels_cpu_ready(unsigned int cpu);
void xpv_channels_cpu_dead(unsigned int cpu);

struct xpv_event_channel_state {
	struct xpv_port port;
	const char *kind;
	int remote; /* domain, or number of the VIRQ; -1: none */
	unsigned int irq, cpu, priority;
	bool pending, masked;
	unsigned int hidden; /* reasons for the mask, see channel.hh */
	uint64_t events, spurious;
	const char *name;
	xpv_event_handler *handler;
};
struct xpv_event_channel_viewer;
/* Sleeping context. */
void xpv_channels_each(void (*look)(struct xpv_event_channel_viewer *viewer,
				    const struct xpv_event_channel_state *state),
		       struct xpv_event_channel_viewer *viewer);

/* ---- A channel, for its irq ---- */

/* The irq is disabled; enabled. Any context. */
void xpv_event_channel_hide(struct xpv_event_channel *channel);
void xpv_event_channel_show(struct xpv_event_channel *channel);
/* Deliver the port's events to this CPU from now on, none lost. 0 or what Xen said. Any context. */
int xpv_event_channel_move(struct xpv_event_channel *channel, unsigned int cpu);
/* Have it handled as if an event had come. Any context. */
void xpv_event_channel_raise(struct xpv_event_channel *channel);
/* The handler, in the context that the channel asked for; a threaded one in two steps. */
void xpv_event_channel_run(struct xpv_event_channel *channel);
void xpv_event_channel_begin_until_eoi(struct xpv_event_channel *channel);
void xpv_event_channel_begin_threaded(struct xpv_event_channel *channel);
void xpv_event_channel_run_threaded(struct xpv_event_channel *channel);

/* ---- Called by the C++ code ---- */

#define XPV_IRQ_FIXED (1u << 31) /* with the flags of xpv_event_flags: stays on `cpu` */
/*
 * A Linux irq for the channel's port, and its handler behind it. `name` must
 * live until it is unbound. Sleeping context.
 */
int xpv_irq_bind(const char *name, unsigned int flags, unsigned int cpu, struct xpv_event_channel *channel,
		 unsigned int *irq);
/* No handler runs after this, and nothing of Linux refers to the channel. Sleeping context. */
void xpv_irq_unbind(unsigned int irq, struct xpv_event_channel *channel);
/*
 * For a restore: make sure that ports up to this one can be given to an irq
 * (sleeping context); no port has an irq any more; the port is that irq's, or
 * -ENOMEM when no room was made. The last two with irqs off.
 */
int xpv_irq_room(struct xpv_port last);
void xpv_irqs_forget_ports(void);
int xpv_irq_set_port(unsigned int irq, struct xpv_port port);
void xpv_irq_disable(unsigned int irq);
void xpv_irq_enable(unsigned int irq);
void xpv_irq_synchronize(unsigned int irq);
/* Run the port's irq. Hard irq context. False when it has none. */
bool xpv_irq_handle(struct xpv_port port);

/* Whether the CPU, if it is online, can get upcalls. Any context. */
bool xpv_upcall_reaches(unsigned int cpu);

/* Tracepoints. Any context. */
void xpv_trace_event_eoi(struct xpv_port port);
void xpv_trace_event_backoff(struct xpv_port port, unsigned int milliseconds);

/* What this module does in a suspend. */
extern struct xpv_suspend_part xpv_evtchn_suspend_part;

/* ---- /dev/xen/evtchn: one user for each time it is open. Sleeping context. ---- */

struct xpv_event_user; /* C++ */
struct xpv_event_node; /* C */

enum xpv_event_user_kind { XPV_EVENT_USER_VIRQ, XPV_EVENT_USER_INTERDOMAIN, XPV_EVENT_USER_UNBOUND };
struct xpv_event_user_binding {
	enum xpv_event_user_kind kind;
	unsigned int virq;
	struct xpv_domid remote;
	struct xpv_port remote_port;
};

int xpv_event_users_start(void);
void xpv_event_users_stop(void);

/* `name` shows in /proc/interrupts. */
int xpv_event_user_open(struct xpv_event_node *node, const char *name, struct xpv_event_user **user);
/* The node hears nothing any more. */
void xpv_event_user_close(struct xpv_event_user *user);
/* The port, or what bind_*() say, -EACCES when the user is restricted to another domain. */
int xpv_event_user_bind(struct xpv_event_user *user, const struct xpv_event_user_binding *binding);
/* -ENOTCONN for a port that is not the user's. */
int xpv_event_user_unbind(struct xpv_event_user *user, struct xpv_port port);
int xpv_event_user_notify(struct xpv_event_user *user, struct xpv_port port);
/* From now on only this domain. -EACCES the second time, -EINVAL for a domain that cannot be. */
int xpv_event_user_restrict(struct xpv_event_user *user, struct xpv_domid domain);
/* Forget what is in the ring, and that it overflowed. */
void xpv_event_user_reset(struct xpv_event_user *user);
/*
 * The next ports that had an event, which stay until they are skipped; how
 * many there are, or -EFBIG once one found the ring full. The caller
 * serialises both. Any context, as the last.
 */
int xpv_event_user_peek(struct xpv_event_user *user, uint32_t *ports, unsigned int most);
void xpv_event_user_skip(struct xpv_event_user *user, unsigned int count);
/* The user has dealt with these; others' ports are passed over. */
void xpv_event_user_finish(struct xpv_event_user *user, const uint32_t *ports, unsigned int count);
#define XPV_EVENT_USER_READABLE 1u
#define XPV_EVENT_USER_OVERFLOW 2u
unsigned int xpv_event_user_readiness(struct xpv_event_user *user);

/* In C: there is something to read. Any context, a spinlock held. */
void xpv_event_node_wake(struct xpv_event_node *node);

/* ---- Between the Linux files ---- */

int xpv_event_node_register(void);
void xpv_event_node_unregister(void);

int xpv_irqs_start(void);
void xpv_irqs_stop(void);
int xpv_upcalls_start(void);
void xpv_upcalls_stop(void);
/* How upcalls arrive, in words. */
const char *xpv_upcalls_kind(void);
/* In a new domain, with irqs off: what holds for all vCPUs and for this one; and one vCPU's own. */
int xpv_upcalls_restore(void);
int xpv_upcall_restore_cpu(unsigned int cpu);
/* The table in debugfs, and reports on demand. */
void xpv_evtchn_debug_start(void);
void xpv_evtchn_debug_stop(void);

#ifdef __cplusplus
}
#endif

#endif
