// SPDX-License-Identifier: GPL-2.0-only
#include "evtchn/channels.hh"

#include "evtchn/abi.hh"
#include "hypervisor/hypercall.hh"

namespace xpv {

constinit Channels *channels = nullptr;

namespace {

constinit xpv_lock_class mutex_class = {};

} // namespace

Result<Owned<Channels>> Channels::make()
{
	auto made = XPV_TRY(xpv::make<Channels>(XPV_MAY_SLEEP));
	made->mutex_.init("xpv event channels", mutex_class);
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
	IrqsOffGuard no_suspend;
	if (xpv_restore_count() != restores)
		return Error(XEN_EAGAIN);
	/* Here, so that it is in time for cpu_ready() or late enough to need none. */
	if (channel.fixed && !xpv_upcall_reaches(channel.cpu))
		hide(channel, Hidden::Offline);
	all_.push_back(channel);
	fetch_add(on_cpu_[channel.cpu], 1u);
	return {};
}

void Channels::remove(xpv_event_channel &channel)
{
	MutexGuard guard(mutex_);
	IrqsOffGuard no_suspend;
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

void describe(const xpv_event_channel &channel, xpv_event_channel_state &state)
{
	state.port = channel.port;
	state.kind = "?";
	state.remote = -1;
	state.cpu = channel.cpu;
	state.irq = channel.irq;
	state.priority = channel.priority;
	state.hidden = channel.hidden;
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
		SpinGuard guard(channel.lock);
		abi([&](auto &ports) {
			if (!channel.hidden && !lost(channel) && ports.pending(channel.port))
				ports.raise(channel.port);
		});
	});
}

} // namespace xpv

extern "C" {

int xpv_channels_start(void)
{
	auto made = xpv::Channels::make();
	if (made.ok())
		xpv::channels = made.value().release();
	return made.code();
}

void xpv_channels_stop(void)
{
	xpv::Owned<xpv::Channels> last(xpv::channels);
	xpv::channels = nullptr;
}

unsigned int xpv_channels_on(unsigned int cpu)
{
	return xpv::channels->on(cpu);
}

void xpv_channels_cpu_ready(unsigned int cpu)
{
	xpv::channels->each([&](xpv_event_channel &channel) {
		if (channel.fixed && channel.cpu == cpu)
			xpv::show(channel, xpv::Hidden::Offline);
	});
	xpv::raise_pending();
}

void xpv_channels_cpu_dead(unsigned int cpu)
{
	/* From here on nothing makes Xen tell the dead vCPU of events: it would meet them where it starts again. */
	xpv::channels->each([&](xpv_event_channel &channel) {
		if (channel.fixed && channel.cpu == cpu)
			xpv::hide(channel, xpv::Hidden::Offline);
	});
	xpv::forget_upcall(cpu);
	xpv::raise_pending();
}

void xpv_channels_each(void (*look)(struct xpv_event_channel_viewer *viewer,
				    const struct xpv_event_channel_state *state),
		       struct xpv_event_channel_viewer *viewer)
{
	xpv::channels->each([&](const xpv_event_channel &channel) {
		xpv_event_channel_state state = {};
		xpv::describe(channel, state);
		look(viewer, &state);
	});
}

} /* extern "C" */
