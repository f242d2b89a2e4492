// SPDX-License-Identifier: GPL-2.0-only
/* Suspends under the fake hypervisor, with vCPUs that really lose their state; and what they are made of. */

#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/smp.h>
#include <linux/stacktrace.h>
#include <linux/timekeeping.h>
#include <asm/debugreg.h>

#include "suspend/context.h"
#include "suspend/linux.h"
#include "suspend/suspend.h"
#include "suspend_kunit.h"
#include "tests/fake/fake_vcpus.h"

#define GOES_DOWN "prepare devices, prepare bottom, suspend devices, suspend bottom, "
#define RESTORED GOES_DOWN "restored bottom, restored devices, late restored bottom, late restored devices"
#define CANCELLED GOES_DOWN "cancelled bottom, cancelled devices, late cancelled bottom, late cancelled devices"

/* ---- setjmp and longjmp ---- */

asmlinkage void suspend_jump_and_look(struct xpv_context *context, u64 *found);

static void a_jump_keeps_registers_flags_and_stack(struct kunit *test)
{
	struct xpv_context *context = kunit_kzalloc(test, sizeof(*context), GFP_KERNEL);
	u64 found[9] = {};
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, context);
	suspend_jump_and_look(context, found);
	for (i = 0; i < 6; i++)
		KUNIT_EXPECT_EQ(test, 0x1111111111111111ULL * (i + 1), found[i]);
	KUNIT_EXPECT_TRUE(test, !!(found[6] & BIT(21)));
	KUNIT_EXPECT_TRUE(test, !!(found[6] & X86_EFLAGS_IF));
	KUNIT_EXPECT_EQ(test, 0ULL, found[7]);
	KUNIT_EXPECT_EQ(test, 1ULL, found[8]);
}

static noinline void jump_from_below(struct xpv_context *context, unsigned int depth)
{
	if (depth)
		jump_from_below(context, depth - 1);
	else
		xpv_context_jump(context);
	barrier();
}

/* No redzones: whoever is jumped over leaves its own behind on the stack. */
static noinline __no_sanitize_address unsigned int traces_around_a_jump(
	struct xpv_context *context, unsigned long *before, unsigned long *after, unsigned int room)
{
	if (!xpv_context_save(context)) {
		stack_trace_save(before, room, 0);
		jump_from_below(context, 5);
	}
	return stack_trace_save(after, room, 0);
}

static void the_stack_can_be_traced_after_a_jump(struct kunit *test)
{
	enum { ROOM = 32 };
	struct xpv_context *context = kunit_kzalloc(test, sizeof(*context), GFP_KERNEL);
	unsigned long *before = kunit_kcalloc(test, ROOM, sizeof(*before), GFP_KERNEL);
	unsigned long *after = kunit_kcalloc(test, ROOM, sizeof(*after), GFP_KERNEL);
	unsigned int depth, i, beyond = 0;

	KUNIT_ASSERT_TRUE(test, context && before && after);
	depth = traces_around_a_jump(context, before, after, ROOM);
	KUNIT_EXPECT_GE(test, depth, 4u);
	for (i = 0; i < depth; i++) {
		/* The two calls are at different places of one function. */
		if (before[i] != after[i])
			beyond++;
	}
	KUNIT_EXPECT_LE(test, beyond, 1u);
}

/* ---- Suspends ---- */

static unsigned int down_meanwhile;

static void look_meanwhile(void)
{
	down_meanwhile = xpv_fake_vcpus_down();
}

static void expect_suspend(struct kunit *test, bool down, int result)
{
	struct xpv_fake_vcpu_counts before = xpv_fake_count_vcpu_calls(), after;
	unsigned int others = num_online_cpus() - 1, cpu;
	struct xpv_suspend_statistics statistics, old;
	char reason[80] = "x";
	u64 time;

	xpv_suspend_get_statistics(&old);
	xpv_suspend_options.down = down;
	xpv_fake_suspend_result(result, false, look_meanwhile);
	calls_clear();
	time = ktime_get_ns();
	KUNIT_ASSERT_EQ(test, 0, xpv_suspend(U64_MAX, reason, sizeof(reason)));
	KUNIT_EXPECT_GE(test, ktime_get_ns(), time);
	KUNIT_EXPECT_STREQ(test, "", reason);
	KUNIT_EXPECT_STREQ(test, result ? CANCELLED : RESTORED, calls);
	KUNIT_EXPECT_EQ(test, down ? others : 0, down_meanwhile);
	KUNIT_EXPECT_EQ(test, 0u, wrong_cpu_notes);
	for_each_online_cpu(cpu)
		KUNIT_EXPECT_EQ(test, cpu && !result ? 1u : 0u, cpu_notes[cpu]);

	after = xpv_fake_count_vcpu_calls();
	KUNIT_EXPECT_EQ(test, before.suspends + 1, after.suspends);
	KUNIT_EXPECT_EQ(test, before.downs + (down ? others : 0), after.downs);
	KUNIT_EXPECT_EQ(test, before.ups + (down ? others : 0), after.ups);
	KUNIT_EXPECT_EQ(test, before.initialisations + (down && !result ? others : 0), after.initialisations);

	xpv_suspend_get_statistics(&statistics);
	KUNIT_EXPECT_EQ(test, old.restored + !result, statistics.restored);
	KUNIT_EXPECT_EQ(test, old.cancelled + !!result, statistics.cancelled);
	KUNIT_EXPECT_EQ(test, old.failed, statistics.failed);
	KUNIT_EXPECT_EQ(test, (u64)(down && !result ? others : 0), statistics.cpus_rebuilt);
	for (cpu = 1; cpu < XPV_STEPS; cpu++)
		KUNIT_EXPECT_GE(test, statistics.step[cpu], statistics.step[cpu - 1]);
	for_each_online_cpu(cpu)
		KUNIT_EXPECT_EQ(test, cpu != 0, xpv_suspend_cpu_back(cpu) != 0);
}

static void cpus_come_back(struct kunit *test, bool down, int result)
{
	u64(*before)[STATE_WORDS] = kunit_kcalloc(test, 8, sizeof(*before), GFP_KERNEL);
	u64(*after)[STATE_WORDS] = kunit_kcalloc(test, 8, sizeof(*after), GFP_KERNEL);
	unsigned int cpu, i;

	KUNIT_ASSERT_TRUE(test, before && after);
	processor_states(before);
	for (i = 0; i < 3; i++)
		expect_suspend(test, down, result);
	processor_states(after);
	for_each_online_cpu(cpu) {
		for (i = 0; i < STATE_WORDS; i++) {
			if (before[cpu][i] != after[cpu][i])
				KUNIT_FAIL(test, "CPU %u, word %u: 0x%llx became 0x%llx", cpu, i, before[cpu][i],
					   after[cpu][i]);
		}
	}
	KUNIT_EXPECT_TRUE(test, every_cpu_works(test));
}

static void restored_from_down(struct kunit *test)
{
	cpus_come_back(test, true, 0);
}

static void cancelled_from_down(struct kunit *test)
{
	cpus_come_back(test, true, 1);
}

static void restored_from_spin(struct kunit *test)
{
	cpus_come_back(test, false, 0);
}

static void cancelled_from_spin(struct kunit *test)
{
	cpus_come_back(test, false, 1);
}

static void set_debug_registers(void *on)
{
	set_debugreg(on ? 0x1000UL * (smp_processor_id() + 1) : 0UL, 0);
	set_debugreg(on ? 0x2000UL * (smp_processor_id() + 1) : 0UL, 3);
}

static void debug_registers_and_memory_types_come_back(struct kunit *test)
{
	on_each_cpu(set_debug_registers, test, 1);
	cpus_come_back(test, true, 0);
	on_each_cpu(set_debug_registers, NULL, 1);
}

static void any_cpu_may_be_late(struct kunit *test)
{
	unsigned int round, cpu;

	for (round = 0; round < 25; round++) {
		for_each_online_cpu(cpu) {
			if (cpu)
				xpv_fake_vcpu_delay((struct xpv_vcpu){ cpu }, get_random_u32() % 3000);
		}
		expect_suspend(test, round % 5, round % 3 == 2);
	}
	KUNIT_EXPECT_TRUE(test, every_cpu_works(test));
}

static void lost_timers_are_set_anew(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		xpv_fake_lose_timers(true);
		expect_suspend(test, i % 2, i / 2);
		xpv_fake_lose_timers(false);
		KUNIT_EXPECT_TRUE(test, every_cpu_works(test));
	}
}

static void vcpus_that_were_not_lost_go_on(struct kunit *test)
{
	struct xpv_suspend_statistics statistics;
	char reason[80];

	xpv_suspend_options.down = true;
	xpv_fake_suspend_result(0, true, NULL);
	calls_clear();
	KUNIT_EXPECT_EQ(test, 0, xpv_suspend(U64_MAX, reason, sizeof(reason)));
	KUNIT_EXPECT_STREQ(test, RESTORED, calls);
	xpv_suspend_get_statistics(&statistics);
	KUNIT_EXPECT_EQ(test, 0ULL, statistics.cpus_rebuilt);
	KUNIT_EXPECT_EQ(test, 0u, xpv_fake_vcpus_down());
	KUNIT_EXPECT_TRUE(test, every_cpu_works(test));
}

static void an_offline_cpu_stays_so(struct kunit *test)
{
	unsigned int cpu = num_online_cpus() - 1;

	if (!cpu)
		kunit_skip(test, "there is only one CPU");
	KUNIT_ASSERT_EQ(test, 0, remove_cpu(cpu));
	expect_suspend(test, true, 0);
	KUNIT_EXPECT_FALSE(test, cpu_online(cpu));
	KUNIT_ASSERT_EQ(test, 0, add_cpu(cpu));
	expect_suspend(test, true, 0);
	KUNIT_EXPECT_TRUE(test, every_cpu_works(test));
}

static struct kunit_case suspend_cases[] = {
	KUNIT_CASE(a_jump_keeps_registers_flags_and_stack),
	KUNIT_CASE(the_stack_can_be_traced_after_a_jump),
	KUNIT_CASE(cancelled_from_spin),
	KUNIT_CASE(restored_from_spin),
	KUNIT_CASE(cancelled_from_down),
	KUNIT_CASE(restored_from_down),
	KUNIT_CASE(debug_registers_and_memory_types_come_back),
	KUNIT_CASE(any_cpu_may_be_late),
	KUNIT_CASE(lost_timers_are_set_anew),
	KUNIT_CASE(vcpus_that_were_not_lost_go_on),
	KUNIT_CASE(an_offline_cpu_stays_so),
	{}
};

static int suspend_init(struct kunit *test)
{
	parts_register();
	return 0;
}

static void suspend_exit(struct kunit *test)
{
	parts_unregister();
}

static struct kunit_suite suspend_suite = {
	.name = "xpv_suspend",
	.init = suspend_init,
	.exit = suspend_exit,
	.test_cases = suspend_cases,
};

static struct kunit_suite suspend_failure_suite = {
	.name = "xpv_suspend_failures",
	.init = suspend_init,
	.exit = suspend_exit,
	.test_cases = suspend_failure_cases,
};
kunit_test_suites(&suspend_suite, &suspend_failure_suite);

MODULE_DESCRIPTION("xpv: tests of suspend");
MODULE_LICENSE("GPL");
