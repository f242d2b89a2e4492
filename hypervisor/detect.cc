// SPDX-License-Identifier: GPL-2.0-only
/* Search the hypervisor leaves for Xen's signature, and read the domain's id and the vCPU's number there. */
#include "hypervisor/detect.hh"

#include "lib/xen.hh"

#include <xen/arch-x86/cpuid.h>

namespace xpv {

namespace {

struct Registers {
	uint32_t eax, ebx, ecx, edx;
};

Registers cpuid(uint32_t leaf)
{
	Registers out;
	asm volatile("cpuid" : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx) : "a"(leaf), "c"(0));
	return out;
}

constexpr uint32_t hypervisor_bit = 1u << 31; /* leaf 1, ecx */
constexpr uint32_t leaf_step = 0x100;
constexpr uint32_t leaf_end = 0x40010000;

bool is_amd_or_hygon()
{
	Registers vendor = cpuid(0);
	bool amd = vendor.ebx == 0x68747541 && vendor.edx == 0x69746e65 && vendor.ecx == 0x444d4163;
	bool hygon = vendor.ebx == 0x6f677948 && vendor.edx == 0x6e65476e && vendor.ecx == 0x656e6975;
	return amd || hygon;
}

} // namespace

Result<XenPresence> detect_xen()
{
	if (!(cpuid(1).ecx & hypervisor_bit))
		return Error(XEN_ENODEV);
	/* Other hypervisors' leaves may come first: Viridian's do when xl enables them. */
	for (uint32_t base = XEN_CPUID_FIRST_LEAF; base < leaf_end; base += leaf_step) {
		Registers signature = cpuid(base);
		if (signature.ebx != XEN_CPUID_SIGNATURE_EBX || signature.ecx != XEN_CPUID_SIGNATURE_ECX ||
		    signature.edx != XEN_CPUID_SIGNATURE_EDX || signature.eax < base + 2)
			continue;
		return XenPresence{ base, cpuid(base + 1).eax, is_amd_or_hygon() };
	}
	return Error(XEN_ENODEV);
}

Result<Domid> own_domid(const XenPresence &xen)
{
	if (cpuid(xen.cpuid_base).eax >= xen.cpuid_base + 4) {
		Registers hvm = cpuid(xen.cpuid_base + 4);
		if (hvm.eax & XEN_HVM_CPUID_DOMID_PRESENT)
			return Domid{ static_cast<uint16_t>(hvm.ecx) };
	}
	return Error(XEN_ENOENT);
}

Vcpu this_vcpu(const XenPresence &xen, uint32_t fallback)
{
	if (cpuid(xen.cpuid_base).eax >= xen.cpuid_base + 4) {
		Registers hvm = cpuid(xen.cpuid_base + 4);
		if (hvm.eax & XEN_HVM_CPUID_VCPU_ID_PRESENT)
			return Vcpu{ hvm.ebx };
	}
	return Vcpu{ fallback };
}

} // namespace xpv
