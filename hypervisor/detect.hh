/* SPDX-License-Identifier: GPL-2.0-only */
/* Xen's CPUID leaves (arch-x86/cpuid.h). */
#pragma once

#include "lib/result.hh"
#include "lib/types.h"

namespace xpv {

struct XenPresence {
	uint32_t cpuid_base;
	uint32_t version; /* (major << 16) | minor */
	bool vmmcall; /* which instruction makes a hypercall here */
};

/* ENODEV where this is no Xen guest. Any context. */
[[nodiscard]] Result<XenPresence> detect_xen();

/* Xen's number of the vCPU that runs this; `fallback` where Xen does not say. Irqs or preemption off. */
[[nodiscard]] Vcpu this_vcpu(const XenPresence &xen, uint32_t fallback);

/* This domain's number, which changes with a migration. ENOENT where Xen does not say. Any context. */
[[nodiscard]] Result<Domid> own_domid(const XenPresence &xen);

/* How xpv_hypercall() is to call Xen. Before the first hypercall. */
void choose_hypercall(const XenPresence &xen);

} // namespace xpv
