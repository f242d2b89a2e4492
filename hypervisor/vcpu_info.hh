/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The info of vCPUs beyond those that the shared info page has room for.
 *
 * Such a vCPU registers memory of its own (VCPUOP_register_vcpu_info), once
 * and for good: see xpv_lend_pages().
 */
#pragma once

#include "hypervisor/hypercall.hh"
#include "lib/guard.hh"

namespace xpv {

class VcpuInfoPages {
public:
	/*
	 * Registers the running vCPU (its number `vcpu` is XEN_LEGACY_MAX_VCPUS
	 * or more), or finds its registration of an earlier load. Sleeping.
	 */
	[[nodiscard]] Result<vcpu_info *> register_vcpu(Vcpu vcpu);

	/*
	 * After a restore Xen knows of no registration. register_again() makes
	 * that of the running vCPU anew; with irqs off, and side by side.
	 */
	void forget_registrations();
	[[nodiscard]] Status register_again(Vcpu vcpu);

private:
	[[nodiscard]] Status tell_xen(Vcpu vcpu, unsigned int slot) const;

	Mutex mutex_{ "xpv_vcpu_info"_lock }; /* guards the rest while vCPUs come up side by side */
	vcpu_info *base_ = nullptr;
	bool found_ = false; /* the pages are an earlier load's */
	unsigned long registered_[2] = {}; /* slots that this load registered */
};

} // namespace xpv
