/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A Xen in a box for unit tests: it answers the hypercalls that xpv makes,
 * holds one domain's event channels, grant table and parameters, and lets
 * the test play the other domains. It stands in for hypervisor/detect.cc,
 * hypercall.cc and frames_linux.c, in the kernel (KUnit) and on the host.
 *
 * All functions: any context but where they say otherwise, serialised inside.
 */
#ifndef XPV_TESTS_FAKE_HYPERVISOR_H
#define XPV_TESTS_FAKE_HYPERVISOR_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The domain's own number. */
#define XPV_FAKE_OWN_DOMID 7

/* Back to the state of a new domain; the caller's modules must hold nothing. */
void xpv_fake_reset(void);

/*
 * The domain is saved, and restored as a new one: guest memory stays as it
 * is; shared info, event channels, the grant table with all that is mapped
 * either way, upcalls and parameters are a new domain's. The toolstack's
 * ports have other numbers: those of the store and the console are in the
 * parameters. The frames of xpv_frames_claim() hold what was there, until Xen
 * adds something new.
 */
void xpv_fake_restore(void);
/* Whether Xen's CPUID does not have the domain's number, as older ones'. */
void xpv_fake_hide_domid(bool hide);
/* Whether Xen has no FIFO event channels. */
void xpv_fake_refuse_fifo(bool refuse);

/*
 * Whether Xen takes a callback vector (HVM_PARAM_CALLBACK_IRQ): one vector for
 * all vCPUs that have none of their own, injected past the local APIC. Only
 * where xpv_fake_interrupt() does the same: in a kernel it is refused.
 */
void xpv_fake_take_callback_vector(bool take);

/* ---- Event channels ---- */

/* The other end sends an event to our port: sets it pending and makes the upcall, as Xen would. */
void xpv_fake_event(struct xpv_port port);
/* Xen raises this VIRQ on every vCPU that has bound it. */
void xpv_fake_virq(unsigned int virq);
/* How often we sent an event through the port since the last call. */
unsigned int xpv_fake_sent(struct xpv_port port);
/* Ports that are open, those the "toolstack" made left out. */
unsigned int xpv_fake_open_ports(void);
/* The vCPU that a port is bound to. */
struct xpv_vcpu xpv_fake_port_vcpu(struct xpv_port port);
/* A port made by the toolstack, as xenstore's and the console's are. */
struct xpv_port xpv_fake_toolstack_port(void);
/* What we send through the port comes to this function (in the sender's context); NULL to stop. */
struct xpv_fake_peer_context;
void xpv_fake_peer(struct xpv_port port, void (*peer)(struct xpv_fake_peer_context *context),
		   struct xpv_fake_peer_context *context);

/* ---- Grants ---- */

/*
 * The other end maps a grant: its frame and whether it is writable, with the
 * reading/writing flags set until unmapped. -EACCES as Xen decides it.
 */
int xpv_fake_map_grant(struct xpv_domid domain, struct xpv_gref reference, bool writable, struct xpv_gfn *frame);
void xpv_fake_unmap_grant(struct xpv_gref reference);
/* Entries of the table that permit access now. */
unsigned int xpv_fake_active_grants(void);
/* Whether Xen refuses version 1 of the table to domains after the next xpv_fake_reset(). */
void xpv_fake_refuse_grant_version_1(bool refuse);

/* ---- Other domains' grants to us ---- */

/*
 * The other domain grants us a page (zeroed; 64 at most are there at a time).
 * Returns the page as that domain sees it. What we write into a mapping is
 * there when it was unmapped, and what it writes later we see in the next
 * mapping. Sleeping context, as the next.
 */
void *xpv_fake_foreign_grant(struct xpv_domid domain, struct xpv_gref reference, bool writable);
/* Take it back. Returns how often we have it mapped; then nothing has changed. */
unsigned int xpv_fake_foreign_end(struct xpv_domid domain, struct xpv_gref reference);
/* The next `times` maps and copies of that grant end in `status` (GNTST_*). */
void xpv_fake_foreign_answer(struct xpv_domid domain, struct xpv_gref reference, int status, unsigned int times);
/* The next `times` unmaps fail. */
void xpv_fake_refuse_unmap(unsigned int times);
/* How many mappings we have. */
unsigned int xpv_fake_foreign_mapped(void);
/* The most operations that one hypercall to map, unmap or copy had since the last call. */
unsigned int xpv_fake_largest_grant_batch(void);

/* ---- Parameters and failures ---- */

/* HVM_PARAM_*: what hvm_get_param finds, and what hvm_set_param left. */
void xpv_fake_set_param(unsigned int index, uint64_t value);
uint64_t xpv_fake_param(unsigned int index);
/*
 * The `skip`-th next hypercall `number` with this first argument (its
 * command) fails with -`error`, once. `error` 0 takes that back.
 */
void xpv_fake_fail(unsigned int number, unsigned int command, unsigned int skip, int error);
/* Maximum of grant table frames for domains after the next xpv_fake_reset(). */
void xpv_fake_set_max_grant_frames(unsigned int frames);

/* ---- Wanted from whoever embeds the fake ---- */

/*
 * Raise the vCPU's upcall vector: its own, or the callback vector; 0: neither
 * was set. Any context.
 */
void xpv_fake_interrupt(struct xpv_vcpu vcpu, unsigned int vector);

/* The memory behind one of our own frames; NULL when it is none of RAM. Any context. */
void *xpv_fake_memory(struct xpv_gfn frame);

#ifdef __cplusplus
}
#endif

#endif
