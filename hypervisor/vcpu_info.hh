/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vcpu_info of vCPUs that the shared info page has no room for.
 *
 * Such a vCPU registers memory of its own (VCPUOP_register_vcpu_info), once and
 * for good: see xpv_lend_pages().
 */
#pragma once

#include "hypervisor/hypercall.hh"
#include "lib/guard.hh"

namespace xpv {

class VcpuInfoPages {
public:
	/*
	 * Register the running vCPU, or find its registration of an earlier load. Its
	 * number `vcpu` must be XEN_LEGACY_MAX_VCPUS or more. Sleeping context.
	 */
	[[nodiscard]] Result<vcpu_info *> register_vcpu(Vcpu vcpu);

	/* Forget all registrations: after a restore Xen has lost them. */
	void forget_registrations();
	/*
	 * Register the running vCPU, or one that is down, again after a restore. Irqs
	 * off; several CPUs may call it in parallel.
	 */
	[[nodiscard]] Status register_again(Vcpu vcpu);

private:
	[[nodiscard]] Status tell_xen(Vcpu vcpu, unsigned int slot) const;

	Mutex mutex_{ "xpv vcpu info"_lock }; /* guards the rest while vCPUs come up in parallel */
	vcpu_info *base_ = nullptr;
	bool found_ = false; /* an earlier load lent the pages */
	unsigned long registered_[2] = {}; /* slots that this load registered */
};

} // namespace xpv
