// SPDX-License-Identifier: GPL-2.0-only
/* Record the steps of three parts in order; read each CPU's tables, MSRs and registers; test its timer and FPU. */

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/hrtimer.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/special_insns.h>

#include "hypervisor/suspend_part.h"
#include "suspend/linux.h"
#include "suspend_kunit.h"

char calls[LOG_SIZE];
unsigned int cpu_notes[8], wrong_cpu_notes;
int prepare_error, resume_error;

static void note(const char *what)
{
	if (calls[0])
		strlcat(calls, ", ", sizeof(calls));
	strlcat(calls, what, sizeof(calls));
}

static void record_early(const char *what)
{
	note(what);
	if (!irqs_disabled() || raw_smp_processor_id())
		note("IN THE WRONG CONTEXT");
}

void calls_clear(void)
{
	calls[0] = '\0';
	memset(cpu_notes, 0, sizeof(cpu_notes));
	wrong_cpu_notes = 0;
}

static int devices_prepare(uint64_t deadline_ms)
{
	note("prepare devices");
	return prepare_error;
}

static void devices_abandon(void)
{
	note("abandon devices");
}

static void devices_early(void)
{
	record_early("suspend devices");
}

static int devices_resume(enum xpv_resume_kind kind)
{
	record_early(kind == XPV_RESUME_RESTORED ? "restored devices" : "cancelled devices");
	return 0;
}

static void devices_late(enum xpv_resume_kind kind)
{
	note(kind == XPV_RESUME_RESTORED ? "late restored devices" : "late cancelled devices");
}

static int bottom_prepare(uint64_t deadline_ms)
{
	note("prepare bottom");
	return 0;
}

static void bottom_abandon(void)
{
	note("abandon bottom");
}

static void bottom_early(void)
{
	record_early("suspend bottom");
}

static int bottom_resume(enum xpv_resume_kind kind)
{
	record_early(kind == XPV_RESUME_RESTORED ? "restored bottom" : "cancelled bottom");
	return resume_error;
}

static int bottom_cpu(unsigned int cpu)
{
	if (!irqs_disabled() || cpu != raw_smp_processor_id() || cpu >= ARRAY_SIZE(cpu_notes))
		wrong_cpu_notes++;
	else
		cpu_notes[cpu]++;
	return 0;
}

static void bottom_late(enum xpv_resume_kind kind)
{
	note(kind == XPV_RESUME_RESTORED ? "late restored bottom" : "late cancelled bottom");
}

/* In two layers, registered in the order in which they do not go; and one that does nothing. */
static struct xpv_suspend_part devices = {
	.name = "devices",
	.layer = XPV_SUSPEND_DEVICES,
	.prepare = devices_prepare,
	.abandon = devices_abandon,
	.suspend_early = devices_early,
	.resume_early = devices_resume,
	.resume_late = devices_late
};
static struct xpv_suspend_part idle = { .name = "idle", .layer = XPV_SUSPEND_GNTTAB };
static struct xpv_suspend_part bottom = {
	.name = "bottom",
	.layer = XPV_SUSPEND_HYPERVISOR,
	.prepare = bottom_prepare,
	.abandon = bottom_abandon,
	.suspend_early = bottom_early,
	.resume_early = bottom_resume,
	.resume_cpu = bottom_cpu,
	.resume_late = bottom_late
};

void parts_register(void)
{
	xpv_suspend_part_register(&devices);
	xpv_suspend_part_register(&idle);
	xpv_suspend_part_register(&bottom);
}

void parts_unregister(void)
{
	xpv_suspend_part_unregister(&bottom);
	xpv_suspend_part_unregister(&idle);
	xpv_suspend_part_unregister(&devices);
}

/* ---- Processors ---- */

static void processor_state(void *states)
{
	static const u32 msrs[] = {
		MSR_EFER,
		MSR_STAR,
		MSR_LSTAR,
		MSR_CSTAR,
		MSR_SYSCALL_MASK,
		MSR_GS_BASE,
		MSR_IA32_SYSENTER_CS,
		MSR_IA32_SYSENTER_ESP,
		MSR_IA32_SYSENTER_EIP,
		MSR_TSC_AUX,
		MSR_IA32_SPEC_CTRL,
		MSR_IA32_XSS,
		MSR_IA32_CR_PAT,
		MSR_KERNEL_GS_BASE,
		0x202
	};
	u64 *state = ((u64(*)[STATE_WORDS])states)[smp_processor_id()];
	struct desc_ptr table = {};
	unsigned int i;
	u16 selector;

	native_store_gdt(&table);
	*state++ = table.address;
	*state++ = table.size;
	store_idt(&table);
	*state++ = table.address;
	*state++ = table.size;
	asm volatile("str %0" : "=m"(selector));
	*state++ = selector;
	asm volatile("sldt %0" : "=m"(selector));
	*state++ = selector;
	asm volatile("mov %%cs, %0" : "=m"(selector));
	*state++ = selector;
	asm volatile("mov %%ss, %0" : "=m"(selector));
	*state++ = selector;
	*state++ = read_cr0();
	*state++ = __read_cr4();
	*state++ = boot_cpu_has(X86_FEATURE_OSXSAVE) ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;
	get_debugreg(*(unsigned long *)state++, 0);
	get_debugreg(*(unsigned long *)state++, 3);
	get_debugreg(*(unsigned long *)state++, 7);
	for (i = 0; i < ARRAY_SIZE(msrs); i++, state++) {
		if (rdmsrl_safe(msrs[i], state))
			*state = 0;
	}
}

void processor_states(u64 states[][STATE_WORDS])
{
	memset(states, 0, 8 * sizeof(*states));
	on_each_cpu(processor_state, states, 1);
}

struct check {
	struct work_struct work;
	struct completion fired;
	struct hrtimer timer;
	bool timer_late, fpu_wrong;
};

static enum hrtimer_restart fire(struct hrtimer *timer)
{
	complete(&container_of(timer, struct check, timer)->fired);
	return HRTIMER_NORESTART;
}

static void check_cpu(struct work_struct *work)
{
	struct check *check = container_of(work, struct check, work);
	u64 in[2] = { 0x123456789abcdef0, smp_processor_id() }, out[2] = {};

	/* A timer of this CPU's own; it goes off because this CPU's clock event device does. */
	init_completion(&check->fired);
	hrtimer_init(&check->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED);
	check->timer.function = fire;
	hrtimer_start(&check->timer, ms_to_ktime(5), HRTIMER_MODE_REL_PINNED);

	kernel_fpu_begin();
	asm volatile("movdqu %1, %%xmm7; movdqu %%xmm7, %0" : "=m"(out) : "m"(in));
	kernel_fpu_end();
	check->fpu_wrong = memcmp(in, out, sizeof(in));
}

bool every_cpu_works(struct kunit *test)
{
	struct check *checks = kcalloc(nr_cpu_ids, sizeof(*checks), GFP_KERNEL);
	unsigned int cpu;
	bool good = true;

	if (!checks)
		return false;
	cpus_read_lock();
	for_each_online_cpu(cpu) {
		INIT_WORK(&checks[cpu].work, check_cpu);
		queue_work_on(cpu, system_highpri_wq, &checks[cpu].work);
	}
	for_each_online_cpu(cpu) {
		/* Awake, and by the TSC: it may be this CPU that has no timer any more. */
		u64 deadline = xpv_suspend_clock() + 10ULL * NSEC_PER_SEC;

		flush_work(&checks[cpu].work);
		while (!completion_done(&checks[cpu].fired) && xpv_suspend_clock() < deadline)
			cond_resched();
		checks[cpu].timer_late = !completion_done(&checks[cpu].fired);
		hrtimer_cancel(&checks[cpu].timer);
		if (checks[cpu].timer_late || checks[cpu].fpu_wrong) {
			kunit_info(test, "CPU %u: timer late %d, FPU wrong %d", cpu, checks[cpu].timer_late,
				   checks[cpu].fpu_wrong);
			good = false;
		}
	}
	cpus_read_unlock();
	kfree(checks);
	return good;
}
