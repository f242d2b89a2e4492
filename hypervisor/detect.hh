/* SPDX-License-Identifier: GPL-2.0-only */
/* Xen's CPUID leaves (arch-x86/cpuid.h). */
#pragma once

#include "lib/result.hh"
#include "lib/types.h"

namespace xpv {

struct XenPresence {
	uint32_t cpuid_base;
	uint32_t version; /* (major << 16) | minor */
	bool vmmcall; /* the hypercall instruction is vmmcall, not vmcall */
};

/* Detect Xen. ENODEV when this is not a Xen guest. Any context. */
[[nodiscard]] Result<XenPresence> detect_xen();

/*
 * Return Xen's number of the running vCPU; `fallback` when Xen's CPUID leaves do
 * not have it. Irqs or preemption off.
 */
[[nodiscard]] Vcpu this_vcpu(const XenPresence &xen, uint32_t fallback);

/*
 * Return this domain's id, which changes with a migration. ENOENT when Xen's
 * CPUID leaves do not have it. Any context.
 */
[[nodiscard]] Result<Domid> own_domid(const XenPresence &xen);

/* Choose the hypercall instruction. Call before the first hypercall. */
void choose_hypercall(const XenPresence &xen);

} // namespace xpv
