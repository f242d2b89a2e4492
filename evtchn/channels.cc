// SPDX-License-Identifier: GPL-2.0-only
#include "evtchn/channels.hh"

#include "evtchn/abi.hh"
#include "hypervisor/hypercall.hh"

namespace xpv {

constinit Channels *channels = nullptr;

Result<Owned<Channels>> Channels::make()
{
	auto made = XPV_TRY(xpv::make<Channels>(XPV_MAY_SLEEP));
	made->on_cpu_ = XPV_TRY(Array<unsigned int>::make(xpv_cpu_limit(), XPV_MAY_SLEEP));
	return made;
}

Status Channels::make_room_locked(Port port)
{
	for (const xpv_event_channel &other : all_) {
		if (other.port == port)
			return Error(XEN_EBUSY);
	}
	return abi([&](auto &ports) { return ports.add_port(port); });
}

Status Channels::add(xpv_event_channel &channel, uint32_t restores)
{
	MutexGuard guard(mutex_);
	XPV_TRY(make_room_locked(channel.port));
	/* Its irqs are off: no suspend comes between. */
	RawSpinGuard channel_guard(channel.lock);
	if (xpv_restore_count() != restores)
		return Error(XEN_EAGAIN);
	/* Here, so that it is in time for cpu_ready() or late enough to need none. */
	if (channel.fixed && !xpv_upcall_reaches(channel.cpu))
		hide_locked(channel, Hidden::Offline);
	/* Xen binds a port that is not fixed to vCPU 0; its irq may have an affinity that no CPU with upcalls is in. */
	unsigned int cpu = channel.cpu;
	abi([&](auto &ports) { ports.assign(channel.port, cpu); });
	all_.push_back(channel);
	fetch_add(on_cpu_[cpu], 1u);
	return {};
}

void Channels::remove(xpv_event_channel &channel)
{
	MutexGuard guard(mutex_);
	RawSpinGuard channel_guard(channel.lock);
	channel.unlink();
	fetch_add(on_cpu_[channel.cpu], ~0u);
}

unsigned int Channels::on(unsigned int cpu) const
{
	return read_once(on_cpu_[cpu]);
}

void Channels::count_move(xpv_event_channel &channel, unsigned int cpu)
{
	fetch_add(on_cpu_[channel.cpu], ~0u);
	fetch_add(on_cpu_[cpu], 1u);
	channel.cpu = cpu;
}

namespace {

void describe(xpv_event_channel &channel, xpv_event_channel_state &state)
{
	state.port = channel.port;
	state.kind = "?";
	state.remote = -1;
	state.irq = channel.irq;
	state.priority = channel.priority;
	{
		RawSpinGuard guard(channel.lock);
		state.cpu = channel.cpu;
		state.hidden = channel.hidden;
	}
	state.events = channel.events;
	state.spurious = channel.spurious;
	state.name = channel.name;
	state.handler = channel.handler;

	if (lost(channel)) {
		state.kind = "lost";
		return;
	}
	state.pending = abi([&](auto &ports) { return ports.pending(channel.port); });
	state.masked = abi([&](auto &ports) { return ports.masked(channel.port); });
	auto known = evtchn_status(channel.port);
	if (!known.ok())
		return;
	const ::evtchn_status &status = known.value();
	switch (status.status) {
	case EVTCHNSTAT_closed:
		state.kind = "closed";
		break;
	case EVTCHNSTAT_unbound:
		state.kind = "unbound";
		state.remote = status.u.unbound.dom;
		break;
	case EVTCHNSTAT_interdomain:
		state.kind = "interdomain";
		state.remote = status.u.interdomain.dom;
		break;
	case EVTCHNSTAT_virq:
		state.kind = "virq";
		state.remote = static_cast<int>(status.u.virq);
		break;
	case EVTCHNSTAT_ipi:
		state.kind = "ipi";
		break;
	}
}

} // namespace

void raise_pending()
{
	channels->each([](xpv_event_channel &channel) {
		RawSpinGuard guard(channel.lock);
		if (channel.hidden || lost(channel))
			return;
		abi([&](auto &ports) {
			if (ports.pending(channel.port))
				ports.raise(channel.port);
		});
	});
}

} // namespace xpv

extern "C" {

int xpv_channels_start(void)
{
	return xpv::hand_out(xpv::Channels::make(), &xpv::channels);
}

void xpv_channels_stop(void)
{
	xpv::destroy(std::exchange(xpv::channels, nullptr));
}

unsigned int xpv_channels_on(unsigned int cpu)
{
	return xpv::channels->on(cpu);
}

void xpv_channels_cpu_ready(unsigned int cpu)
{
	xpv::channels->each([&](xpv_event_channel &channel) {
		xpv::RawSpinGuard guard(channel.lock);
		if (channel.fixed && channel.cpu == cpu)
			xpv::show_locked(channel, xpv::Hidden::Offline);
	});
	xpv::raise_pending();
}

void xpv_channels_cpu_dead(unsigned int cpu)
{
	/* From here on nothing makes Xen tell the dead vCPU of events: it would meet them where it starts again. */
	xpv::channels->each([&](xpv_event_channel &channel) {
		xpv::RawSpinGuard guard(channel.lock);
		if (channel.fixed && channel.cpu == cpu)
			xpv::hide_locked(channel, xpv::Hidden::Offline);
	});
	xpv::forget_upcall(cpu);
	xpv::raise_pending();
}

void xpv_channels_each(void (*look)(struct xpv_event_channel_viewer *viewer,
				    const struct xpv_event_channel_state *state),
		       struct xpv_event_channel_viewer *viewer)
{
	xpv::channels->each([&](xpv_event_channel &channel) {
		xpv_event_channel_state state = {};
		xpv::describe(channel, state);
		look(viewer, &state);
	});
}

} /* extern "C" */
