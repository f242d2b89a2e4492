// SPDX-License-Identifier: GPL-2.0-only
/* Linux's side of the toolstack's requests: its init system, its reboot notifiers, SysRq. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/suspend.h>
#include <linux/sysrq.h>
#include <linux/workqueue.h>

#include "suspend/linux.h"

/* How long a forced shutdown waits for dirty pages to be written. */
#define SYNC_SECONDS 10

static unsigned int shutdown_timeout_s = 300;
module_param(shutdown_timeout_s, uint, 0644);
MODULE_PARM_DESC(shutdown_timeout_s,
		 "Seconds until a shutdown that user space does not carry out is forced; 0: never (default 300)");

unsigned int xpv_linux_shutdown_timeout(void)
{
	return READ_ONCE(shutdown_timeout_s);
}

void xpv_linux_power_off(void)
{
	/* Linux must not force it if there is no such program: that is what our timeout is for. */
	orderly_poweroff(false);
}

void xpv_linux_reboot(void)
{
	orderly_reboot();
}

/* ---- Without user space ---- */

static DECLARE_COMPLETION(synced);

static void sync_work(struct work_struct *work)
{
	ksys_sync_helper();
	complete_all(&synced);
}
static DECLARE_WORK(sync_request, sync_work);

/*
 * Sync with a time limit: a disk that does not respond, perhaps the reason for
 * the forced shutdown, must not block it.
 */
static void try_to_sync(void)
{
	reinit_completion(&synced);
	queue_work(system_unbound_wq, &sync_request);
	if (!wait_for_completion_timeout(&synced, SYNC_SECONDS * HZ))
		pr_warn("sync before the forced shutdown did not finish in %d s, data may be lost\n", SYNC_SECONDS);
}

void xpv_linux_force_power_off(void)
{
	try_to_sync();
	kernel_power_off();
}

void xpv_linux_force_reboot(void)
{
	try_to_sync();
	kernel_restart(NULL);
}

/* ---- SysRq ---- */

void xpv_linux_sysrq(unsigned char key)
{
	handle_sysrq(key);
}

/* ---- Start and stop ---- */

static int on_reboot(struct notifier_block *block, unsigned long code, void *unused)
{
	xpv_control_going_down();
	return NOTIFY_DONE;
}
static struct notifier_block reboot_block = { .notifier_call = on_reboot };

int xpv_control_linux_start(void)
{
	int error = xpv_control_start();

	if (error)
		return error;
	error = register_reboot_notifier(&reboot_block);
	if (error)
		xpv_control_stop();
	return error;
}

void xpv_control_linux_stop(void)
{
	unregister_reboot_notifier(&reboot_block);
	xpv_control_stop();
	flush_work(&sync_request);
}
