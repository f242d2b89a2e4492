// SPDX-License-Identifier: GPL-2.0-only
/* Linux's side of the toolstack's requests; what would end the machine only says that it was called. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/suspend.h>
#include <linux/sysrq.h>

/* The suite has a copy of its own of the file under test. */
#define xpv_control_start kunit_control_start
#define xpv_control_stop kunit_control_stop
#define xpv_control_going_down kunit_control_going_down
#define xpv_linux_power_off kunit_linux_power_off
#define xpv_linux_reboot kunit_linux_reboot
#define xpv_linux_force_power_off kunit_linux_force_power_off
#define xpv_linux_force_reboot kunit_linux_force_reboot
#define xpv_linux_shutdown_timeout kunit_linux_shutdown_timeout
#define xpv_linux_sysrq kunit_linux_sysrq
#define xpv_control_linux_start kunit_control_linux_start
#define xpv_control_linux_stop kunit_control_linux_stop
#define orderly_poweroff kunit_orderly_poweroff
#define orderly_reboot kunit_orderly_reboot
#define kernel_power_off kunit_power_off
#define kernel_restart kunit_restart
#undef ksys_sync_helper
#define ksys_sync_helper kunit_sync
#define handle_sysrq kunit_handle_sysrq

/* What was called, in order; a letter each. */
static char called[16];
static int started;
static struct completion *sync_hangs;

static void add(char what)
{
	size_t length = strlen(called);

	if (length < sizeof(called) - 1)
		called[length] = what;
}

static void kunit_orderly_poweroff(bool force)
{
	add(force ? '!' : 'p');
}

static void kunit_orderly_reboot(void)
{
	add('r');
}

static void kunit_power_off(void)
{
	add('P');
}

static void kunit_restart(char *command)
{
	add(command ? '!' : 'R');
}

static void kunit_sync(void)
{
	add('s');
	if (sync_hangs)
		wait_for_completion(sync_hangs);
}

static void kunit_handle_sysrq(unsigned char key)
{
	add(key);
}

#include "suspend/control_linux.c"

#include <kunit/test.h>

int kunit_control_start(void)
{
	add('[');
	return started;
}

void kunit_control_stop(void)
{
	add(']');
}

void kunit_control_going_down(void)
{
	add('d');
}

static int control_test_init(struct kunit *test)
{
	memset(called, 0, sizeof(called));
	started = 0;
	return 0;
}

static void asks_user_space(struct kunit *test)
{
	xpv_linux_power_off();
	xpv_linux_reboot();
	xpv_linux_sysrq('h');
	KUNIT_EXPECT_STREQ(test, called, "prh");
}

static void syncs_before_it_forces(struct kunit *test)
{
	xpv_linux_force_power_off();
	xpv_linux_force_reboot();
	KUNIT_EXPECT_STREQ(test, called, "sPsR");
}

static void forces_with_disks_that_hang(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(hangs);
	unsigned long begin = jiffies;

	sync_hangs = &hangs;
	xpv_linux_force_power_off();
	KUNIT_EXPECT_STREQ(test, called, "sP");
	KUNIT_EXPECT_GE(test, jiffies - begin, SYNC_SECONDS * HZ);
	KUNIT_EXPECT_LT(test, jiffies - begin, 2 * SYNC_SECONDS * HZ);
	sync_hangs = NULL;
	complete_all(&hangs);
	flush_work(&sync_request);
}

static void hears_that_linux_goes_down(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, xpv_control_linux_start(), 0);
	KUNIT_EXPECT_EQ(test, reboot_block.notifier_call(&reboot_block, SYS_RESTART, NULL), NOTIFY_DONE);
	xpv_control_linux_stop();
	KUNIT_EXPECT_STREQ(test, called, "[d]");
}

static void does_not_start_without_the_store(struct kunit *test)
{
	started = -ENOSPC;
	KUNIT_EXPECT_EQ(test, xpv_control_linux_start(), -ENOSPC);
	KUNIT_EXPECT_STREQ(test, called, "[");
}

static struct kunit_case control_cases[] = {
	KUNIT_CASE(asks_user_space),
	KUNIT_CASE(syncs_before_it_forces),
	KUNIT_CASE(forces_with_disks_that_hang),
	KUNIT_CASE(hears_that_linux_goes_down),
	KUNIT_CASE(does_not_start_without_the_store),
	{}
};

static struct kunit_suite control_suite = {
	.name = "xpv_control",
	.init = control_test_init,
	.test_cases = control_cases,
};
kunit_test_suite(control_suite);

MODULE_DESCRIPTION("xpv: tests of the toolstack's requests");
MODULE_LICENSE("GPL");
