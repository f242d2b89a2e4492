// SPDX-License-Identifier: GPL-2.0-only
/* The hypercall instruction (arch-x86/xen-x86_64.h: rax; rdi, rsi, rdx, r10). */
#include "hypervisor/detect.hh"
#include "hypervisor/hypervisor_owned.h"

using namespace xpv;

namespace xpv {

namespace {

constinit bool vmmcall = false;

}

void choose_hypercall(const XenPresence &xen)
{
	vmmcall = xen.vmmcall;
}

} // namespace xpv

long xpv_hypercall(unsigned int number, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4)
{
	long result;
	register unsigned long r10 asm("r10") = a4;

	if (vmmcall)
		asm volatile("vmmcall"
			     : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10)
			     : "a"(number)
			     : "memory");
	else
		asm volatile("vmcall" : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10) : "a"(number) : "memory");
	return result;
}
