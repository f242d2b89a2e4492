// SPDX-License-Identifier: GPL-2.0-only
/* vcpu.h: VCPUOP_down, VCPUOP_initialise, VCPUOP_up. */
#include "suspend/vcpus.hh"

#include "hypervisor/hypercall.hh"
#include "lib/address.hh"
#include "lib/log.hh"
#include "suspend/barrier.hh"
#include "suspend/linux.h"

namespace xpv {

namespace {

/*
 * Left out of the initial state, and loaded later: CR4 bits that need other
 * state first (PCIDE a CR3 without PCID, FRED and CET their MSRs, VMXE what is
 * not restored), and of CR3 all but the address of the page table.
 */
constexpr uint64_t cr4_vmxe = 1ull << 13, cr4_pcide = 1ull << 17, cr4_cet = 1ull << 23, cr4_fred = 1ull << 32;
constexpr uint64_t cr3_address = 0x000ffffffffff000;
constexpr uint64_t rflags_always = 1ull << 1;

static_assert(offsetof(xpv_context, rip) == XPV_CONTEXT_RIP);
static_assert(offsetof(xpv_context, rsp) == XPV_CONTEXT_RSP);

Status initialise(unsigned int cpu)
{
	xpv_context *saved = xpv_processor_context(cpu);
	vcpu_hvm_context context = {};
	context.mode = VCPU_HVM_MODE_64B;
	vcpu_hvm_x86_64 &registers = context.cpu_regs.x86_64;
	registers.rip = address_of(&xpv_context_enter);
	registers.rdi = address_of(saved);
	registers.rsp = saved->rsp;
	registers.rflags = rflags_always;
	registers.cr0 = saved->cr0;
	registers.cr3 = saved->cr3 & cr3_address;
	registers.cr4 = saved->cr4 & ~(cr4_vmxe | cr4_pcide | cr4_cet | cr4_fred);
	registers.efer = saved->efer;
	Status done = vcpu_initialise(xpv_vcpu_of_cpu(cpu), context);
	/* EEXIST: the vCPU was not lost, and resumes where it was. */
	if (!done.ok() && done.error() == XEN_EEXIST)
		return {};
	return done;
}

Status bring_back(unsigned int cpu, bool restored)
{
	if (restored)
		XPV_TRY(initialise(cpu));
	return vcpu_up(xpv_vcpu_of_cpu(cpu));
}

void pause_ms(unsigned int milliseconds)
{
	uint64_t end = xpv_suspend_clock() + milliseconds * 1000000ull;
	while (xpv_suspend_clock() < end)
		asm volatile("pause" ::: "memory");
}

} // namespace

unsigned int bring_vcpus_back(bool restored, unsigned int return_ms)
{
	constexpr unsigned int repeat_ms = 10;
	unsigned int repeated = 0, cpu;
	ignore(Barrier::each_secondary(cpu, [&](unsigned int other) {
		for (unsigned int spent = 0;; spent += repeat_ms) {
			Status done = bring_back(other, restored);
			if (done.ok())
				return 0;
			if (!spent)
				XPV_ERR("vCPU %u: cannot bring it up after the suspend (%pe), retrying", other,
					err_ptr(done.code()));
			if (spent >= return_ms)
				xpv_suspend_give_up("cannot bring up the vCPU after the suspend", other, done.code());
			repeated++;
			pause_ms(repeat_ms);
		}
	}));
	return repeated;
}

Status put_vcpus_down(unsigned int &cpu)
{
	int error = Barrier::each_secondary(cpu, [](unsigned int other) {
		return vcpu_down(xpv_vcpu_of_cpu(other)).code();
	});
	if (!error)
		return {};
	/* VCPUOP_up of a vCPU that is up changes nothing. */
	constexpr unsigned int enough_ms = 1000;
	ignore(bring_vcpus_back(false, enough_ms));
	return Error(error);
}

} // namespace xpv
