// SPDX-License-Identifier: GPL-2.0-only
/* The contract: opening, closing and using channels. */
#include "evtchn/channel.hh"

#include "evtchn/abi.hh"
#include "evtchn/channels.hh"
#include "evtchn/evtchn_owned.h"
#include "evtchn/linux.h"
#include "hypervisor/hypercall.hh"
#include "lib/log.hh"
#include "lib/memory.hh"

using namespace xpv;

namespace xpv {

namespace {

void close_port(Port port)
{
	/* Fails only for a port that is not open: then there is nothing to undo. */
	if (Status closed = evtchnop_close(port); !closed.ok())
		XPV_ERR_LIMITED("port %u: cannot close the event channel (%pe)", port.value, err_ptr(closed.code()));
}

struct Binding {
	Port port = { 0 };
	bool adopted = false;
	Source source = { Source::Kind::peer, 0 };
	/* Xen keeps it on the vCPU of this CPU. */
	bool fixed = false;
	unsigned int cpu = 0;
};

/*
 * Bind the port to the handler. `*opened` is set before the handler can run, and
 * nullptr after an error. After an error the port is unchanged; if it is our own,
 * the caller closes it. EAGAIN when a restore took the port meanwhile.
 */
Status bind(const Binding &binding, const xpv_event_channel_args &args, uint32_t restores, xpv_event_channel **opened)
{
	*opened = nullptr;
	if (binding.port.value == 0 || binding.port.value >= abi([](auto &ports) { return ports.ports; }))
		return Error(XEN_ERANGE);
	auto channel = XPV_TRY(make<xpv_event_channel>(XPV_MAY_SLEEP));
	channel->port = binding.port;
	channel->adopted = binding.adopted;
	channel->fixed = binding.fixed;
	channel->source = binding.source;
	channel->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
	channel->handler = args.handler;
	channel->context = args.context;
	xpv_format(channel->name, sizeof(channel->name), "%s", args.name);
	{
		RawSpinGuard guard(channel->lock);
		channel->cpu = binding.cpu;
		channel->mask_reasons = static_cast<unsigned int>(MaskReason::irq);
	}

	/* Refuse a second channel for one port: both would change its mask. */
	XPV_TRY(channels->add(*channel, restores));
	OnExit undo([&] {
		*opened = nullptr;
		channels->remove(*channel);
	});
	*opened = channel.get();
	XPV_TRY(status(xpv_irq_bind(channel->name, args.flags | (binding.fixed ? XPV_IRQ_FIXED : 0), binding.cpu,
				    channel.get(), &channel->irq)));
	undo.dismiss();
	ignore(channel.release());
	return {};
}

/* Close a port of our own that no channel has, unless a restore took it. */
void drop_port(Port port, uint32_t restores)
{
	IrqsOffGuard no_suspend;
	if (xpv_restore_count() == restores)
		close_port(port);
}

struct PortNow {
	Port port; /* 0: lost in a restore */
	uint32_t restores;
};

PortNow port_now(const xpv_event_channel &channel)
{
	IrqsOffGuard no_suspend;
	return { lost(channel) ? Port{ 0 } : channel.port, xpv_restore_count() };
}

template <typename Open>
int bind_own(Open open, Binding binding, const xpv_event_channel_args &args, xpv_event_channel **channel)
{
	*channel = nullptr;
	uint32_t restores = xpv_restore_count();
	Result<Port> port = open();
	if (!port.ok())
		return port.code();
	binding.port = port.value();
	Status bound = bind(binding, args, restores, channel);
	if (!bound.ok())
		drop_port(port.value(), restores);
	return bound.code();
}

bool is_open(Port port)
{
	auto status = evtchn_status(port);
	return status.ok() && status.value().status != EVTCHNSTAT_closed;
}

/* Return whether a VIRQ is global to the domain rather than of each vCPU (xen.h). */
bool is_global(unsigned int virq)
{
	return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

unsigned int count_spurious(xpv_event_channel &channel)
{
	channel.spurious++;
	return channel.backoff.after_spurious(channel.events);
}

void begin_backoff(xpv_event_channel &channel, unsigned int wait_ms)
{
	xpv_trace_event_backoff(channel.port, wait_ms);
	channel.backoff_end.schedule(wait_ms);
}

} // namespace

void mask_locked(xpv_event_channel &channel, MaskReason reason)
{
	if (channel.mask_reasons == 0 && !lost(channel))
		abi([&](auto &ports) { ports.mask(channel.port); });
	channel.mask_reasons |= static_cast<unsigned int>(reason);
}

void unmask_locked(xpv_event_channel &channel, MaskReason reason)
{
	if (!has_mask_reason(channel, reason))
		return;
	channel.mask_reasons &= ~static_cast<unsigned int>(reason);
	if (channel.mask_reasons == 0 && !lost(channel))
		abi([&](auto &ports) { ports.unmask(channel.port); });
}

void mask(xpv_event_channel &channel, MaskReason reason)
{
	RawSpinGuard guard(channel.lock);
	mask_locked(channel, reason);
}

void unmask(xpv_event_channel &channel, MaskReason reason)
{
	RawSpinGuard guard(channel.lock);
	unmask_locked(channel, reason);
}

} // namespace xpv

void xpv_event_channel::end_backoff()
{
	unmask(*this, MaskReason::backoff);
}

/* ---- The contract ---- */

int xpv_event_channel_alloc_unbound(xpv_domid remote, const xpv_event_channel_args *args, xpv_event_channel **channel)
{
	return bind_own([=] { return evtchnop_alloc_unbound(remote); }, {}, *args, channel);
}

int xpv_event_channel_bind_interdomain(xpv_domid remote, xpv_port port, const xpv_event_channel_args *args,
				       xpv_event_channel **channel)
{
	return bind_own([=] { return evtchnop_bind_interdomain(remote, port); }, {}, *args, channel);
}

int xpv_event_channel_bind_virq(unsigned int virq, unsigned int cpu, const xpv_event_channel_args *args,
				xpv_event_channel **channel)
{
	bool global = is_global(virq);
	if ((global && cpu != 0) || cpu >= xpv_cpu_limit())
		return -XEN_EINVAL;
	return bind_own([=] { return evtchnop_bind_virq(virq, xpv_vcpu_of_cpu(cpu)); },
			{ .source = { Source::Kind::virq, virq }, .fixed = !global, .cpu = cpu }, *args, channel);
}

int xpv_event_channel_bind_ipi(unsigned int cpu, const xpv_event_channel_args *args, xpv_event_channel **channel)
{
	if (cpu >= xpv_cpu_limit())
		return -XEN_EINVAL;
	return bind_own([=] { return evtchnop_bind_ipi(xpv_vcpu_of_cpu(cpu)); },
			{ .source = { Source::Kind::ipi, 0 }, .fixed = true, .cpu = cpu }, *args, channel);
}

int xpv_event_channel_adopt(xpv_port port, const xpv_event_channel_args *args, xpv_event_channel **channel)
{
	*channel = nullptr;
	uint32_t restores = xpv_restore_count();
	if (!is_open(port))
		return -XEN_ERANGE;
	return bind({ .port = port, .adopted = true }, *args, restores, channel).code();
}

void xpv_event_channel_close(xpv_event_channel *channel)
{
	if (!channel)
		return;
	/* Unbind the handler before closing the port: the number of a closed port can be reused at once. */
	write_once(channel->closing, true);
	xpv_irq_unbind(channel->irq, channel);
	channel->backoff_end.cancel();
	/* Read the port before remove(): afterwards a restore does not mark it as lost. */
	auto [port, restores] = port_now(*channel);
	channels->remove(*channel);
	if (!channel->adopted && port.value != 0)
		drop_port(port, restores);
	destroy(channel);
}

bool xpv_event_channel_lost(const xpv_event_channel *channel)
{
	return lost(*channel);
}

int xpv_event_channel_rebind_adopted(xpv_event_channel *channel, xpv_port port)
{
	uint32_t restores = xpv_restore_count();
	if (!is_open(port))
		return -XEN_ERANGE;
	return channels->rebind(*channel, port, true, restores).code();
}

int xpv_event_channel_rebind_unbound(xpv_event_channel *channel, xpv_domid remote)
{
	uint32_t restores = xpv_restore_count();
	auto port = evtchnop_alloc_unbound(remote);
	if (!port.ok())
		return port.code();
	Status bound = channels->rebind(*channel, port.value(), false, restores);
	if (!bound.ok())
		drop_port(port.value(), restores);
	return bound.code();
}

xpv_port xpv_event_channel_port(const xpv_event_channel *channel)
{
	return channel->port;
}

unsigned int xpv_event_channel_irq(const xpv_event_channel *channel)
{
	return channel->irq;
}

int xpv_event_channel_notify(xpv_event_channel *channel)
{
	/* Also from NMI and panic: no lock, no trace, one hypercall. */
	xpv_port port = { read_once(channel->port.value) };
	return port.value ? evtchnop_send(port).code() : -XEN_ENOTCONN;
}

void xpv_event_channel_mask(xpv_event_channel *channel)
{
	xpv_irq_disable(channel->irq);
}

void xpv_event_channel_unmask(xpv_event_channel *channel)
{
	xpv_irq_enable(channel->irq);
}

void xpv_event_channel_synchronize(xpv_event_channel *channel)
{
	xpv_irq_synchronize(channel->irq);
}

int xpv_event_channel_set_priority(xpv_event_channel *channel, unsigned int priority)
{
	if (priority > EVTCHN_FIFO_PRIORITY_MIN)
		return -XEN_EINVAL;
	IrqsOffGuard no_suspend;
	if (lost(*channel))
		return -XEN_ENOTCONN;
	auto set = abi([&](auto &ports) { return ports.set_priority(channel->port, priority); });
	if (set.ok())
		channel->priority = priority;
	return set.code();
}

void xpv_event_channel_spurious(xpv_event_channel *channel)
{
	unsigned int wait_ms = count_spurious(*channel);
	if (!wait_ms)
		return;
	mask(*channel, MaskReason::backoff);
	begin_backoff(*channel, wait_ms);
}

void xpv_event_channel_eoi(xpv_event_channel *channel, unsigned int flags)
{
	unsigned int wait_ms = 0;
	xpv_trace_event_eoi(channel->port);
	{
		/* The handler cannot run, and the counts cannot change, until the mask reason is gone. */
		RawSpinGuard guard(channel->lock);
		if (!has_mask_reason(*channel, MaskReason::eoi))
			return;
		if (flags & XPV_EOI_SPURIOUS)
			wait_ms = count_spurious(*channel);
		if (wait_ms)
			mask_locked(*channel, MaskReason::backoff);
		unmask_locked(*channel, MaskReason::eoi);
	}
	if (wait_ms)
		begin_backoff(*channel, wait_ms);
}

/* ---- For the irq chip ---- */

void xpv_event_channel_irq_mask(xpv_event_channel *channel)
{
	mask(*channel, MaskReason::irq);
}

void xpv_event_channel_irq_unmask(xpv_event_channel *channel)
{
	unmask(*channel, MaskReason::irq);
}

int xpv_event_channel_move(xpv_event_channel *channel, unsigned int cpu)
{
	/* One critical section: rebind() binds the port to the vCPU of channel->cpu. */
	RawSpinGuard guard(channel->lock);
	/*
	 * While the port is masked no CPU handles its events. Unmasking raises on the
	 * new vCPU what arrived meanwhile.
	 */
	mask_locked(*channel, MaskReason::move);
	/* A lost channel is bound to that CPU when it is rebound. */
	auto moved = lost(*channel) ? Status() : abi([&](auto &ports) { return ports.move(channel->port, cpu); });
	if (moved.ok())
		channels->count_move(*channel, cpu);
	unmask_locked(*channel, MaskReason::move);
	return moved.code();
}

void xpv_event_channel_raise(xpv_event_channel *channel)
{
	RawSpinGuard guard(channel->lock);
	if (lost(*channel))
		return;
	bool masked = channel->mask_reasons;
	abi([&](auto &ports) {
		ports.set_pending(channel->port);
		if (!masked)
			ports.raise(channel->port);
	});
}

void xpv_event_channel_run(xpv_event_channel *channel)
{
	channel->events++;
	channel->handler(channel->context);
}

void xpv_event_channel_begin_until_eoi(xpv_event_channel *channel)
{
	mask(*channel, MaskReason::eoi);
}

void xpv_event_channel_begin_threaded(xpv_event_channel *channel)
{
	mask(*channel, MaskReason::thread);
}

void xpv_event_channel_run_threaded(xpv_event_channel *channel)
{
	xpv_event_channel_run(channel);
	xpv_trace_event_eoi(channel->port);
	unmask(*channel, MaskReason::thread);
}
