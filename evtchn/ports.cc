// SPDX-License-Identifier: GPL-2.0-only
/* The ports of this domain under the ABI in use, and the upcalls that say which have events. */
#include "evtchn/linux.h"
#include "evtchn/two_level.hh"
#include "hypervisor/hypercall.hh"
#include "lib/log.hh"

namespace xpv {

namespace {

constinit TwoLevel *ports = nullptr;

void handle(Port port)
{
	if (xpv_irq_handle(port))
		return;
	/* Nobody's event: mask it so that it does not come again. The bit stays pending for whoever binds the port. */
	ports->mask(port);
	XPV_ERR_LIMITED("event on port %u, which has no handler", port.value);
}

} // namespace

} // namespace xpv

extern "C" {

int xpv_ports_start(void)
{
	auto made = xpv::make<xpv::TwoLevel>(XPV_MAY_SLEEP);
	if (!made.ok())
		return made.code();
	if (xpv::Status started = made.value()->start(); !started.ok())
		return started.code();
	xpv::ports = made.value().release();
	return 0;
}

void xpv_ports_stop(void)
{
	xpv::Owned<xpv::TwoLevel> last(xpv::ports);
	xpv::ports = nullptr;
}

unsigned int xpv_ports_limit(void)
{
	return xpv::TwoLevel::ports;
}

void xpv_port_clear(struct xpv_port port)
{
	xpv::ports->clear(port);
}

void xpv_port_mask(struct xpv_port port)
{
	xpv::ports->mask(port);
}

void xpv_port_unmask(struct xpv_port port)
{
	xpv::ports->unmask(port);
}

int xpv_port_move(struct xpv_port port, unsigned int cpu)
{
	return xpv::ports->move(port, cpu).code();
}

void xpv_upcall_prepare(unsigned int cpu)
{
	vcpu_info *info = xpv_vcpu_info(cpu);

	xpv::write_once(info->evtchn_pending_sel, 0);
	xpv::store_release(info->evtchn_upcall_pending, 0);
}

bool xpv_upcall(unsigned int cpu)
{
	return xpv::ports->scan(cpu, *xpv_vcpu_info(cpu), xpv::handle);
}

void xpv_upcall_silence(unsigned int cpu)
{
	xpv::ports->mask_all();
	xpv::write_once(xpv_vcpu_info(cpu)->evtchn_upcall_pending, 1);
}

int xpv_upcall_set_vector(unsigned int cpu, unsigned int vector)
{
	return xpv::hvm_set_evtchn_upcall_vector(xpv_vcpu_of_cpu(cpu), vector).code();
}

int xpv_upcall_set_via(uint64_t via)
{
	return xpv::hvm_set_param(HVM_PARAM_CALLBACK_IRQ, via).code();
}

} /* extern "C" */
