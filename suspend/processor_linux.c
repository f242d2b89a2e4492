// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processor state that VCPUOP_initialise does not restore. Not included is
 * what Xen saves for every vCPU, also for one that is down: the local APIC with
 * its task priority (CR8), the machine check banks, TSC_ADJUST, and the MTRRs,
 * except for a bug in Xen (see memory_types_restore()).
 */

#include <linux/build_bug.h>
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/nmi.h>
#include <linux/slab.h>
#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>
#include <asm/special_insns.h>

#include "suspend/linux.h"

#define CHECK_OFFSET(field, offset) static_assert(offsetof(struct xpv_context, field) == (offset))
CHECK_OFFSET(rbx, XPV_CONTEXT_RBX);
CHECK_OFFSET(rbp, XPV_CONTEXT_RBP);
CHECK_OFFSET(r12, XPV_CONTEXT_R12);
CHECK_OFFSET(r13, XPV_CONTEXT_R13);
CHECK_OFFSET(r14, XPV_CONTEXT_R14);
CHECK_OFFSET(r15, XPV_CONTEXT_R15);
CHECK_OFFSET(rsp, XPV_CONTEXT_RSP);
CHECK_OFFSET(rip, XPV_CONTEXT_RIP);
CHECK_OFFSET(rflags, XPV_CONTEXT_RFLAGS);
CHECK_OFFSET(cr0, XPV_CONTEXT_CR0);
CHECK_OFFSET(cr3, XPV_CONTEXT_CR3);
CHECK_OFFSET(cr4, XPV_CONTEXT_CR4);
CHECK_OFFSET(efer, XPV_CONTEXT_EFER);
CHECK_OFFSET(gdt, XPV_CONTEXT_GDT);
CHECK_OFFSET(idt, XPV_CONTEXT_IDT);
CHECK_OFFSET(fs_base, XPV_CONTEXT_FS_BASE);
CHECK_OFFSET(gs_base, XPV_CONTEXT_GS_BASE);
CHECK_OFFSET(kernel_gs_base, XPV_CONTEXT_KERNEL_GS_BASE);
CHECK_OFFSET(ldt, XPV_CONTEXT_LDT);
CHECK_OFFSET(ds, XPV_CONTEXT_DS);
CHECK_OFFSET(es, XPV_CONTEXT_ES);
CHECK_OFFSET(fs, XPV_CONTEXT_FS);
CHECK_OFFSET(gs, XPV_CONTEXT_GS);
static_assert(sizeof(struct xpv_context) == XPV_CONTEXT_SIZE);

/* From the vendors' manuals; not both kernels define names for them. */
#define CR4_CET (1UL << 23)
#define CR4_FRED (1UL << 32)
#define MSR_S_CET 0x6a2
#define MSR_FRED_FIRST 0x1cc
#define MSR_FRED_LAST 0x1d4
#define MSR_MTRR_VARIABLE(i) (0x200 + (i)) /* base, mask, base, mask ... */
#define MTRR_VARIABLE_MAX 32

/* The MSRs that are saved, where they can be read, in the order in which they are loaded. */
static const struct {
	u32 number;
	u16 feature; /* 0: every processor has it */
	unsigned long cr4; /* saved only if this is set */
} saved_msrs[] = {
	{ MSR_FRED_FIRST + 0, 0, CR4_FRED },
	{ MSR_FRED_FIRST + 1, 0, CR4_FRED },
	{ MSR_FRED_FIRST + 2, 0, CR4_FRED },
	{ MSR_FRED_FIRST + 3, 0, CR4_FRED },
	{ MSR_FRED_FIRST + 4, 0, CR4_FRED },
	{ MSR_FRED_FIRST + 5, 0, CR4_FRED },
	{ MSR_FRED_FIRST + 6, 0, CR4_FRED },
	{ MSR_FRED_FIRST + 7, 0, CR4_FRED },
	{ MSR_FRED_LAST, 0, CR4_FRED },
	/* Branch tracking; the kernel uses no shadow stacks, and those of user space are FPU state. */
	{ MSR_S_CET, 0, CR4_CET },
	{ MSR_STAR },
	{ MSR_LSTAR },
	{ MSR_CSTAR },
	{ MSR_SYSCALL_MASK },
	{ MSR_IA32_SYSENTER_CS, X86_FEATURE_SEP },
	{ MSR_IA32_SYSENTER_ESP, X86_FEATURE_SEP },
	{ MSR_IA32_SYSENTER_EIP, X86_FEATURE_SEP },
	{ MSR_IA32_CR_PAT, X86_FEATURE_PAT },
	{ MSR_TSC_AUX, X86_FEATURE_RDTSCP },
	{ MSR_IA32_SPEC_CTRL, X86_FEATURE_MSR_SPEC_CTRL },
	{ MSR_AMD64_VIRT_SPEC_CTRL, X86_FEATURE_VIRT_SSBD },
	{ MSR_IA32_XSS, X86_FEATURE_XSAVES },
	{ MSR_IA32_XFD, X86_FEATURE_XFD },
	{ MSR_IA32_UMWAIT_CONTROL, X86_FEATURE_WAITPKG },
	{ MSR_IA32_DEBUGCTLMSR, 0 },
	/* Intel only; other processors refuse them, and then they are skipped. */
	{ MSR_IA32_MISC_ENABLE, 0 },
	{ MSR_MISC_FEATURES_ENABLES, 0 },
	{ MSR_IA32_TSX_CTRL, X86_FEATURE_RTM },
};

struct processor {
	struct xpv_context context;
	u64 msrs[ARRAY_SIZE(saved_msrs)];
	bool has_msr[ARRAY_SIZE(saved_msrs)];
	u64 xcr0;
	unsigned long dr[4], dr6, dr7;
	unsigned int mtrrs;
	u64 mtrr[MTRR_VARIABLE_MAX];
};

static struct processor *processors;

int xpv_processors_prepare(void)
{
	processors = kvcalloc(nr_cpu_ids, sizeof(*processors), GFP_KERNEL);
	return processors ? 0 : -ENOMEM;
}

void xpv_processors_release(void)
{
	kvfree(processors);
	processors = NULL;
}

struct xpv_context *xpv_processor_context(unsigned int cpu)
{
	return &processors[cpu].context;
}

static void msrs_save(struct processor *processor)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(saved_msrs); i++) {
		bool there = (!saved_msrs[i].feature || boot_cpu_has(saved_msrs[i].feature)) &&
			     (processor->context.cr4 & saved_msrs[i].cr4) == saved_msrs[i].cr4;

		processor->has_msr[i] = there && !rdmsrl_safe(saved_msrs[i].number, &processor->msrs[i]);
	}
}

/* Skip MSRs that already hold the value: Xen lets us read some that it does not let us write. */
static void msrs_restore(const struct processor *processor)
{
	unsigned int i;
	u64 now;

	for (i = 0; i < ARRAY_SIZE(saved_msrs); i++) {
		if (!processor->has_msr[i])
			continue;
		if (!rdmsrl_safe(saved_msrs[i].number, &now) && now == processor->msrs[i])
			continue;
		wrmsrl_safe(saved_msrs[i].number, processor->msrs[i]);
	}
}

static void memory_types_save(struct processor *processor)
{
	u64 capabilities;
	unsigned int i;

	processor->mtrrs = 0;
	if (!boot_cpu_has(X86_FEATURE_MTRR) || rdmsrl_safe(MSR_MTRRcap, &capabilities))
		return;
	processor->mtrrs = min_t(unsigned int, 2 * (capabilities & 0xff), MTRR_VARIABLE_MAX);
	for (i = 0; i < processor->mtrrs; i++)
		rdmsrl(MSR_MTRR_VARIABLE(i), processor->mtrr[i]);
}

/* Restore the variable ranges that differ: Xen 4.17 saves the first one in place of each. */
static void memory_types_restore(const struct processor *processor)
{
	unsigned int i;
	u64 now;

	for (i = 0; i < processor->mtrrs; i++) {
		rdmsrl(MSR_MTRR_VARIABLE(i), now);
		if (now != processor->mtrr[i])
			wrmsrl(MSR_MTRR_VARIABLE(i), processor->mtrr[i]);
	}
}

static void debug_registers_save(struct processor *processor)
{
	get_debugreg(processor->dr[0], 0);
	get_debugreg(processor->dr[1], 1);
	get_debugreg(processor->dr[2], 2);
	get_debugreg(processor->dr[3], 3);
	get_debugreg(processor->dr6, 6);
	get_debugreg(processor->dr7, 7);
}

/* Restore DR7 last, because it enables the breakpoints. */
static void debug_registers_restore(const struct processor *processor)
{
	set_debugreg(processor->dr[0], 0);
	set_debugreg(processor->dr[1], 1);
	set_debugreg(processor->dr[2], 2);
	set_debugreg(processor->dr[3], 3);
	set_debugreg(processor->dr6, 6);
	set_debugreg(processor->dr7, 7);
}

/* Load TR. LTR accepts only a TSS that is not busy, and marks it busy: use the writable alias of the GDT. */
static void task_register_restore(unsigned int cpu)
{
	struct desc_struct *table = get_cpu_gdt_rw(cpu);

	((tss_desc *)&table[GDT_ENTRY_TSS])->type = DESC_TSS;
	native_load_tr_desc();
}

void xpv_processor_save(unsigned int cpu)
{
	struct processor *processor = &processors[cpu];
	struct xpv_context *context = &processor->context;

	/*
	 * The last user task's FPU registers were saved when it was switched
	 * away from, but the kernel may have recorded that this CPU still holds
	 * them and that they need no reload. This clears that record.
	 */
	kernel_fpu_begin();
	kernel_fpu_end();

	context->cr0 = read_cr0();
	context->cr3 = __read_cr3();
	context->cr4 = __read_cr4();
	rdmsrl(MSR_EFER, context->efer);
	asm volatile("sgdt %0" : "=m"(context->gdt));
	asm volatile("sidt %0" : "=m"(context->idt));
	asm volatile("sldt %0" : "=m"(context->ldt));
	asm volatile("mov %%ds, %0" : "=m"(context->ds));
	asm volatile("mov %%es, %0" : "=m"(context->es));
	asm volatile("mov %%fs, %0" : "=m"(context->fs));
	asm volatile("mov %%gs, %0" : "=m"(context->gs));
	rdmsrl(MSR_FS_BASE, context->fs_base);
	rdmsrl(MSR_GS_BASE, context->gs_base);
	rdmsrl(MSR_KERNEL_GS_BASE, context->kernel_gs_base);
	if (boot_cpu_has(X86_FEATURE_OSXSAVE))
		processor->xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	debug_registers_save(processor);
	msrs_save(processor);
	memory_types_save(processor);
}

void xpv_processor_restore(unsigned int cpu)
{
	struct processor *processor = &processors[cpu];

	task_register_restore(cpu);
	/* XCR0 enables FPU states; load it before the MSRs that refine them. */
	if (boot_cpu_has(X86_FEATURE_OSXSAVE))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, processor->xcr0);
	msrs_restore(processor);
	debug_registers_restore(processor);
}

void xpv_processor_go_on(unsigned int cpu, bool restored)
{
	if (restored)
		memory_types_restore(&processors[cpu]);
	/*
	 * The timer interrupt may be lost: it was pending when its vCPU was
	 * saved; or it was due at a TSC value (TSC-deadline) that Xen took for
	 * one of a TSC that did not run yet. So raise it once from here,
	 * whatever kind of timer it is: its handler does what is due and
	 * programs the next time. It does no harm if nothing is due.
	 */
	apic->send_IPI_self(LOCAL_TIMER_VECTOR);
	touch_nmi_watchdog();
}
