// SPDX-License-Identifier: GPL-2.0-only
/* The fake's domain from reset to restore, and what answers its hypercalls. */
#include "tests/fake/fake_hypervisor.h"

#include "hypervisor/detect.hh"
#include "lib/memory.hh"
#include "tests/fake/fake_domain.hh"
#include "tests/fake/fake_grants.hh"
#include "tests/fake/fake_vcpus.hh"

namespace xpv {

constinit FakeDomain fake_domain = {};

void fake_ensure_started()
{
	if (fake_domain.started)
		return;
	fake_domain.started = true;
	fake_domain.lock.init("fake hypervisor"_lock);
	for (unsigned int port = 1; port <= fake_toolstack_ports; port++) {
		fake_domain.ports[port].status = EVTCHNSTAT_interdomain;
		fake_domain.ports[port].priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
	}
	fake_domain.params[HVM_PARAM_STORE_EVTCHN] = 1;
	fake_domain.params[HVM_PARAM_CONSOLE_EVTCHN] = 2;
}

namespace {

constinit bool hides_domid = false;

/* Xen 4.17 of a build that says "fake" wherever it can. */
long version_op(unsigned int command, unsigned long argument)
{
	switch (command) {
	case XENVER_extraversion:
		__builtin_strcpy(*reinterpret_cast<xen_extraversion_t *>(argument), ".fake");
		return 0;
	case XENVER_guest_handle: {
		auto &bytes = *reinterpret_cast<xen_domain_handle_t *>(argument);
		for (unsigned int i = 0; i < sizeof(bytes); i++)
			bytes[i] = static_cast<unsigned char>(0x11 * i);
		return 0;
	}
	case XENVER_compile_info: {
		auto &info = *reinterpret_cast<xen_compile_info_t *>(argument);
		/* Without a NUL: nothing may rely on one. */
		__builtin_memset(info.compiler, 'c', sizeof(info.compiler));
		__builtin_strcpy(info.compile_by, "fake");
		__builtin_strcpy(info.compile_date, "today");
		return 0;
	}
	case XENVER_platform_parameters:
		reinterpret_cast<xen_platform_parameters_t *>(argument)->virt_start = 0xffff800000000000;
		return 0;
	case XENVER_get_features:
		reinterpret_cast<xen_feature_info_t *>(argument)->submap = 0x2705;
		return 0;
	case XENVER_pagesize:
		return 4096;
	case XENVER_build_id: {
		if (!argument)
			return 4;
		auto *id = reinterpret_cast<xen_build_id_t *>(argument);
		if (id->len < 4)
			return -XEN_ENOBUFS;
		__builtin_memcpy(id->buf, "\1\0\2\377", 4);
		return 4;
	}
	}
	return -XEN_EPERM;
}

long vcpu_op(unsigned int command, unsigned long vcpu, unsigned long argument)
{
	if (vcpu >= fake_max_vcpus)
		return -XEN_EINVAL;
	auto number = static_cast<uint32_t>(vcpu);
	return command == VCPUOP_register_vcpu_info ? fake_register_vcpu_info(number, argument) :
						      fake_vcpu_op(command, number, argument);
}

int failure_of(unsigned int number, unsigned int command)
{
	RawSpinGuard guard(fake_domain.lock);
	FakeFailure &failure = fake_domain.failure;
	if (!failure.error || failure.number != number || failure.command != command)
		return 0;
	if (failure.skip) {
		failure.skip--;
		return 0;
	}
	int error = failure.error;
	failure = {};
	return error;
}

/* All of the domain but its grants. */
void restore_domain()
{
	RawSpinGuard guard(fake_domain.lock);
	for (FakeClaim &claim : fake_domain.claims)
		claim.stale = ~uint64_t{ 0 };
	fake_domain.shared = nullptr;
	for (unsigned int port = 0; port < fake_max_ports; port++) {
		fake_domain.ports[port] = {};
		if (port >= 1 && port <= fake_toolstack_ports) {
			fake_domain.ports[port].status = EVTCHNSTAT_interdomain;
			fake_domain.ports[port].priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
		}
	}
	__builtin_memset(static_cast<void *>(&fake_domain.fifo), 0, sizeof(fake_domain.fifo));
	__builtin_memset(fake_domain.vectors, 0, sizeof(fake_domain.vectors));
	__builtin_memset(fake_domain.infos, 0, sizeof(fake_domain.infos));
	fake_domain.params[HVM_PARAM_CALLBACK_IRQ] = 0;
	fake_domain.params[HVM_PARAM_STORE_EVTCHN] = 3;
	fake_domain.params[HVM_PARAM_CONSOLE_EVTCHN] = 2;
}

} // namespace

Result<XenPresence> detect_xen()
{
	fake_ensure_started();
	return XenPresence{ 0, (4u << 16) | 17, false };
}

Result<Domid> own_domid(const XenPresence &)
{
	if (hides_domid)
		return Error(XEN_ENOENT);
	return Domid{ XPV_FAKE_OWN_DOMID };
}

Vcpu this_vcpu(const XenPresence &, uint32_t fallback)
{
	return Vcpu{ fallback };
}

void choose_hypercall(const XenPresence &)
{
}

} // namespace xpv

extern "C" {

long xpv_hypercall(unsigned int number, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long)
{
	using namespace xpv;

	fake_ensure_started();
	auto command = static_cast<unsigned int>(a1);
	if (int error = failure_of(number, command))
		return -error;
	switch (number) {
	case __HYPERVISOR_event_channel_op:
		return fake_event_channel_op(command, a2);
	case __HYPERVISOR_memory_op:
		return fake_memory_op(command, a2);
	case __HYPERVISOR_hvm_op:
		return fake_hvm_op(command, a2);
	case __HYPERVISOR_grant_table_op:
		return fake_grant_table_op(command, a2, static_cast<unsigned int>(a3));
	case __HYPERVISOR_xen_version:
		return version_op(command, a2);
	case __HYPERVISOR_vcpu_op:
		return vcpu_op(command, a2, a3);
	case __HYPERVISOR_sched_op:
		return fake_sched_op(command, a2);
	}
	return -XEN_ENOSYS;
}

void xpv_fake_reset(void)
{
	for (xpv::FakeClaim &claim : xpv::fake_domain.claims) {
		if (claim.memory)
			xpv_pages_free(claim.memory, claim.order);
	}
	__builtin_memset(static_cast<void *>(&xpv::fake_domain), 0, sizeof(xpv::fake_domain));
	xpv::fake_grants_reset();
	xpv::fake_vcpus_reset();
	xpv::fake_ensure_started();
}

void xpv_fake_restore(void)
{
	xpv::fake_ensure_started();
	xpv::restore_domain();
	xpv::fake_grants_restore();
}

void xpv_fake_hide_domid(bool hide)
{
	xpv::hides_domid = hide;
}

void xpv_fake_fail(unsigned int number, unsigned int command, unsigned int skip, int error)
{
	xpv::fake_ensure_started();
	xpv::RawSpinGuard guard(xpv::fake_domain.lock);
	xpv::fake_domain.failure = { number, command, skip, error };
}

} /* extern "C" */
