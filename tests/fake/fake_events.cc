// SPDX-License-Identifier: GPL-2.0-only
/* The fake's event channels: their ports, under the 2-level and the FIFO ABI. */

#include "lib/ordering.hh"
#include "tests/fake/fake_domain.hh"
#include "tests/fake/fake_hypervisor.h"

namespace xpv {

namespace {

constinit bool refuses_fifo = false;

/* A port whose pending bit is set, under the 2-level ABI. */
void tell_two_level(uint32_t port)
{
	/* Read once: the port may be moved meanwhile, and the bit and the upcall are one vCPU's. */
	uint32_t vcpu = read_once(fake_domain.ports[port].vcpu);
	vcpu_info *info = fake_vcpu_info(vcpu);
	if (!info || test_bit(port, fake_domain.shared->evtchn_mask))
		return;
	if (!test_and_set_bit(port / 64, &info->evtchn_pending_sel))
		fake_upcall(vcpu);
}

void tell_fifo(uint32_t port)
{
	uint32_t vcpu = fake_domain.ports[port].vcpu;
	bool wake;
	{
		RawSpinGuard guard(fake_domain.lock);
		wake = fake_domain.fifo.set_pending(port, vcpu, fake_domain.ports[port].priority);
	}
	if (wake)
		fake_upcall(vcpu);
}

void set_pending(uint32_t port)
{
	if (fake_domain.fifo.active())
		tell_fifo(port);
	else if (fake_domain.shared && !test_and_set_bit(port, fake_domain.shared->evtchn_pending))
		tell_two_level(port);
}

void unmask(uint32_t port)
{
	if (fake_domain.fifo.active()) {
		if (fake_domain.fifo.unmask(port))
			tell_fifo(port);
		return;
	}
	if (test_and_clear_bit(port, fake_domain.shared->evtchn_mask) &&
	    test_bit(port, fake_domain.shared->evtchn_pending))
		tell_two_level(port);
}

bool is_open(uint32_t port)
{
	return port > 0 && port < fake_max_ports && fake_domain.ports[port].status != EVTCHNSTAT_closed;
}

bool is_fixed(const FakePort &port)
{
	return port.status == EVTCHNSTAT_ipi || (port.status == EVTCHNSTAT_virq && port.virq == VIRQ_DEBUG);
}

/* Virtual CPU and VIRQ of the new port; its number goes to `port`. */
long open_port(unsigned int status, uint32_t vcpu, uint32_t virq, uint32_t &number)
{
	if (vcpu >= fake_max_vcpus)
		return -XEN_ENOENT;
	RawSpinGuard guard(fake_domain.lock);
	uint32_t port = fake_toolstack_ports + 1;
	while (port < fake_max_ports && is_open(port))
		port++;
	if (port == fake_max_ports)
		return -XEN_ENOSPC;
	if (status == EVTCHNSTAT_virq) {
		for (const FakePort &other : fake_domain.ports) {
			if (other.status == status && other.virq == virq && other.vcpu == vcpu)
				return -XEN_EEXIST;
		}
	}
	fake_domain.ports[port] = {};
	fake_domain.ports[port].status = status;
	fake_domain.ports[port].vcpu = vcpu;
	fake_domain.ports[port].virq = virq;
	fake_domain.ports[port].priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
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
		return fake_domain.fifo.init_control(control->vcpu, block) ? 0 : -XEN_EINVAL;
	}
	if (command == EVTCHNOP_expand_array) {
		auto *page = xpv_fake_memory(Gfn{ reinterpret_cast<::evtchn_expand_array *>(argument)->array_gfn });
		if (!page || !fake_domain.fifo.expand(static_cast<uint32_t *>(page)))
			return -XEN_EINVAL;
		for (uint32_t port = 1; port < fake_max_ports; port++) {
			if (fake_domain.fifo.take_early(port) || test_bit(port, fake_domain.shared->evtchn_pending))
				tell_fifo(port);
		}
		return 0;
	}
	auto *set = reinterpret_cast<::evtchn_set_priority *>(argument);
	if (!fake_domain.fifo.active())
		return -XEN_ENOSYS;
	if (!is_open(set->port) || set->priority > EVTCHN_FIFO_PRIORITY_MIN)
		return -XEN_EINVAL;
	fake_domain.ports[set->port].priority = set->priority;
	return 0;
}

} // namespace

long fake_event_channel_op(unsigned int command, unsigned long argument)
{
	switch (command) {
	case EVTCHNOP_alloc_unbound: {
		auto *unbound = reinterpret_cast<::evtchn_alloc_unbound *>(argument);
		long opened = open_port(EVTCHNSTAT_unbound, 0, 0, unbound->port);
		if (opened == 0)
			fake_domain.ports[unbound->port].remote = unbound->remote_dom == DOMID_SELF ?
									  XPV_FAKE_OWN_DOMID :
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
		RawSpinGuard guard(fake_domain.lock);
		uint32_t port = reinterpret_cast<::evtchn_close *>(argument)->port;
		if (!is_open(port))
			return -XEN_EINVAL;
		fake_domain.ports[port] = {};
		if (fake_domain.fifo.active())
			fake_domain.fifo.clear_pending(port);
		else if (fake_domain.shared)
			clear_bit(port, fake_domain.shared->evtchn_pending);
		return 0;
	}
	case EVTCHNOP_send: {
		uint32_t port = reinterpret_cast<::evtchn_send *>(argument)->port;
		if (!is_open(port))
			return -XEN_EINVAL;
		fetch_add(fake_domain.ports[port].sent, 1u);
		if (fake_domain.ports[port].status == EVTCHNSTAT_ipi)
			set_pending(port);
		if (fake_domain.ports[port].peer)
			fake_domain.ports[port].peer(fake_domain.ports[port].peer_context);
		return 0;
	}
	case EVTCHNOP_status: {
		auto *status = reinterpret_cast<::evtchn_status *>(argument);
		if (status->port >= fake_max_ports)
			return -XEN_EINVAL;
		status->status = fake_domain.ports[status->port].status;
		status->vcpu = fake_domain.ports[status->port].vcpu;
		if (status->status == EVTCHNSTAT_virq)
			status->u.virq = fake_domain.ports[status->port].virq;
		if (status->status == EVTCHNSTAT_unbound)
			status->u.unbound.dom = fake_domain.ports[status->port].remote;
		return 0;
	}
	case EVTCHNOP_bind_vcpu: {
		auto *bind = reinterpret_cast<::evtchn_bind_vcpu *>(argument);
		if (!is_open(bind->port))
			return -XEN_EINVAL;
		if (bind->vcpu >= fake_max_vcpus)
			return -XEN_ENOENT;
		if (is_fixed(fake_domain.ports[bind->port]))
			return -XEN_EINVAL;
		fake_domain.ports[bind->port].vcpu = bind->vcpu;
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

} // namespace xpv

extern "C" {

void xpv_fake_refuse_fifo(bool refuse)
{
	xpv::refuses_fifo = refuse;
}

void xpv_fake_event(struct xpv_port port)
{
	if (xpv::is_open(port.value))
		xpv::set_pending(port.value);
}

void xpv_fake_virq(unsigned int virq)
{
	for (uint32_t port = 1; port < xpv::fake_max_ports; port++) {
		if (xpv::fake_domain.ports[port].status == EVTCHNSTAT_virq && xpv::fake_domain.ports[port].virq == virq)
			xpv::set_pending(port);
	}
}

unsigned int xpv_fake_sent(struct xpv_port port)
{
	return xpv::exchange(xpv::fake_domain.ports[port.value].sent, 0u);
}

unsigned int xpv_fake_open_ports(void)
{
	unsigned int open = 0;
	for (uint32_t port = xpv::fake_toolstack_ports + 1; port < xpv::fake_max_ports; port++)
		open += xpv::is_open(port);
	return open;
}

struct xpv_vcpu xpv_fake_port_vcpu(struct xpv_port port)
{
	return { xpv::fake_domain.ports[port.value].vcpu };
}

struct xpv_port xpv_fake_toolstack_port(void)
{
	return { xpv::fake_toolstack_ports };
}

void xpv_fake_peer(struct xpv_port port, void (*peer)(struct xpv_fake_peer_context *context),
		   struct xpv_fake_peer_context *context)
{
	xpv::fake_domain.ports[port.value].peer_context = context;
	xpv::store_release(xpv::fake_domain.ports[port.value].peer, peer);
}

} /* extern "C" */
