// SPDX-License-Identifier: GPL-2.0-only
/* Channels across a suspend that ends in a restore. */
#include "evtchn/abi.hh"
#include "evtchn/channels.hh"
#include "evtchn/linux.h"
#include "hypervisor/hypercall.hh"
#include "lib/log.hh"

namespace xpv {

/*
 * Preallocate the map from port to irq. A restored domain allocates the lowest
 * port numbers first, after a few of its own. So room for as many ports as there
 * are channels is enough for those that are bound again.
 */
Status Channels::prepare()
{
	constexpr uint32_t others = 256; /* the toolstack's, and one or two for each vCPU */
	MutexGuard guard(mutex_);
	uint32_t count = others;
	for ([[maybe_unused]] xpv_event_channel &channel : all_)
		count++;
	uint32_t most = abi([](auto &ports) { return ports.ports; });
	return status(xpv_irq_reserve(Port{ (count < most ? count : most) - 1 }));
}

void Channels::save_pending()
{
	for (xpv_event_channel &channel : all_)
		channel.had_event = !lost(channel) && abi([&](auto &ports) { return ports.pending(channel.port); });
}

Status Channels::restore()
{
	xpv_irqs_forget_ports();
	for (xpv_event_channel &channel : all_)
		write_once(channel.port.value, 0);
	Status first;
	for (xpv_event_channel &channel : all_) {
		if (channel.source.kind == Source::Kind::peer || channel.closing)
			continue;
		Status bound = bind_again(channel);
		if (!bound.ok())
			XPV_ERR("%s: cannot bind the event channel after the restore (%pe)", channel.name,
				err_ptr(bound.code()));
		if (!bound.ok() && first.ok())
			first = bound;
	}
	return first;
}

Status Channels::bind_again(xpv_event_channel &channel)
{
	RawSpinGuard guard(channel.lock);
	Vcpu vcpu = xpv_vcpu_of_cpu(channel.fixed ? channel.cpu : 0);
	Port port = XPV_TRY(channel.source.kind == Source::Kind::virq ? evtchnop_bind_virq(channel.source.virq, vcpu) :
									evtchnop_bind_ipi(vcpu));
	Status attached = attach(channel, port);
	if (!attached.ok()) {
		if (Status closed = evtchnop_close(port); !closed.ok())
			XPV_ERR("port %u: cannot close the event channel (%pe)", port.value, err_ptr(closed.code()));
		return attached;
	}
	if (channel.had_event)
		abi([&](auto &ports) { ports.set_pending(port); });
	if (channel.mask_reasons == 0)
		abi([&](auto &ports) { ports.unmask(port); });
	return {};
}

/*
 * Attach the port to the channel. The port must be masked, and have room. Irqs
 * off; no other code may use the channel's port.
 */
Status Channels::attach(xpv_event_channel &channel, Port port)
{
	if (!abi([&](auto &ports) { return ports.has_room(port); }))
		return Error(XEN_ERANGE);
	/* A port that is not fixed starts on vCPU 0; that needs no hypercall. */
	unsigned int cpu = channel.cpu;
	if (channel.fixed || cpu == 0)
		abi([&](auto &ports) { ports.assign(port, cpu); });
	else
		XPV_TRY(abi([&](auto &ports) { return ports.move(port, cpu); }));
	/* Without an irq the channel is just being bound; xpv_irq_bind() maps the port then. */
	if (channel.irq)
		XPV_TRY(status(xpv_irq_set_port(channel.irq, port)));
	if (channel.priority != EVTCHN_FIFO_PRIORITY_DEFAULT) {
		/* Not an error: the priority is only the order in which events are handled. */
		if (!abi([&](auto &ports) { return ports.set_priority(port, channel.priority); }).ok())
			channel.priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
	}
	write_once(channel.port.value, port.value);
	return {};
}

Status Channels::rebind(xpv_event_channel &channel, Port port, bool adopted, uint32_t restores)
{
	MutexGuard guard(mutex_);
	if (!lost(channel))
		return Error(XEN_EISCONN);
	XPV_TRY(make_room_locked(port));
	XPV_TRY(status(xpv_irq_reserve(port)));
	RawSpinGuard channel_guard(channel.lock);
	if (xpv_restore_count() != restores)
		return Error(XEN_EAGAIN);
	XPV_TRY(attach(channel, port));
	channel.adopted = adopted;
	if (channel.mask_reasons == 0)
		abi([&](auto &ports) { ports.unmask(port); });
	return {};
}

} // namespace xpv
