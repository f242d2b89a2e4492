// SPDX-License-Identifier: GPL-2.0-only
/* Mask and unmask ports in the shared info page, and assign each port to one CPU's bitmap. */
#include "evtchn/two_level.hh"

#include "hypervisor/hypercall.hh"
#include "lib/log.hh"
#include "lib/ordering.hh"

namespace xpv {

Status TwoLevel::start()
{
	shared_ = xpv_shared_info();
	mine_ = XPV_TRY(Array<Bitmap>::make(xpv_cpu_limit(), XPV_MAY_SLEEP));
	mask_all();
	return {};
}

void TwoLevel::restore()
{
	for (Bitmap &bitmap : mine_)
		for (unsigned long &word : bitmap)
			write_once(word, 0);
	mask_all();
}

void TwoLevel::mask_all()
{
	for (unsigned long &word : shared_->evtchn_mask)
		write_once(word, ~0ul);
	virt_mb();
}

void TwoLevel::mask(Port port)
{
	set_bit(port.value, shared_->evtchn_mask);
}

void TwoLevel::unmask(Port port)
{
	/*
	 * Clearing the bit is enough unless an event came while it was set: Xen raised
	 * no upcall for that one, so Xen must do the unmasking. The event came either
	 * before our locked clear, and we see it now, or after it, and Xen found the
	 * port unmasked.
	 */
	clear_bit(port.value, shared_->evtchn_mask);
	if (!test_bit(port.value, shared_->evtchn_pending))
		return;
	set_bit(port.value, shared_->evtchn_mask);
	if (Status unmasked = evtchnop_unmask(port); !unmasked.ok())
		XPV_ERR_LIMITED("port %u: cannot unmask the event channel (%pe)", port.value, err_ptr(unmasked.code()));
}

void TwoLevel::assign(Port port, unsigned int cpu)
{
	for (size_t other = 0; other < mine_.size(); other++) {
		if (other != cpu && test_bit(port.value, mine_[other]))
			clear_bit(port.value, mine_[other]);
	}
	set_bit(port.value, mine_[cpu]);
}

Status TwoLevel::move(Port port, unsigned int cpu)
{
	XPV_TRY(evtchnop_bind_vcpu(port, xpv_vcpu_of_cpu(cpu)));
	assign(port, cpu);
	return {};
}

void TwoLevel::raise(Port port)
{
	/*
	 * Mask the port: EVTCHNOP_unmask raises only a port that was masked. An error
	 * means that the port has just been closed.
	 */
	set_bit(port.value, shared_->evtchn_mask);
	ignore(evtchnop_unmask(port));
}

void TwoLevel::forget(unsigned int cpu)
{
	write_once(xpv_vcpu_info(cpu)->evtchn_pending_sel, 0);
}

} // namespace xpv
