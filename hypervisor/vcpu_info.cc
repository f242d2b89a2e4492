// SPDX-License-Identifier: GPL-2.0-only
/* Assign each vCPU from 32 on a slot in two lent pages, and register the slot with Xen, again after a restore. */
#include "hypervisor/vcpu_info.hh"

#include "hypervisor/hypervisor_owned.h"
#include "lib/log.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"

namespace xpv {

namespace {

/* HVM guests have at most 128 vCPUs (HVM_MAX_VCPUS), 32 of them in the shared info page. */
constexpr unsigned int slots = 128 - XEN_LEGACY_MAX_VCPUS;
constexpr unsigned int order = 1;
static_assert(slots * sizeof(vcpu_info) <= page_size << order);

} // namespace

Result<vcpu_info *> VcpuInfoPages::register_vcpu(Vcpu vcpu)
{
	MutexGuard guard(mutex_);
	unsigned int slot = vcpu.value - XEN_LEGACY_MAX_VCPUS;
	if (slot >= slots) {
		XPV_ERR("vCPU %u: not supported, an HVM guest has at most %u vCPUs", vcpu.value,
			slots + XEN_LEGACY_MAX_VCPUS);
		return Error(XEN_ENOSPC);
	}
	if (!base_)
		base_ = static_cast<vcpu_info *>(xpv_lend_pages(XPV_LENT_VCPU_INFO, order, &found_));
	if (!base_)
		return Error(XEN_ENOMEM);

	Status registered;
	{
		/*
		 * Xen marks an upcall as pending at registration, in case an event was
		 * lost; a vCPU that was not registered had no event. Clear it: with a
		 * callback vector Xen would inject it repeatedly here, where Linux may
		 * not handle it yet.
		 */
		IrqsOffGuard irqs_off;
		registered = tell_xen(vcpu, slot);
		if (registered.ok())
			write_once(base_[slot].evtchn_upcall_pending, 0);
	}
	/* EINVAL: the vCPU is registered already, which is right if it is at this very place. */
	bool ours = found_ || test_bit(slot, registered_);
	if (!registered.ok() && !(registered.error() == XEN_EINVAL && ours)) {
		XPV_ERR("vCPU %u: VCPUOP_register_vcpu_info failed (%pe)", vcpu.value, err_ptr(registered.code()));
		return registered.error();
	}
	set_bit(slot, registered_);
	return base_ + slot;
}

Status VcpuInfoPages::tell_xen(Vcpu vcpu, unsigned int slot) const
{
	auto offset = static_cast<unsigned int>(slot * sizeof(vcpu_info));
	Gfn frame = { xpv_pages_gfn(base_).value + offset / page_size };
	return vcpu_register_vcpu_info(vcpu, frame, offset % page_size);
}

void VcpuInfoPages::forget_registrations()
{
	found_ = false;
	for (unsigned long &word : registered_)
		word = 0;
}

Status VcpuInfoPages::register_again(Vcpu vcpu)
{
	unsigned int slot = vcpu.value - XEN_LEGACY_MAX_VCPUS;
	if (slot >= slots || !base_)
		return Error(XEN_ENOENT);
	if (test_bit(slot, registered_))
		return {};
	vcpu_info &info = base_[slot];
	write_once(info.evtchn_upcall_pending, 0);
	write_once(info.evtchn_pending_sel, 0);
	XPV_TRY(tell_xen(vcpu, slot));
	set_bit(slot, registered_);
	return {};
}

} // namespace xpv
