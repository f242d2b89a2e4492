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

namespace xpv {

namespace {

void close_port(Port port)
{
	/* Fails only for a port that is not open: then there is nothing to undo. */
	if (Status closed = evtchn_close(port); !closed.ok())
		XPV_ERR_LIMITED("closing port %u: error %d", port.value, closed.error().number());
}

struct Binding {
	Port port = { 0 };
	bool adopted = false;
	Source source = { Source::Peer, 0 };
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
		channel->hidden = static_cast<unsigned int>(Hidden::Irq);
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
	static_cast<void>(channel.release());
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

void hide_locked(xpv_event_channel &channel, Hidden reason)
{
	if (channel.hidden == 0 && !lost(channel))
		abi([&](auto &ports) { ports.mask(channel.port); });
	channel.hidden |= static_cast<unsigned int>(reason);
}

void show_locked(xpv_event_channel &channel, Hidden reason)
{
	if (!is_hidden(channel, reason))
		return;
	channel.hidden &= ~static_cast<unsigned int>(reason);
	if (channel.hidden == 0 && !lost(channel))
		abi([&](auto &ports) { ports.unmask(channel.port); });
}

void hide(xpv_event_channel &channel, Hidden reason)
{
	RawSpinGuard guard(channel.lock);
	hide_locked(channel, reason);
}

void show(xpv_event_channel &channel, Hidden reason)
{
	RawSpinGuard guard(channel.lock);
	show_locked(channel, reason);
}

} // namespace xpv

void xpv_event_channel::end_backoff()
{
	xpv::show(*this, xpv::Hidden::Backoff);
}

using xpv::Hidden;

extern "C" {

/* ---- The contract ---- */

int xpv_event_channel_alloc_unbound(struct xpv_domid remote, const struct xpv_event_channel_args *args,
				    struct xpv_event_channel **channel)
{
	return xpv::bind_own([=] { return xpv::evtchn_alloc_unbound(remote); }, {}, *args, channel);
}

int xpv_event_channel_bind_interdomain(struct xpv_domid remote, struct xpv_port port,
				       const struct xpv_event_channel_args *args, struct xpv_event_channel **channel)
{
	return xpv::bind_own([=] { return xpv::evtchn_bind_interdomain(remote, port); }, {}, *args, channel);
}

int xpv_event_channel_bind_virq(unsigned int virq, unsigned int cpu, const struct xpv_event_channel_args *args,
				struct xpv_event_channel **channel)
{
	bool global = xpv::is_global(virq);
	if ((global && cpu != 0) || cpu >= xpv_cpu_limit())
		return -XEN_EINVAL;
	return xpv::bind_own([=] { return xpv::evtchn_bind_virq(virq, xpv_vcpu_of_cpu(cpu)); },
			     { .source = { xpv::Source::Virq, virq }, .fixed = !global, .cpu = cpu }, *args, channel);
}

int xpv_event_channel_bind_ipi(unsigned int cpu, const struct xpv_event_channel_args *args,
			       struct xpv_event_channel **channel)
{
	if (cpu >= xpv_cpu_limit())
		return -XEN_EINVAL;
	return xpv::bind_own([=] { return xpv::evtchn_bind_ipi(xpv_vcpu_of_cpu(cpu)); },
			     { .source = { xpv::Source::Ipi, 0 }, .fixed = true, .cpu = cpu }, *args, channel);
}

int xpv_event_channel_adopt(struct xpv_port port, const struct xpv_event_channel_args *args,
			    struct xpv_event_channel **channel)
{
	*channel = nullptr;
	uint32_t restores = xpv_restore_count();
	if (!xpv::is_open(port))
		return -XEN_ERANGE;
	return xpv::bind({ .port = port, .adopted = true }, *args, restores, channel).code();
}

void xpv_event_channel_close(struct xpv_event_channel *channel)
{
	if (!channel)
		return;
	/* Unbind the handler before closing the port: the number of a closed port can be reused at once. */
	xpv::write_once(channel->closing, true);
	xpv_irq_unbind(channel->irq, channel);
	channel->backoff_end.cancel();
	/* Read the port before remove(): afterwards a restore does not mark it as lost. */
	auto [port, restores] = xpv::port_now(*channel);
	xpv::channels->remove(*channel);
	if (!channel->adopted && port.value != 0)
		xpv::drop_port(port, restores);
	xpv::destroy(channel);
}

bool xpv_event_channel_lost(const struct xpv_event_channel *channel)
{
	return xpv::lost(*channel);
}

int xpv_event_channel_rebind_adopted(struct xpv_event_channel *channel, struct xpv_port port)
{
	uint32_t restores = xpv_restore_count();
	if (!xpv::is_open(port))
		return -XEN_ERANGE;
	return xpv::channels->rebind(*channel, port, true, restores).code();
}

int xpv_event_channel_rebind_unbound(struct xpv_event_channel *channel, struct xpv_domid remote)
{
	uint32_t restores = xpv_restore_count();
	auto port = xpv::evtchn_alloc_unbound(remote);
	if (!port.ok())
		return port.code();
	xpv::Status bound = xpv::channels->rebind(*channel, port.value(), false, restores);
	if (!bound.ok())
		xpv::drop_port(port.value(), restores);
	return bound.code();
}

struct xpv_port xpv_event_channel_port(const struct xpv_event_channel *channel)
{
	return channel->port;
}

unsigned int xpv_event_channel_irq(const struct xpv_event_channel *channel)
{
	return channel->irq;
}

int xpv_event_channel_notify(struct xpv_event_channel *channel)
{
	/* Also from NMI and panic: no lock, no trace, one hypercall. */
	xpv_port port = { xpv::read_once(channel->port.value) };
	return port.value ? xpv::evtchn_send(port).code() : -XEN_ENOTCONN;
}

void xpv_event_channel_mask(struct xpv_event_channel *channel)
{
	xpv_irq_disable(channel->irq);
}

void xpv_event_channel_unmask(struct xpv_event_channel *channel)
{
	xpv_irq_enable(channel->irq);
}

void xpv_event_channel_synchronize(struct xpv_event_channel *channel)
{
	xpv_irq_synchronize(channel->irq);
}

int xpv_event_channel_set_priority(struct xpv_event_channel *channel, unsigned int priority)
{
	if (priority > EVTCHN_FIFO_PRIORITY_MIN)
		return -XEN_EINVAL;
	xpv::IrqsOffGuard no_suspend;
	if (xpv::lost(*channel))
		return -XEN_ENOTCONN;
	auto set = xpv::abi([&](auto &ports) { return ports.set_priority(channel->port, priority); });
	if (set.ok())
		channel->priority = priority;
	return set.code();
}

void xpv_event_channel_spurious(struct xpv_event_channel *channel)
{
	unsigned int wait_ms = xpv::count_spurious(*channel);
	if (!wait_ms)
		return;
	xpv::hide(*channel, Hidden::Backoff);
	xpv::begin_backoff(*channel, wait_ms);
}

void xpv_event_channel_eoi(struct xpv_event_channel *channel, unsigned int flags)
{
	unsigned int wait_ms = 0;
	xpv_trace_event_eoi(channel->port);
	{
		/* The handler cannot run, and the counts cannot change, until the mask reason is gone. */
		xpv::RawSpinGuard guard(channel->lock);
		if (!xpv::is_hidden(*channel, Hidden::Eoi))
			return;
		if (flags & XPV_EOI_SPURIOUS)
			wait_ms = xpv::count_spurious(*channel);
		if (wait_ms)
			xpv::hide_locked(*channel, Hidden::Backoff);
		xpv::show_locked(*channel, Hidden::Eoi);
	}
	if (wait_ms)
		xpv::begin_backoff(*channel, wait_ms);
}

/* ---- For the irq chip ---- */

void xpv_event_channel_hide(struct xpv_event_channel *channel)
{
	xpv::hide(*channel, Hidden::Irq);
}

void xpv_event_channel_show(struct xpv_event_channel *channel)
{
	xpv::show(*channel, Hidden::Irq);
}

int xpv_event_channel_move(struct xpv_event_channel *channel, unsigned int cpu)
{
	/* One critical section: rebind() binds the port to the vCPU of channel->cpu. */
	xpv::RawSpinGuard guard(channel->lock);
	/*
	 * While the port is masked no CPU handles its events. Unmasking raises on the
	 * new vCPU what arrived meanwhile.
	 */
	xpv::hide_locked(*channel, Hidden::Move);
	/* A lost channel is bound to that CPU when it is rebound. */
	auto moved = xpv::lost(*channel) ? xpv::Status() :
					   xpv::abi([&](auto &ports) { return ports.move(channel->port, cpu); });
	if (moved.ok())
		xpv::channels->count_move(*channel, cpu);
	xpv::show_locked(*channel, Hidden::Move);
	return moved.code();
}

void xpv_event_channel_raise(struct xpv_event_channel *channel)
{
	xpv::RawSpinGuard guard(channel->lock);
	if (xpv::lost(*channel))
		return;
	bool hidden = channel->hidden;
	xpv::abi([&](auto &ports) {
		ports.set_pending(channel->port);
		if (!hidden)
			ports.raise(channel->port);
	});
}

void xpv_event_channel_run(struct xpv_event_channel *channel)
{
	channel->events++;
	channel->handler(channel->context);
}

void xpv_event_channel_begin_until_eoi(struct xpv_event_channel *channel)
{
	xpv::hide(*channel, Hidden::Eoi);
}

void xpv_event_channel_begin_threaded(struct xpv_event_channel *channel)
{
	xpv::hide(*channel, Hidden::Thread);
}

void xpv_event_channel_run_threaded(struct xpv_event_channel *channel)
{
	xpv_event_channel_run(channel);
	xpv_trace_event_eoi(channel->port);
	xpv::show(*channel, Hidden::Thread);
}

} /* extern "C" */
