// SPDX-License-Identifier: GPL-2.0-only
/* A suspend that fails, at each step at which it can: the guest goes on, and the toolstack is told why. */

#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/smp.h>
#include <linux/syscore_ops.h>
#include <linux/timekeeping.h>

#include "suspend/linux.h"
#include "suspend/suspend.h"
#include "suspend_kunit.h"
#include "tests/fake/fake_hypervisor.h"
#include "tests/fake/fake_vcpus.h"

/* xen.h, vcpu.h, sched.h */
#define HYPERCALL_VCPU_OP 24
#define HYPERCALL_SCHED_OP 29
#define COMMAND_INITIALISE 0
#define COMMAND_UP 1
#define COMMAND_DOWN 2
#define COMMAND_SHUTDOWN 2

#define PREPARED "prepare devices, prepare bottom, "
#define GOES_DOWN PREPARED "suspend devices, suspend bottom, "
#define ABANDONED "abandon bottom, abandon devices"
#define UNWOUND GOES_DOWN "cancelled bottom, cancelled devices, " ABANDONED
#define RESTORED GOES_DOWN "restored bottom, restored devices, late restored bottom, late restored devices"

static void expect_good(struct kunit *test)
{
	char reason[80];

	xpv_suspend_options.down = true;
	xpv_fake_suspend_result(0, false, NULL);
	calls_clear();
	KUNIT_EXPECT_EQ(test, 0, xpv_suspend(U64_MAX, reason, sizeof(reason)));
	KUNIT_EXPECT_STREQ(test, "", reason);
	KUNIT_EXPECT_STREQ(test, RESTORED, calls);
	KUNIT_EXPECT_EQ(test, 0u, xpv_fake_vcpus_down());
	KUNIT_EXPECT_TRUE(test, every_cpu_works(test));
}

/* With that, and everything works again afterwards. */
static void expect_failure(struct kunit *test, bool down, int error, const char *why, const char *done)
{
	struct xpv_suspend_statistics before, after;
	char reason[80] = "";

	xpv_suspend_get_statistics(&before);
	xpv_suspend_options.down = down;
	calls_clear();
	KUNIT_EXPECT_EQ(test, error, xpv_suspend(U64_MAX, reason, sizeof(reason)));
	KUNIT_EXPECT_STREQ(test, why, reason);
	KUNIT_EXPECT_STREQ(test, done, calls);
	KUNIT_EXPECT_EQ(test, 0u, xpv_fake_vcpus_down());
	xpv_suspend_get_statistics(&after);
	KUNIT_EXPECT_EQ(test, before.failed + 1, after.failed);
	KUNIT_EXPECT_EQ(test, before.restored + before.cancelled, after.restored + after.cancelled);
	prepare_error = 0;
	expect_good(test);
}

static void a_part_refuses(struct kunit *test)
{
	prepare_error = -EBUSY;
	expect_failure(test, true, -EBUSY, "part devices: not ready to suspend (-EBUSY)", "prepare devices");
}

static void a_part_fails_to_resume(struct kunit *test)
{
	resume_error = -EIO;
	expect_good(test);
	resume_error = 0;
}

static int refuse_core(void *unused)
{
	return -EBUSY;
}
static const struct syscore_ops refusing_operations = { .suspend = refuse_core };
static struct syscore refusing = { .ops = &refusing_operations };

static void the_core_refuses(struct kunit *test)
{
	register_syscore(&refusing);
	xpv_suspend_options.down = true;
	calls_clear();
	{
		char reason[80] = "";

		KUNIT_EXPECT_EQ(test, -EBUSY, xpv_suspend(U64_MAX, reason, sizeof(reason)));
		KUNIT_EXPECT_STREQ(test, "syscore_suspend() failed (-EBUSY)", reason);
		KUNIT_EXPECT_STREQ(test, UNWOUND, calls);
	}
	unregister_syscore(&refusing);
	expect_good(test);
}

static void the_hypercall_fails(struct kunit *test)
{
	xpv_fake_fail(HYPERCALL_SCHED_OP, COMMAND_SHUTDOWN, 0, ENOSYS);
	expect_failure(test, true, -ENOSYS, "SCHEDOP_shutdown failed (-ENOSYS)", UNWOUND);
	xpv_fake_fail(HYPERCALL_SCHED_OP, COMMAND_SHUTDOWN, 0, EPERM);
	expect_failure(test, false, -EPERM, "SCHEDOP_shutdown failed (-EPERM)", UNWOUND);
}

static void a_vcpu_does_not_go_down(struct kunit *test)
{
	unsigned int last = num_online_cpus() - 1;
	char why[80];

	if (!last)
		kunit_skip(test, "there is only one CPU");
	scnprintf(why, sizeof(why), "vCPU %u: VCPUOP_down failed (-EINVAL)", last);
	xpv_fake_fail(HYPERCALL_VCPU_OP, COMMAND_DOWN, last - 1, EINVAL);
	expect_failure(test, true, -EINVAL, why, PREPARED ABANDONED);
}

static void expect_retry(struct kunit *test, unsigned int command)
{
	struct xpv_suspend_statistics before, after;

	if (num_online_cpus() == 1)
		kunit_skip(test, "there is only one CPU");
	xpv_suspend_get_statistics(&before);
	xpv_fake_fail(HYPERCALL_VCPU_OP, command, num_online_cpus() - 2, ENOMEM);
	expect_good(test);
	xpv_suspend_get_statistics(&after);
	KUNIT_EXPECT_EQ(test, before.retries + 1, after.retries);
}

static void a_vcpu_is_initialised_at_the_second_attempt(struct kunit *test)
{
	expect_retry(test, COMMAND_INITIALISE);
}

static void a_vcpu_goes_up_at_the_second_attempt(struct kunit *test)
{
	expect_retry(test, COMMAND_UP);
}

static void a_vcpu_does_not_stop(struct kunit *test)
{
	unsigned int last = num_online_cpus() - 1, stop_ms = xpv_suspend_options.stop_ms;
	char why[80];

	if (!last)
		kunit_skip(test, "there is only one CPU");
	scnprintf(why, sizeof(why), "vCPU %u did not stop", last);
	xpv_suspend_options.stop_ms = 500;
	xpv_fake_vcpu_delay((struct xpv_vcpu){ last }, 2000000);
	calls_clear();
	{
		char reason[80] = "";

		xpv_suspend_options.down = true;
		KUNIT_EXPECT_EQ(test, -ETIMEDOUT, xpv_suspend(U64_MAX, reason, sizeof(reason)));
		KUNIT_EXPECT_STREQ(test, why, reason);
		KUNIT_EXPECT_STREQ(test, "prepare devices, prepare bottom, " ABANDONED, calls);
	}
	xpv_suspend_options.stop_ms = stop_ms;
	expect_good(test);
}

struct hog {
	bool irqs_off;
	bool running;
	bool enough;
};

/* Keeps its CPU until it is told to stop, or for a time that the watchdogs bear. */
static int hog_thread(void *argument)
{
	struct hog *hog = argument;
	u64 end = ktime_get_mono_fast_ns() + 15 * (u64)NSEC_PER_SEC;
	unsigned long flags = 0;

	preempt_disable();
	if (hog->irqs_off)
		local_irq_save(flags);
	WRITE_ONCE(hog->running, true);
	while (!READ_ONCE(hog->enough) && ktime_get_mono_fast_ns() < end)
		cpu_relax();
	if (hog->irqs_off)
		local_irq_restore(flags);
	preempt_enable();
	while (!kthread_should_stop())
		msleep(1);
	return 0;
}

static void expect_silent(struct kunit *test, bool irqs_off)
{
	unsigned int last = num_online_cpus() - 1, stop_ms = xpv_suspend_options.stop_ms;
	struct hog hog = { .irqs_off = irqs_off };
	struct task_struct *task;
	char why[80];

	if (!last)
		kunit_skip(test, "there is only one CPU");
	scnprintf(why, sizeof(why), "vCPU %u does not respond", last);
	/* Not on the CPU that is kept busy. */
	set_cpus_allowed_ptr(current, cpumask_of(0));
	task = kthread_create_on_cpu(hog_thread, &hog, last, "hog/%u");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wake_up_process(task);
	while (!READ_ONCE(hog.running))
		msleep(1);
	xpv_suspend_options.stop_ms = 500;
	calls_clear();
	{
		char reason[80] = "";

		KUNIT_EXPECT_EQ(test, -EBUSY, xpv_suspend(U64_MAX, reason, sizeof(reason)));
		KUNIT_EXPECT_STREQ(test, why, reason);
		KUNIT_EXPECT_STREQ(test, "", calls);
	}
	xpv_suspend_options.stop_ms = stop_ms;
	WRITE_ONCE(hog.enough, true);
	kthread_stop(task);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	expect_good(test);
}

static void a_vcpu_does_not_schedule(struct kunit *test)
{
	expect_silent(test, false);
}

static void a_vcpu_takes_no_interrupt(struct kunit *test)
{
	expect_silent(test, true);
}

struct kunit_case suspend_failure_cases[] = {
	KUNIT_CASE(a_part_refuses),
	KUNIT_CASE(a_part_fails_to_resume),
	KUNIT_CASE(the_core_refuses),
	KUNIT_CASE(the_hypercall_fails),
	KUNIT_CASE(a_vcpu_does_not_go_down),
	KUNIT_CASE(a_vcpu_is_initialised_at_the_second_attempt),
	KUNIT_CASE(a_vcpu_goes_up_at_the_second_attempt),
	KUNIT_CASE(a_vcpu_does_not_stop),
	KUNIT_CASE(a_vcpu_does_not_schedule),
	KUNIT_CASE(a_vcpu_takes_no_interrupt),
	{}
};
