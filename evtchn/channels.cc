// SPDX-License-Identifier: GPL-2.0-only
/* Keep the list under one mutex; mask the channels that are fixed to an offline CPU; print the table. */
#include "evtchn/channels.hh"

#include "evtchn/abi.hh"
#include "hypervisor/hypercall.hh"
#include "lib/address.hh"
#include "lib/debugfs.h"

using namespace xpv;

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
	/* A disk that reconnects waits for this mutex. */
	NoIoScope no_io;
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
	/* Irqs are off with this lock: no suspend can come in between. */
	RawSpinGuard channel_guard(channel.lock);
	if (xpv_restore_count() != restores)
		return Error(XEN_EAGAIN);
	/* Check under the mutex: if the CPU becomes ready later, cpu_ready() finds this channel and unmasks it. */
	if (channel.fixed && !xpv_upcall_reaches(channel.cpu))
		mask_locked(channel, MaskReason::offline);
	/*
	 * Xen binds a port that is not fixed to vCPU 0. Assign it there: if its irq's
	 * affinity has no CPU with upcalls, the port is not moved.
	 */
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

struct Kind {
	const char *name = "?";
	int remote = -1; /* domain, or number of the VIRQ; -1: none */
};

Kind kind_of(const xpv_event_channel &channel)
{
	if (lost(channel))
		return { "lost" };
	auto known = evtchn_status(channel.port);
	if (!known.ok())
		return {};
	const ::evtchn_status &status = known.value();
	switch (status.status) {
	case EVTCHNSTAT_closed:
		return { "closed" };
	case EVTCHNSTAT_unbound:
		return { "unbound", status.u.unbound.dom };
	case EVTCHNSTAT_interdomain:
		return { "interdomain", status.u.interdomain.dom };
	case EVTCHNSTAT_virq:
		return { "virq", static_cast<int>(status.u.virq) };
	case EVTCHNSTAT_ipi:
		return { "ipi" };
	}
	return {};
}

/*
 * State: P pending, M masked. Why: i irq disabled, m moving, t thread at work, b
 * back-off, o CPU offline, e waits for its EOI.
 */
void print(xpv_debug_sink &sink, xpv_event_channel &channel)
{
	constexpr char letters[] = "imtboe"; /* as enum MaskReason */
	Kind kind = kind_of(channel);
	char remote[12] = "-", state[] = "--", why[] = "------";
	unsigned int cpu, reasons;
	{
		RawSpinGuard guard(channel.lock);
		cpu = channel.cpu;
		reasons = channel.mask_reasons;
		if (!lost(channel)) {
			abi([&](auto &ports) {
				state[0] = ports.pending(channel.port) ? 'P' : '-';
				state[1] = ports.masked(channel.port) ? 'M' : '-';
			});
		}
	}
	if (kind.remote >= 0)
		xpv_format(remote, sizeof(remote), "%d", kind.remote);
	for (unsigned int reason = 0; reason < sizeof(why) - 1; reason++)
		why[reason] = reasons >> reason & 1 ? letters[reason] : '-';
	xpv_debug_print(&sink, "%-11s %6s %6u %5u %4u %4u  %s %s %12llu %9llu  %-20s %ps\n", kind.name, remote,
			channel.port.value, channel.irq, cpu, channel.priority, state, why,
			static_cast<unsigned long long>(read_once(channel.events)),
			static_cast<unsigned long long>(read_once(channel.spurious)), channel.name,
			symbol_of(channel.handler));
}

} // namespace

void raise_pending()
{
	channels->each([](xpv_event_channel &channel) {
		RawSpinGuard guard(channel.lock);
		if (channel.mask_reasons || lost(channel))
			return;
		abi([&](auto &ports) {
			if (ports.pending(channel.port))
				ports.raise(channel.port);
		});
	});
}

} // namespace xpv

int xpv_channels_start()
{
	return hand_out(Channels::make(), &channels);
}

void xpv_channels_stop()
{
	destroy(std::exchange(channels, nullptr));
}

unsigned int xpv_channels_on(unsigned int cpu)
{
	return channels->on(cpu);
}

void xpv_channels_cpu_ready(unsigned int cpu)
{
	channels->each([&](xpv_event_channel &channel) {
		RawSpinGuard guard(channel.lock);
		if (channel.fixed && channel.cpu == cpu)
			unmask_locked(channel, MaskReason::offline);
	});
	raise_pending();
}

void xpv_channels_cpu_dead(unsigned int cpu)
{
	/*
	 * Mask first, so that Xen raises nothing on the dead vCPU any more: the vCPU
	 * would find it when it starts again.
	 */
	channels->each([&](xpv_event_channel &channel) {
		RawSpinGuard guard(channel.lock);
		if (channel.fixed && channel.cpu == cpu)
			mask_locked(channel, MaskReason::offline);
	});
	forget_upcall(cpu);
	raise_pending();
}

void xpv_channels_show(xpv_debug_sink *sink)
{
	xpv_debug_print(sink, "# %s ABI, %s\n", xpv_ports_abi(), xpv_upcalls_kind());
	xpv_debug_print(sink, "%-11s %6s %6s %5s %4s %4s  %-2s %-6s %12s %9s  %-20s %s\n", "TYPE", "REMOTE", "PORT",
			"IRQ", "CPU", "PRIO", "ST", "WHY", "EVENTS", "SPURIOUS", "NAME", "HANDLER");
	channels->each([&](xpv_event_channel &channel) { print(*sink, channel); });
}
