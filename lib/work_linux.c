// SPDX-License-Identifier: GPL-2.0-only
/* Deferred work and threads of the shim on Linux. */

#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "lib/shim.h"
#include "lib/work_linux.h"

static struct workqueue_struct *long_queue;
static struct workqueue_struct *recovery_queue;
static struct workqueue_struct *watchdog_queue;

static_assert(sizeof(struct delayed_work) <= sizeof(((struct xpv_work *)0)->storage));
static_assert(__alignof__(struct delayed_work) <= 8);

static struct delayed_work *delayed_work_of(struct xpv_work *work)
{
	return (struct delayed_work *)work->storage;
}

static struct workqueue_struct *queue_of(const struct xpv_work *work)
{
	switch (work->queue) {
	case XPV_WORK_LONG:
		return long_queue;
	case XPV_WORK_RECOVERY:
		return recovery_queue;
	case XPV_WORK_WATCHDOG:
		return watchdog_queue;
	case XPV_WORK_SYSTEM:
		break;
	}
	return system_wq;
}

int xpv_work_queues_create(void)
{
	recovery_queue = alloc_workqueue("xpv_recovery", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!recovery_queue)
		return -ENOMEM;
	watchdog_queue = alloc_workqueue("xpv_watchdog", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!watchdog_queue)
		goto destroy_recovery;
	long_queue = alloc_workqueue("xpv_long", WQ_UNBOUND, 0);
	if (!long_queue)
		goto destroy_watchdog;
	return 0;

destroy_watchdog:
	destroy_workqueue(watchdog_queue);
destroy_recovery:
	destroy_workqueue(recovery_queue);
	return -ENOMEM;
}

void xpv_work_queues_destroy(void)
{
	destroy_workqueue(long_queue);
	destroy_workqueue(watchdog_queue);
	destroy_workqueue(recovery_queue);
}

static void run_work(struct work_struct *kernel_work)
{
	struct delayed_work *delayed = to_delayed_work(kernel_work);
	struct xpv_work *work = container_of((void *)delayed, struct xpv_work, storage);

	work->function(work->context);
}

void xpv_work_init(struct xpv_work *work, enum xpv_work_queue queue, void (*function)(struct xpv_work_context *context),
		   struct xpv_work_context *context, const char *name, struct xpv_lock_class *lock_class)
{
	INIT_DELAYED_WORK(delayed_work_of(work), run_work);
#ifdef CONFIG_LOCKDEP
	/* One class for all work would make lockdep report a deadlock where one kind of work cancels another. */
	lockdep_init_map(&delayed_work_of(work)->work.lockdep_map, name, (struct lock_class_key *)lock_class->storage, 0);
#endif
	work->function = function;
	work->context = context;
	work->queue = queue;
}
EXPORT_SYMBOL_GPL(xpv_work_init);

void xpv_work_schedule(struct xpv_work *work, unsigned int delay_ms)
{
	queue_delayed_work(queue_of(work), delayed_work_of(work), msecs_to_jiffies(delay_ms));
}
EXPORT_SYMBOL_GPL(xpv_work_schedule);

void xpv_work_reschedule(struct xpv_work *work, unsigned int delay_ms)
{
	mod_delayed_work(queue_of(work), delayed_work_of(work), msecs_to_jiffies(delay_ms));
}
EXPORT_SYMBOL_GPL(xpv_work_reschedule);

void xpv_work_cancel(struct xpv_work *work)
{
	cancel_delayed_work_sync(delayed_work_of(work));
}
EXPORT_SYMBOL_GPL(xpv_work_cancel);

struct xpv_thread {
	void (*function)(struct xpv_thread_context *context);
	struct xpv_thread_context *context;
	struct task_struct *task;
};

static int run_thread(void *argument)
{
	struct xpv_thread *thread = argument;

	thread->function(thread->context);
	/* kthread_stop() needs a thread that has not exited: wait for it here. */
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ);
	return 0;
}

struct xpv_thread *xpv_thread_run(void (*function)(struct xpv_thread_context *context),
				  struct xpv_thread_context *context, const char *name)
{
	struct xpv_thread *thread = kzalloc(sizeof(*thread), GFP_KERNEL);

	if (!thread)
		return NULL;
	thread->function = function;
	thread->context = context;
	thread->task = kthread_run(run_thread, thread, "%s", name);
	if (IS_ERR(thread->task)) {
		kfree(thread);
		return NULL;
	}
	return thread;
}
EXPORT_SYMBOL_GPL(xpv_thread_run);

bool xpv_thread_should_stop(void)
{
	return kthread_should_stop();
}
EXPORT_SYMBOL_GPL(xpv_thread_should_stop);

void xpv_thread_stop(struct xpv_thread *thread)
{
	kthread_stop(thread->task);
	kfree(thread);
}
EXPORT_SYMBOL_GPL(xpv_thread_stop);
