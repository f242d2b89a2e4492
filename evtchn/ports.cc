// SPDX-License-Identifier: GPL-2.0-only
/* The ports of this domain under the ABI in use, and the handling of upcalls. */
#include "evtchn/abi.hh"
#include "evtchn/channels.hh"
#include "evtchn/linux.h"
#include "hypervisor/hypercall.hh"
#include "lib/log.hh"

using namespace xpv;

namespace xpv {

constinit Abi abi = {};

namespace {

/* Allocated for a suspend: used if the restored domain's Xen does not have the FIFO ABI. */
constinit TwoLevel *spare = nullptr;
/* The FIFO ABI that a restore replaced by the spare one; freed by xpv_ports_resume_done(). */
constinit Fifo *retired = nullptr;

void handle(Port port)
{
	if (xpv_irq_handle(port))
		return;
	/* No handler: keep the event pending, and the port masked, until the port is bound. */
	abi([&](auto &ports) {
		ports.mask(port);
		ports.set_pending(port);
	});
	XPV_ERR_LIMITED("port %u: event without a handler, leaving the event channel masked", port.value);
}

Status start_two_level()
{
	auto made = XPV_TRY(make<TwoLevel>(XPV_MAY_SLEEP));
	XPV_TRY(made->start());
	abi.two_level = made.release();
	return {};
}

/* Set `irrevocable` when the domain uses this ABI, even if that was not asked for or something failed. */
Status start_fifo(bool only_if_active, bool &irrevocable)
{
	auto made = XPV_TRY(make<Fifo>(XPV_MAY_SLEEP));
	Status started = made->start(only_if_active);
	irrevocable = made->active();
	if (started.ok())
		abi.fifo = made.release();
	return started;
}

Status start(xpv_evtchn_abi wanted)
{
	if (wanted != XPV_ABI_2LEVEL || xpv_has_lent(XPV_LENT_EVENT_CHANNELS)) {
		bool irrevocable = false;
		Status started = start_fifo(wanted == XPV_ABI_2LEVEL, irrevocable);
		if (started.ok() && wanted == XPV_ABI_2LEVEL)
			XPV_NOTICE("this domain already uses the FIFO ABI, cannot switch back to the 2-level ABI");
		if (started.ok() || irrevocable || wanted == XPV_ABI_FIFO)
			return started;
	}
	return start_two_level();
}

Status restore()
{
	if (abi.two_level) {
		abi.two_level->restore();
		return {};
	}
	Status restored = abi.fifo->restore();
	if (restored.ok() || abi.fifo->active() || !spare)
		return restored;
	XPV_NOTICE("cannot set up FIFO event channels on this host (%pe), using the 2-level ABI",
		   err_ptr(restored.code()));
	retired = abi.fifo;
	abi = { .two_level = spare, .fifo = nullptr };
	spare = nullptr;
	abi.two_level->restore();
	return {};
}

} // namespace

void forget_upcall(unsigned int cpu)
{
	abi([&](auto &ports) { ports.forget(cpu); });
	store_release(xpv_vcpu_info(cpu)->evtchn_upcall_pending, 0);
}

} // namespace xpv

int xpv_ports_start(xpv_evtchn_abi wanted)
{
	return start(wanted).code();
}

void xpv_ports_stop()
{
	destroy(abi.two_level);
	destroy(abi.fifo);
	abi = {};
}

int xpv_ports_prepare()
{
	if (!abi.fifo || spare)
		return 0;
	auto made = make<TwoLevel>(XPV_MAY_SLEEP);
	if (!made.ok())
		return made.code();
	/* start() masks the ports of the 2-level ABI, which Xen ignores under the FIFO ABI. */
	if (Status started = made.value()->start(); !started.ok())
		return started.code();
	spare = made.value().release();
	return 0;
}

int xpv_ports_restore()
{
	return restore().code();
}

void xpv_ports_resume_done()
{
	destroy(std::exchange(spare, nullptr));
	/* The suspend may have stopped a task that opens a channel while it used the retired ABI. */
	channels->quiesced([] {
		if (Fifo *old = std::exchange(retired, nullptr)) {
			old->take_back();
			destroy(old);
		}
		if (abi.fifo)
			abi.fifo->drop_refused();
	});
}

const char *xpv_ports_abi()
{
	return abi.fifo ? "FIFO" : "2-level";
}

int xpv_upcall_prepare(unsigned int cpu)
{
	Status added = abi([&](auto &ports) { return ports.add_cpu(cpu); });
	if (added.ok())
		forget_upcall(cpu);
	return added.code();
}

bool xpv_handle_upcall(unsigned int cpu)
{
	return abi([&](auto &ports) { return ports.scan(cpu, *xpv_vcpu_info(cpu), handle); });
}

void xpv_ports_mask_all()
{
	abi([](auto &ports) { ports.mask_all(); });
}

void xpv_upcall_disable(unsigned int cpu, bool callback)
{
	write_once(xpv_vcpu_info(cpu)->evtchn_upcall_pending, callback ? 0 : 1);
}

int xpv_upcall_set_vector(unsigned int cpu, unsigned int vector)
{
	xpv_record_irreversible(XPV_IRREVERSIBLE_UPCALL_VECTORS);
	return hvm_set_evtchn_upcall_vector(xpv_vcpu_of_cpu(cpu), vector).code();
}

bool xpv_upcall_vectors_were_set()
{
	return xpv_is_recorded(XPV_IRREVERSIBLE_UPCALL_VECTORS);
}

int xpv_upcall_set_via(uint64_t via)
{
	return hvm_set_param(HVM_PARAM_CALLBACK_IRQ, via).code();
}
