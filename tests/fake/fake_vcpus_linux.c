// SPDX-License-Identifier: GPL-2.0-only
/* The fake hypervisor's vCPUs in a kernel: what a lost vCPU has lost is really gone. */

#include <linux/delay.h>
#include <linux/export.h>
#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>

#include "tests/fake/fake_vcpus.h"

void fake_enter(const struct vcpu_hvm_context *context, unsigned int vcpu);

void xpv_fake_stall(unsigned int microseconds)
{
	for (; microseconds > 1000; microseconds -= 1000)
		udelay(1000);
	udelay(microseconds);
}

void xpv_fake_timer_stop(void)
{
	/* A periodic timer Xen starts anew. */
	switch (apic->read(APIC_LVTT) & (APIC_LVT_TIMER_PERIODIC | APIC_LVT_TIMER_TSCDEADLINE)) {
	case APIC_LVT_TIMER_ONESHOT:
		apic->write(APIC_TMICT, 0);
		break;
	case APIC_LVT_TIMER_TSCDEADLINE:
		wrmsrl(MSR_IA32_TSC_DEADLINE, 0);
		break;
	}
}

void xpv_fake_vcpu_enter(struct xpv_vcpu vcpu, const struct vcpu_hvm_context *context)
{
	static const u32 msrs[] = {
		MSR_STAR,
		MSR_LSTAR,
		MSR_CSTAR,
		MSR_SYSCALL_MASK,
		MSR_IA32_SYSENTER_CS,
		MSR_IA32_SYSENTER_ESP,
		MSR_IA32_SYSENTER_EIP,
		MSR_TSC_AUX,
		MSR_IA32_SPEC_CTRL,
		MSR_IA32_XSS
	};
	unsigned int i;

	xpv_fake_timer_stop();
	/* As Xen saves it. */
	wrmsrl_safe(0x202, 0);

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		wrmsrl_safe(msrs[i], 0);
	set_debugreg(0UL, 7);
	set_debugreg(0UL, 0);
	set_debugreg(0UL, 1);
	set_debugreg(0UL, 2);
	set_debugreg(0UL, 3);
	if (boot_cpu_has(X86_FEATURE_OSXSAVE))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, XFEATURE_MASK_FP);
	fake_enter(context, vcpu.value);
}

EXPORT_SYMBOL_GPL(xpv_fake_vcpu_runs);
EXPORT_SYMBOL_GPL(xpv_fake_vcpu_delay);
EXPORT_SYMBOL_GPL(xpv_fake_lose_timers);
EXPORT_SYMBOL_GPL(xpv_fake_suspend_result);
EXPORT_SYMBOL_GPL(xpv_fake_count_vcpu_calls);
EXPORT_SYMBOL_GPL(xpv_fake_vcpus_down);
