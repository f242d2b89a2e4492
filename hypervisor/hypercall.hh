/* SPDX-License-Identifier: GPL-2.0-only */
/* Typed hypercalls: one function for each that xpv makes, named as in Xen's headers. */
#pragma once

#include "lib/xen.hh"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/hvm_vcpu.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "hypervisor/hypervisor_owned.h"
#include "lib/address.hh"
#include "lib/result.hh"

namespace xpv {

static_assert(sizeof(evtchn_alloc_unbound) == 8);
static_assert(sizeof(xen_add_to_physmap) == 24);
static_assert(sizeof(xen_hvm_param) == 16);
static_assert(sizeof(vcpu_info) == 64);
static_assert(sizeof(shared_info) <= 4096);
static_assert(sizeof(vcpu_hvm_context) == 128);

namespace detail {

template <typename T>
inline Status hypercall_with(unsigned int number, unsigned int command, T &argument, unsigned long count = 0)
{
	return status(static_cast<int>(xpv_hypercall(number, command, address_of(&argument), count, 0)));
}

} // namespace detail

/* ---- event_channel.h ---- */

[[nodiscard]] inline Result<Port> evtchnop_alloc_unbound(Domid remote)
{
	::evtchn_alloc_unbound operation = { .dom = DOMID_SELF, .remote_dom = remote.value, .port = 0 };
	XPV_TRY(detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, operation));
	return Port{ operation.port };
}

[[nodiscard]] inline Result<Port> evtchnop_bind_interdomain(Domid remote, Port remote_port)
{
	::evtchn_bind_interdomain operation = { .remote_dom = remote.value,
						.remote_port = remote_port.value,
						.local_port = 0 };
	XPV_TRY(detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, operation));
	return Port{ operation.local_port };
}

[[nodiscard]] inline Status evtchnop_close(Port port)
{
	::evtchn_close operation = { .port = port.value };
	return detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_close, operation);
}

[[nodiscard]] inline Status evtchnop_send(Port port)
{
	::evtchn_send operation = { .port = port.value };
	return detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_send, operation);
}

[[nodiscard]] inline Status evtchnop_unmask(Port port)
{
	::evtchn_unmask operation = { .port = port.value };
	return detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_unmask, operation);
}

[[nodiscard]] inline Status evtchnop_bind_vcpu(Port port, Vcpu vcpu)
{
	::evtchn_bind_vcpu operation = { .port = port.value, .vcpu = vcpu.value };
	return detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu, operation);
}

/* A VIRQ of each vCPU stays on its vCPU; a global one is bound on vCPU 0 and may be moved. */
[[nodiscard]] inline Result<Port> evtchnop_bind_virq(unsigned int virq, Vcpu vcpu)
{
	::evtchn_bind_virq operation = { .virq = virq, .vcpu = vcpu.value, .port = 0 };
	XPV_TRY(detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, operation));
	return Port{ operation.port };
}

[[nodiscard]] inline Result<Port> evtchnop_bind_ipi(Vcpu vcpu)
{
	::evtchn_bind_ipi operation = { .vcpu = vcpu.value, .port = 0 };
	XPV_TRY(detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, operation));
	return Port{ operation.port };
}

/* `offset` in bytes, a multiple of 8. The first call of a domain switches it to the FIFO ABI, for good. */
[[nodiscard]] inline Status evtchnop_init_control(Vcpu vcpu, Gfn control, unsigned int offset)
{
	::evtchn_init_control operation = {};
	operation.control_gfn = control.value;
	operation.offset = offset;
	operation.vcpu = vcpu.value;
	return detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_init_control, operation);
}

[[nodiscard]] inline Status evtchnop_expand_array(Gfn page)
{
	::evtchn_expand_array operation = { .array_gfn = page.value };
	return detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, operation);
}

/* 0 (highest) to 15; FIFO ABI only, ENOSYS otherwise. */
[[nodiscard]] inline Status evtchnop_set_priority(Port port, unsigned int priority)
{
	::evtchn_set_priority operation = { .port = port.value, .priority = priority };
	return detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_set_priority, operation);
}

/* `status` is one of EVTCHNSTAT_*; ERANGE-like errors past the last port. */
[[nodiscard]] inline Result<::evtchn_status> evtchn_status(Port port)
{
	::evtchn_status operation = {};
	operation.dom = DOMID_SELF;
	operation.port = port.value;
	XPV_TRY(detail::hypercall_with(__HYPERVISOR_event_channel_op, EVTCHNOP_status, operation));
	return operation;
}

/* ---- memory.h ---- */

[[nodiscard]] inline Status add_to_physmap(unsigned int space, unsigned long index, Gfn frame)
{
	xen_add_to_physmap operation = {};
	operation.domid = DOMID_SELF;
	operation.space = space;
	operation.idx = index;
	operation.gpfn = frame.value;
	return detail::hypercall_with(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, operation);
}

[[nodiscard]] inline Status remove_from_physmap(Gfn frame)
{
	xen_remove_from_physmap operation = { .domid = DOMID_SELF, .gpfn = frame.value };
	return detail::hypercall_with(__HYPERVISOR_memory_op, XENMEM_remove_from_physmap, operation);
}

/* ---- grant_table.h ---- */

static_assert(sizeof(gnttab_map_grant_ref) == 32);
static_assert(sizeof(gnttab_unmap_grant_ref) == 24);
static_assert(sizeof(gnttab_copy) == 40);

struct GrantTableSize {
	unsigned int frames;
	unsigned int max_frames;
};

[[nodiscard]] inline Result<GrantTableSize> grant_table_query_size()
{
	gnttab_query_size operation = {};
	operation.dom = DOMID_SELF;
	XPV_TRY(detail::hypercall_with(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, operation, 1));
	if (operation.status != GNTST_okay)
		return Error(XEN_EIO);
	return GrantTableSize{ operation.nr_frames, operation.max_nr_frames };
}

/*
 * Set the version of the entries in this domain's table. Xen refuses while
 * entries are in use and the other version is in effect.
 */
[[nodiscard]] inline Status grant_table_set_version(unsigned int version)
{
	gnttab_set_version operation = { .version = version };
	return detail::hypercall_with(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, operation, 1);
}

[[nodiscard]] inline Result<unsigned int> grant_table_get_version()
{
	gnttab_get_version operation = {};
	operation.dom = DOMID_SELF;
	XPV_TRY(detail::hypercall_with(__HYPERVISOR_grant_table_op, GNTTABOP_get_version, operation, 1));
	return operation.version;
}

/*
 * Each of these passes `count` operations; Xen writes the status of each
 * (GNTST_*) into it. The error returned is that of the call: operations that Xen
 * did not reach keep the status that they had.
 */
[[nodiscard]] inline Status gnttabop_map_grant_ref(gnttab_map_grant_ref *operations, unsigned int count)
{
	return detail::hypercall_with(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, *operations, count);
}

[[nodiscard]] inline Status gnttabop_unmap_grant_ref(gnttab_unmap_grant_ref *operations, unsigned int count)
{
	return detail::hypercall_with(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, *operations, count);
}

[[nodiscard]] inline Status gnttabop_copy(gnttab_copy *operations, unsigned int count)
{
	return detail::hypercall_with(__HYPERVISOR_grant_table_op, GNTTABOP_copy, *operations, count);
}

/* ---- hvm/hvm_op.h ---- */

[[nodiscard]] inline Result<uint64_t> hvm_get_param(unsigned int index)
{
	xen_hvm_param operation = {};
	operation.domid = DOMID_SELF;
	operation.index = index;
	XPV_TRY(detail::hypercall_with(__HYPERVISOR_hvm_op, HVMOP_get_param, operation));
	return operation.value;
}

[[nodiscard]] inline Status hvm_set_param(unsigned int index, uint64_t value)
{
	xen_hvm_param operation = {};
	operation.domid = DOMID_SELF;
	operation.index = index;
	operation.value = value;
	return detail::hypercall_with(__HYPERVISOR_hvm_op, HVMOP_set_param, operation);
}

[[nodiscard]] inline Status hvm_set_evtchn_upcall_vector(Vcpu vcpu, unsigned int vector)
{
	xen_hvm_evtchn_upcall_vector operation = {};
	operation.vcpu = vcpu.value;
	operation.vector = static_cast<uint8_t>(vector);
	return detail::hypercall_with(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, operation);
}

/* ---- vcpu.h ---- */

/* Only for the calling vCPU: Xen 4.17 refuses it for another vCPU that is up. */
[[nodiscard]] inline Status vcpu_register_vcpu_info(Vcpu vcpu, Gfn frame, unsigned int offset)
{
	vcpu_register_vcpu_info_t operation = {};
	operation.mfn = frame.value;
	operation.offset = offset;
	return status(static_cast<int>(xpv_hypercall(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, vcpu.value,
						     address_of(&operation), 0)));
}

/* Take a vCPU down: it stops where it is. Never take down the last vCPU that is up: that powers the domain off. */
[[nodiscard]] inline Status vcpu_down(Vcpu vcpu)
{
	return status(static_cast<int>(xpv_hypercall(__HYPERVISOR_vcpu_op, VCPUOP_down, vcpu.value, 0, 0)));
}

/* Bring up a vCPU: it continues where it stopped. */
[[nodiscard]] inline Status vcpu_up(Vcpu vcpu)
{
	return status(static_cast<int>(xpv_hypercall(__HYPERVISOR_vcpu_op, VCPUOP_up, vcpu.value, 0, 0)));
}

/* Set the registers of a vCPU that is not initialised; it stays down. EEXIST when it is initialised. */
[[nodiscard]] inline Status vcpu_initialise(Vcpu vcpu, vcpu_hvm_context &context)
{
	return status(static_cast<int>(xpv_hypercall(__HYPERVISOR_vcpu_op, VCPUOP_initialise, vcpu.value,
						     address_of(&context), 0)));
}

/* ---- sched.h ---- */

enum class Suspended {
	restored, /* this is another domain, with the same memory */
	cancelled, /* this is the same domain */
};

/* Suspend the domain (SHUTDOWN_suspend). On vCPU 0, all others down or spinning. */
[[nodiscard]] inline Result<Suspended> sched_shutdown_suspend()
{
	sched_shutdown operation = { .reason = SHUTDOWN_suspend };
	long code = xpv_hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, address_of(&operation), 0, 0);
	if (code < 0)
		return Error(static_cast<int>(code));
	return code == 0 ? Suspended::restored : Suspended::cancelled;
}

/* ---- version.h ---- */

static_assert(sizeof(xen_compile_info_t) == 64 + 16 + 32 + 32);
static_assert(sizeof(xen_feature_info_t) == 8);

/* Call XENVER_* with the buffer that Xen writes to. Return Xen's return value. */
[[nodiscard]] inline long xen_version(unsigned int command, void *argument)
{
	return xpv_hypercall(__HYPERVISOR_xen_version, command, address_of(argument), 0, 0);
}

[[nodiscard]] inline Result<xen_extraversion_t *> xen_extraversion(xen_extraversion_t *text)
{
	long code = xpv_hypercall(__HYPERVISOR_xen_version, XENVER_extraversion, address_of(text), 0, 0);
	if (code < 0)
		return Error(static_cast<int>(code));
	(*text)[sizeof(*text) - 1] = '\0';
	return text;
}

} // namespace xpv
