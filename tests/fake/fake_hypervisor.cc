// SPDX-License-Identifier: GPL-2.0-only
#include "tests/fake/fake_hypervisor.h"

#include "hypervisor/detect.hh"
#include "hypervisor/hypercall.hh"
#include "lib/guard.hh"
#include "lib/log.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "tests/fake/fake_fifo.hh"
#include "tests/fake/fake_grants.hh"
#include "tests/fake/fake_vcpus.hh"

namespace xpv {

namespace {

constexpr unsigned int max_ports = 256;
constexpr unsigned int max_vcpus = 40;
constexpr unsigned int max_claims = 16;
constexpr unsigned int toolstack_ports = 4; /* 1..4 are made by the toolstack */

struct FakePort {
	unsigned int status; /* EVTCHNSTAT_* */
	uint32_t vcpu;
	uint32_t virq;
	uint32_t priority;
	domid_t remote; /* of an unbound one */
	unsigned int sent;
	void (*peer)(xpv_fake_peer_context *context);
	xpv_fake_peer_context *peer_context;
};

struct Claim {
	void *memory;
	unsigned int order;
	uint64_t stale; /* bits of pages that hold what a domain before this one had there */
};

struct Failure {
	unsigned int number, command, skip;
	int error; /* 0: none */
};

struct Domain {
	bool started;
	RawSpinlock lock; /* callers of hypercalls have raw locks */
	Claim claims[max_claims];
	::shared_info *shared;
	FakePort ports[max_ports];
	FakeFifo fifo;
	uint8_t vectors[max_vcpus];
	vcpu_info *infos[max_vcpus];
	uint64_t params[HVM_NR_PARAMS];
	Failure failure;
};

constinit Domain domain = {};
constinit bool refuses_fifo = false;
constinit bool hides_domid = false;
constinit bool takes_callback_vector = false;

/* The first hypercall or test call, single-threaded, finds it not started. */
void ensure_started()
{
	if (domain.started)
		return;
	domain.started = true;
	domain.lock.init("fake hypervisor"_lock);
	for (unsigned int port = 1; port <= toolstack_ports; port++) {
		domain.ports[port].status = EVTCHNSTAT_interdomain;
		domain.ports[port].priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
	}
	domain.params[HVM_PARAM_STORE_EVTCHN] = 1;
	domain.params[HVM_PARAM_CONSOLE_EVTCHN] = 2;
}

/* Something of Xen's is added at a claimed frame: a new page, after a restore. */
void freshen(Gfn frame)
{
	for (Claim &claim : domain.claims) {
		if (!claim.memory)
			continue;
		uint64_t page = frame.value - xpv_pages_gfn(claim.memory).value;
		if (page >= 1u << claim.order || page >= 64 || !(claim.stale >> page & 1))
			continue;
		claim.stale &= ~(uint64_t{ 1 } << page);
		__builtin_memset(static_cast<char *>(claim.memory) + page * page_size, 0, page_size);
	}
}

void *memory_of(Gfn frame)
{
	for (Claim &claim : domain.claims) {
		if (!claim.memory)
			continue;
		uint64_t first = xpv_pages_gfn(claim.memory).value;
		if (frame.value >= first && frame.value < first + (1u << claim.order))
			return static_cast<char *>(claim.memory) + (frame.value - first) * page_size;
	}
	return nullptr;
}

vcpu_info *info_of(uint32_t vcpu)
{
	if (vcpu < max_vcpus && domain.infos[vcpu])
		return domain.infos[vcpu];
	return domain.shared && vcpu < XEN_LEGACY_MAX_VCPUS ? &domain.shared->vcpu_info[vcpu] : nullptr;
}

bool is_callback_vector(uint64_t via)
{
	return via >> 56 == HVM_PARAM_CALLBACK_TYPE_VECTOR;
}

/* By which Xen interrupts the vCPU (hvm_assert_evtchn_irq()); 0: by none. */
unsigned int vector_of(uint32_t vcpu)
{
	uint64_t via = read_once(domain.params[HVM_PARAM_CALLBACK_IRQ]);
	if (domain.vectors[vcpu])
		return domain.vectors[vcpu];
	return is_callback_vector(via) ? static_cast<uint8_t>(via) : 0;
}

/* The vCPU's upcall, unless it is under way already. */
void upcall(uint32_t vcpu)
{
	vcpu_info *info = info_of(vcpu);
	if (info && exchange(info->evtchn_upcall_pending, static_cast<uint8_t>(1)) == 0)
		xpv_fake_interrupt(Vcpu{ vcpu }, vector_of(vcpu));
}

long set_callback(uint64_t via)
{
	if (is_callback_vector(via) && !takes_callback_vector)
		return -XEN_EINVAL;
	domain.params[HVM_PARAM_CALLBACK_IRQ] = via;
	if (!is_callback_vector(via))
		return 0;
	/* As Xen, which injects it for as long as something is pending. */
	for (uint32_t vcpu = 0; vcpu < max_vcpus; vcpu++) {
		vcpu_info *info = info_of(vcpu);
		if (info && !domain.vectors[vcpu] && read_once(info->evtchn_upcall_pending))
			xpv_fake_interrupt(Vcpu{ vcpu }, vector_of(vcpu));
	}
	return 0;
}

/* A port whose pending bit is set, under the 2-level ABI. */
void tell_two_level(uint32_t port)
{
	vcpu_info *info = info_of(domain.ports[port].vcpu);
	if (!info || test_bit(port, domain.shared->evtchn_mask))
		return;
	if (!test_and_set_bit(port / 64, &info->evtchn_pending_sel))
		upcall(domain.ports[port].vcpu);
}

void tell_fifo(uint32_t port)
{
	uint32_t vcpu = domain.ports[port].vcpu;
	bool told;
	{
		RawSpinGuard guard(domain.lock);
		told = domain.fifo.set_pending(port, vcpu, domain.ports[port].priority);
	}
	if (told)
		upcall(vcpu);
}

void set_pending(uint32_t port)
{
	if (domain.fifo.active())
		tell_fifo(port);
	else if (domain.shared && !test_and_set_bit(port, domain.shared->evtchn_pending))
		tell_two_level(port);
}

void unmask(uint32_t port)
{
	if (domain.fifo.active()) {
		if (domain.fifo.unmask(port))
			tell_fifo(port);
		return;
	}
	if (test_and_clear_bit(port, domain.shared->evtchn_mask) && test_bit(port, domain.shared->evtchn_pending))
		tell_two_level(port);
}

bool is_open(uint32_t port)
{
	return port > 0 && port < max_ports && domain.ports[port].status != EVTCHNSTAT_closed;
}

bool is_fixed(const FakePort &port)
{
	return port.status == EVTCHNSTAT_ipi || (port.status == EVTCHNSTAT_virq && port.virq == VIRQ_DEBUG);
}

/* Virtual CPU and VIRQ of the new port; its number goes to `port`. */
long open_port(unsigned int status, uint32_t vcpu, uint32_t virq, uint32_t &number)
{
	if (vcpu >= max_vcpus)
		return -XEN_ENOENT;
	RawSpinGuard guard(domain.lock);
	uint32_t port = toolstack_ports + 1;
	while (port < max_ports && is_open(port))
		port++;
	if (port == max_ports)
		return -XEN_ENOSPC;
	if (status == EVTCHNSTAT_virq) {
		for (const FakePort &other : domain.ports) {
			if (other.status == status && other.virq == virq && other.vcpu == vcpu)
				return -XEN_EEXIST;
		}
	}
	domain.ports[port] = {};
	domain.ports[port].status = status;
	domain.ports[port].vcpu = vcpu;
	domain.ports[port].virq = virq;
	domain.ports[port].priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
	number = port;
	return 0;
}

long fifo_op(unsigned int command, unsigned long argument)
{
	if (refuses_fifo)
		return -XEN_ENOSYS;
	if (command == EVTCHNOP_init_control) {
		auto *control = reinterpret_cast<::evtchn_init_control *>(argument);
		auto *page = static_cast<char *>(xpv_fake_memory(Gfn{ control->control_gfn }));
		if (!page || control->offset % 8 || control->offset > page_size - sizeof(evtchn_fifo_control_block))
			return -XEN_EINVAL;
		control->link_bits = EVTCHN_FIFO_LINK_BITS;
		auto *block = reinterpret_cast<evtchn_fifo_control_block *>(page + control->offset);
		return domain.fifo.init_control(control->vcpu, block) ? 0 : -XEN_EINVAL;
	}
	if (command == EVTCHNOP_expand_array) {
		auto *page = xpv_fake_memory(Gfn{ reinterpret_cast<::evtchn_expand_array *>(argument)->array_gfn });
		if (!page || !domain.fifo.expand(static_cast<uint32_t *>(page)))
			return -XEN_EINVAL;
		for (uint32_t port = 1; port < max_ports; port++) {
			if (domain.fifo.take_early(port) || test_bit(port, domain.shared->evtchn_pending))
				tell_fifo(port);
		}
		return 0;
	}
	auto *set = reinterpret_cast<::evtchn_set_priority *>(argument);
	if (!domain.fifo.active())
		return -XEN_ENOSYS;
	if (!is_open(set->port) || set->priority > EVTCHN_FIFO_PRIORITY_MIN)
		return -XEN_EINVAL;
	domain.ports[set->port].priority = set->priority;
	return 0;
}

long event_channel_op(unsigned int command, unsigned long argument)
{
	switch (command) {
	case EVTCHNOP_alloc_unbound: {
		auto *unbound = reinterpret_cast<::evtchn_alloc_unbound *>(argument);
		long opened = open_port(EVTCHNSTAT_unbound, 0, 0, unbound->port);
		if (opened == 0)
			domain.ports[unbound->port].remote = unbound->remote_dom == DOMID_SELF ? XPV_FAKE_OWN_DOMID :
												 unbound->remote_dom;
		return opened;
	}
	case EVTCHNOP_bind_interdomain:
		return open_port(EVTCHNSTAT_interdomain, 0, 0,
				 reinterpret_cast<::evtchn_bind_interdomain *>(argument)->local_port);
	case EVTCHNOP_bind_virq: {
		auto *bind = reinterpret_cast<::evtchn_bind_virq *>(argument);
		return open_port(EVTCHNSTAT_virq, bind->vcpu, bind->virq, bind->port);
	}
	case EVTCHNOP_bind_ipi: {
		auto *bind = reinterpret_cast<::evtchn_bind_ipi *>(argument);
		return open_port(EVTCHNSTAT_ipi, bind->vcpu, 0, bind->port);
	}
	case EVTCHNOP_init_control:
	case EVTCHNOP_expand_array:
	case EVTCHNOP_set_priority:
		return fifo_op(command, argument);
	case EVTCHNOP_close: {
		RawSpinGuard guard(domain.lock);
		uint32_t port = reinterpret_cast<::evtchn_close *>(argument)->port;
		if (!is_open(port))
			return -XEN_EINVAL;
		domain.ports[port] = {};
		if (domain.fifo.active())
			domain.fifo.clear_pending(port);
		else if (domain.shared)
			clear_bit(port, domain.shared->evtchn_pending);
		return 0;
	}
	case EVTCHNOP_send: {
		uint32_t port = reinterpret_cast<::evtchn_send *>(argument)->port;
		if (!is_open(port))
			return -XEN_EINVAL;
		fetch_add(domain.ports[port].sent, 1u);
		if (domain.ports[port].status == EVTCHNSTAT_ipi)
			set_pending(port);
		if (domain.ports[port].peer)
			domain.ports[port].peer(domain.ports[port].peer_context);
		return 0;
	}
	case EVTCHNOP_status: {
		auto *status = reinterpret_cast<::evtchn_status *>(argument);
		if (status->port >= max_ports)
			return -XEN_EINVAL;
		status->status = domain.ports[status->port].status;
		status->vcpu = domain.ports[status->port].vcpu;
		if (status->status == EVTCHNSTAT_virq)
			status->u.virq = domain.ports[status->port].virq;
		if (status->status == EVTCHNSTAT_unbound)
			status->u.unbound.dom = domain.ports[status->port].remote;
		return 0;
	}
	case EVTCHNOP_bind_vcpu: {
		auto *bind = reinterpret_cast<::evtchn_bind_vcpu *>(argument);
		if (!is_open(bind->port))
			return -XEN_EINVAL;
		if (bind->vcpu >= max_vcpus)
			return -XEN_ENOENT;
		if (is_fixed(domain.ports[bind->port]))
			return -XEN_EINVAL;
		domain.ports[bind->port].vcpu = bind->vcpu;
		return 0;
	}
	case EVTCHNOP_unmask: {
		uint32_t port = reinterpret_cast<::evtchn_unmask *>(argument)->port;
		if (!is_open(port))
			return -XEN_EINVAL;
		unmask(port);
		return 0;
	}
	}
	return -XEN_ENOSYS;
}

long memory_op(unsigned int command, unsigned long argument)
{
	switch (command) {
	case XENMEM_add_to_physmap: {
		auto *add = reinterpret_cast<xen_add_to_physmap *>(argument);
		void *memory = memory_of(Gfn{ add->gpfn });
		if (!memory)
			return -XEN_EINVAL;
		freshen(Gfn{ add->gpfn });
		if (add->space == XENMAPSPACE_shared_info) {
			domain.shared = static_cast<::shared_info *>(memory);
			return 0;
		}
		if (add->space != XENMAPSPACE_grant_table)
			return -XEN_EINVAL;
		return fake_grants_add_frame(add->idx, memory);
	}
	case XENMEM_remove_from_physmap: {
		void *memory = memory_of(Gfn{ reinterpret_cast<xen_remove_from_physmap *>(argument)->gpfn });
		if (!memory)
			return -XEN_EINVAL;
		if (memory == domain.shared)
			domain.shared = nullptr;
		fake_grants_remove_frame(memory);
		return 0;
	}
	}
	return -XEN_ENOSYS;
}

long hvm_op(unsigned int command, unsigned long argument)
{
	switch (command) {
	case HVMOP_get_param:
	case HVMOP_set_param: {
		auto *param = reinterpret_cast<xen_hvm_param *>(argument);
		if (param->index >= HVM_NR_PARAMS)
			return -XEN_EINVAL;
		if (command == HVMOP_get_param)
			param->value = domain.params[param->index];
		else if (param->index == HVM_PARAM_CALLBACK_IRQ)
			return set_callback(param->value);
		else
			domain.params[param->index] = param->value;
		return 0;
	}
	case HVMOP_set_evtchn_upcall_vector: {
		auto *set = reinterpret_cast<xen_hvm_evtchn_upcall_vector *>(argument);
		if (set->vector < 0x10)
			return -XEN_EINVAL;
		if (set->vcpu >= max_vcpus)
			return -XEN_ENOENT;
		domain.vectors[set->vcpu] = set->vector;
		/* As Xen, which tells the vCPU of what it has been told of before. */
		if (vcpu_info *info = info_of(set->vcpu); info && read_once(info->evtchn_upcall_pending))
			xpv_fake_interrupt(Vcpu{ set->vcpu }, set->vector);
		return 0;
	}
	}
	return -XEN_ENOSYS;
}

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
	if (vcpu >= max_vcpus)
		return -XEN_EINVAL;
	if (command != VCPUOP_register_vcpu_info)
		return fake_vcpu_op(command, static_cast<uint32_t>(vcpu), argument);
	if (domain.infos[vcpu])
		return -XEN_EINVAL;
	auto *info = reinterpret_cast<vcpu_register_vcpu_info_t *>(argument);
	void *memory = xpv_fake_memory(Gfn{ info->mfn });
	if (!memory)
		return -XEN_EINVAL;
	domain.infos[vcpu] = reinterpret_cast<vcpu_info *>(static_cast<char *>(memory) + info->offset);
	return 0;
}

int failure_of(unsigned int number, unsigned int command)
{
	RawSpinGuard guard(domain.lock);
	Failure &failure = domain.failure;
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
	RawSpinGuard guard(domain.lock);
	for (Claim &claim : domain.claims)
		claim.stale = ~uint64_t{ 0 };
	domain.shared = nullptr;
	for (unsigned int port = 0; port < max_ports; port++) {
		domain.ports[port] = {};
		if (port >= 1 && port <= toolstack_ports) {
			domain.ports[port].status = EVTCHNSTAT_interdomain;
			domain.ports[port].priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
		}
	}
	__builtin_memset(static_cast<void *>(&domain.fifo), 0, sizeof(domain.fifo));
	__builtin_memset(domain.vectors, 0, sizeof(domain.vectors));
	__builtin_memset(domain.infos, 0, sizeof(domain.infos));
	domain.params[HVM_PARAM_CALLBACK_IRQ] = 0;
	domain.params[HVM_PARAM_STORE_EVTCHN] = 3;
	domain.params[HVM_PARAM_CONSOLE_EVTCHN] = 2;
}

} // namespace

void *fake_claimed_memory(Gfn frame)
{
	return memory_of(frame);
}

Result<XenPresence> detect_xen()
{
	ensure_started();
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

	ensure_started();
	auto command = static_cast<unsigned int>(a1);
	if (int error = failure_of(number, command))
		return -error;
	switch (number) {
	case __HYPERVISOR_event_channel_op:
		return event_channel_op(command, a2);
	case __HYPERVISOR_memory_op:
		return memory_op(command, a2);
	case __HYPERVISOR_hvm_op:
		return hvm_op(command, a2);
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

int xpv_frames_claim(unsigned int count, struct xpv_gfn *first)
{
	unsigned int order = 0;
	while (1u << order < count)
		order++;
	for (xpv::Claim &claim : xpv::domain.claims) {
		if (claim.memory)
			continue;
		claim.memory = xpv_pages_alloc(order, XPV_MAY_SLEEP);
		if (!claim.memory)
			return -XEN_ENOMEM;
		claim.order = order;
		*first = xpv_pages_gfn(claim.memory);
		return 0;
	}
	return -XEN_ENOSPC;
}

void xpv_frames_release(struct xpv_gfn first, unsigned int)
{
	for (xpv::Claim &claim : xpv::domain.claims) {
		if (claim.memory && xpv_pages_gfn(claim.memory) == first) {
			xpv_pages_free(claim.memory, claim.order);
			claim = {};
			return;
		}
	}
}

void xpv_fake_reset(void)
{
	for (xpv::Claim &claim : xpv::domain.claims) {
		if (claim.memory)
			xpv_pages_free(claim.memory, claim.order);
	}
	__builtin_memset(static_cast<void *>(&xpv::domain), 0, sizeof(xpv::domain));
	xpv::fake_grants_reset();
	xpv::fake_vcpus_reset();
	xpv::ensure_started();
}

void xpv_fake_restore(void)
{
	xpv::ensure_started();
	xpv::restore_domain();
	xpv::fake_grants_restore();
}

void xpv_fake_hide_domid(bool hide)
{
	xpv::hides_domid = hide;
}

void xpv_fake_refuse_fifo(bool refuse)
{
	xpv::refuses_fifo = refuse;
}

void xpv_fake_take_callback_vector(bool take)
{
	xpv::takes_callback_vector = take;
}

void xpv_fake_event(struct xpv_port port)
{
	if (xpv::is_open(port.value))
		xpv::set_pending(port.value);
}

void xpv_fake_virq(unsigned int virq)
{
	for (uint32_t port = 1; port < xpv::max_ports; port++) {
		if (xpv::domain.ports[port].status == EVTCHNSTAT_virq && xpv::domain.ports[port].virq == virq)
			xpv::set_pending(port);
	}
}

unsigned int xpv_fake_sent(struct xpv_port port)
{
	return xpv::exchange(xpv::domain.ports[port.value].sent, 0u);
}

unsigned int xpv_fake_open_ports(void)
{
	unsigned int open = 0;
	for (uint32_t port = xpv::toolstack_ports + 1; port < xpv::max_ports; port++)
		open += xpv::is_open(port);
	return open;
}

struct xpv_vcpu xpv_fake_port_vcpu(struct xpv_port port)
{
	return { xpv::domain.ports[port.value].vcpu };
}

struct xpv_port xpv_fake_toolstack_port(void)
{
	return { xpv::toolstack_ports };
}

void xpv_fake_peer(struct xpv_port port, void (*peer)(struct xpv_fake_peer_context *context),
		   struct xpv_fake_peer_context *context)
{
	xpv::domain.ports[port.value].peer_context = context;
	xpv::store_release(xpv::domain.ports[port.value].peer, peer);
}

void xpv_fake_set_param(unsigned int index, uint64_t value)
{
	xpv::ensure_started();
	xpv::domain.params[index] = value;
}

uint64_t xpv_fake_param(unsigned int index)
{
	return xpv::domain.params[index];
}

void xpv_fake_fail(unsigned int number, unsigned int command, unsigned int skip, int error)
{
	xpv::ensure_started();
	xpv::RawSpinGuard guard(xpv::domain.lock);
	xpv::domain.failure = { number, command, skip, error };
}

} /* extern "C" */
