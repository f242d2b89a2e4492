// SPDX-License-Identifier: GPL-2.0-only
/* Keep irqs in maps by number and by port, and run a port's handler in the caller's context. */
#include "tests/host/fake/evtchn_linux.hh"

#include <map>

#include "hypervisor/hypervisor_owned.h"
#include "lib/xen.hh"
#include "tests/fake/fake_hypervisor.h"
#include "tests/host/fake/interrupt.hh"

#include <xen/hvm/params.h>

fake::EvtchnLinux fake::evtchn_linux;

namespace {

struct Irq {
	xpv_event_channel *channel;
	unsigned int flags;
	unsigned int disabled = 0;
};
std::map<unsigned int, Irq> irqs;
std::map<uint32_t, unsigned int> irq_of_port;
unsigned int last_irq;

} // namespace

void fake::reset_evtchn_linux()
{
	evtchn_linux = {};
	irqs.clear();
	irq_of_port.clear();
	forget_interrupts();
}

unsigned int fake::bound_irqs()
{
	return static_cast<unsigned int>(irqs.size());
}

unsigned int fake::upcall_vector(unsigned int cpu)
{
	return evtchn_linux.callback ? 0x50 : 0x80 + cpu;
}

uint64_t fake::upcall_via()
{
	/* 1: each vCPU has a vector of its own; toolstacks see that there is a driver. */
	return evtchn_linux.callback ? uint64_t{ HVM_PARAM_CALLBACK_TYPE_VECTOR } << 56 | upcall_vector(0) : 1;
}

int fake::register_upcalls(std::span<const unsigned int> cpus)
{
	for (unsigned int cpu : cpus) {
		int error = evtchn_linux.callback ? 0 : xpv_upcall_set_vector(cpu, upcall_vector(cpu));
		if (error)
			return error;
	}
	return xpv_upcall_set_via(upcall_via());
}

void fake::deliver_upcalls(std::span<const unsigned int> cpus)
{
	for (unsigned int cpu : cpus)
		if (take_interrupt(xpv_vcpu_of_cpu(cpu), upcall_vector(cpu)))
			xpv_handle_upcall(cpu);
}

bool xpv_upcall_reaches(unsigned int cpu)
{
	return !fake::evtchn_linux.unreached.contains(cpu);
}

int xpv_irq_bind(const char *, unsigned int flags, unsigned int cpu, xpv_event_channel *channel, unsigned int *irq)
{
	xpv_port port = xpv_event_channel_port(channel);
	*irq = ++last_irq;
	irqs.insert_or_assign(*irq, Irq{ channel, flags });
	irq_of_port[port.value] = *irq;
	xpv_event_channel_irq_unmask(channel);
	if (fake::evtchn_linux.event_while_bound) {
		xpv_fake_event(port);
		xpv_handle_upcall(cpu);
	}
	return 0;
}

void xpv_irq_unbind(unsigned int irq, xpv_event_channel *channel)
{
	xpv_event_channel_irq_mask(channel);
	irqs.erase(irq);
	if (!xpv_event_channel_lost(channel))
		irq_of_port.erase(xpv_event_channel_port(channel).value);
}

int xpv_irq_reserve(xpv_port)
{
	return 0;
}

void xpv_irqs_forget_ports()
{
	irq_of_port.clear();
}

int xpv_irq_set_port(unsigned int irq, xpv_port port)
{
	irq_of_port[port.value] = irq;
	return 0;
}

void xpv_irq_disable(unsigned int irq)
{
	if (irqs.at(irq).disabled++ == 0)
		xpv_event_channel_irq_mask(irqs.at(irq).channel);
}

void xpv_irq_enable(unsigned int irq)
{
	if (--irqs.at(irq).disabled == 0)
		xpv_event_channel_irq_unmask(irqs.at(irq).channel);
}

void xpv_irq_synchronize(unsigned int)
{
}

bool xpv_irq_handle(xpv_port port)
{
	auto found = irq_of_port.find(port.value);
	if (found == irq_of_port.end())
		return false;
	const Irq &irq = irqs.at(found->second);
	if (irq.flags & XPV_EVENT_THREADED) {
		xpv_event_channel_begin_threaded(irq.channel);
		xpv_event_channel_run_threaded(irq.channel);
		return true;
	}
	if (irq.flags & XPV_EVENT_EXPLICIT_EOI)
		xpv_event_channel_begin_until_eoi(irq.channel);
	xpv_event_channel_run(irq.channel);
	return true;
}

void xpv_trace_event_eoi(xpv_port)
{
}

void xpv_trace_event_backoff(xpv_port, unsigned int milliseconds)
{
	fake::evtchn_linux.backoffs_ms.push_back(milliseconds);
}

int xpv_upcalls_restore()
{
	if (fake::evtchn_linux.forgets_upcalls)
		return 0;
	int error = xpv_upcall_set_via(fake::upcall_via());
	return error || fake::evtchn_linux.callback ? error : xpv_upcall_set_vector(0, fake::upcall_vector(0));
}

int xpv_upcall_restore_cpu(unsigned int cpu)
{
	if (fake::evtchn_linux.callback || fake::evtchn_linux.forgets_upcalls)
		return 0;
	fake::evtchn_linux.vectors_told.push_back(cpu);
	return xpv_upcall_set_vector(cpu, fake::upcall_vector(cpu));
}

void xpv_event_node_wake(xpv_event_node *node)
{
	node->wakes++;
}

const char *xpv_upcalls_kind()
{
	return "a vector for each vCPU";
}
