// SPDX-License-Identifier: GPL-2.0-only
/* The shim on Linux; lib/shim.h documents the functions. */

#include <linux/completion.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/delay.h>
#include <linux/wait.h>

#include "lib/shim.h"

static_assert(sizeof(spinlock_t) <= sizeof(struct xpv_spinlock));
static_assert(sizeof(raw_spinlock_t) <= sizeof(struct xpv_raw_spinlock));
static_assert(sizeof(struct mutex) <= sizeof(struct xpv_mutex));
static_assert(sizeof(struct completion) <= sizeof(struct xpv_completion));
static_assert(sizeof(wait_queue_head_t) <= sizeof(struct xpv_wait_queue));
static_assert(sizeof(struct lock_class_key) <= sizeof(struct xpv_lock_class));
static_assert(__alignof__(struct mutex) <= 8);

static spinlock_t *spinlock_of(struct xpv_spinlock *lock)
{
	return (spinlock_t *)lock->storage;
}

static raw_spinlock_t *raw_spinlock_of(struct xpv_raw_spinlock *lock)
{
	return (raw_spinlock_t *)lock->storage;
}

static struct mutex *mutex_of(struct xpv_mutex *mutex)
{
	return (struct mutex *)mutex->storage;
}

static struct completion *completion_of(struct xpv_completion *completion)
{
	return (struct completion *)completion->storage;
}

static wait_queue_head_t *wait_queue_of(struct xpv_wait_queue *queue)
{
	return (wait_queue_head_t *)queue->storage;
}

static struct lock_class_key *key_of(struct xpv_lock_class *lock_class)
{
	return (struct lock_class_key *)lock_class->storage;
}

static gfp_t gfp_of(enum xpv_allocation how)
{
	switch (how) {
	case XPV_MAY_SLEEP:
		return GFP_KERNEL;
	case XPV_MAY_SLEEP_NO_IO:
		return GFP_NOIO;
	case XPV_ATOMIC:
		break;
	}
	return GFP_ATOMIC;
}

void xpv_log(enum xpv_log_level level, const char *format, ...)
{
	struct va_format text;
	va_list arguments;

	va_start(arguments, format);
	text.fmt = format;
	text.va = &arguments;
	switch (level) {
	case XPV_LOG_ERR:
		printk(KERN_ERR "%pV", &text);
		break;
	case XPV_LOG_WARNING:
		printk(KERN_WARNING "%pV", &text);
		break;
	case XPV_LOG_NOTICE:
		printk(KERN_NOTICE "%pV", &text);
		break;
	case XPV_LOG_INFO:
		printk(KERN_INFO "%pV", &text);
		break;
	case XPV_LOG_DEBUG:
		printk(KERN_DEBUG "%pV", &text);
		break;
	}
	va_end(arguments);
}
EXPORT_SYMBOL_GPL(xpv_log);

bool xpv_log_permitted(struct xpv_log_limit *limit)
{
	u64 now = xpv_now_ms();

	if (now - READ_ONCE(limit->window_start_ms) >= 10 * MSEC_PER_SEC) {
		WRITE_ONCE(limit->window_start_ms, now);
		WRITE_ONCE(limit->in_window, 0);
	}
	if (READ_ONCE(limit->in_window) >= 5) {
		WRITE_ONCE(limit->suppressed, READ_ONCE(limit->suppressed) + 1);
		return false;
	}
	WRITE_ONCE(limit->in_window, READ_ONCE(limit->in_window) + 1);
	return true;
}
EXPORT_SYMBOL_GPL(xpv_log_permitted);

int xpv_format(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(buffer, size, format, arguments);
	va_end(arguments);
	return length;
}
EXPORT_SYMBOL_GPL(xpv_format);

void *xpv_alloc(size_t size, enum xpv_allocation how)
{
	/* The caller handles a size that is too large; it is no reason to WARN. */
	gfp_t gfp = gfp_of(how) | __GFP_NOWARN;

	return how == XPV_ATOMIC ? kzalloc(size, gfp) : kvzalloc(size, gfp);
}
EXPORT_SYMBOL_GPL(xpv_alloc);

void xpv_free(void *memory)
{
	kvfree(memory);
}
EXPORT_SYMBOL_GPL(xpv_free);

void *xpv_pages_alloc(unsigned int order, enum xpv_allocation how)
{
	return (void *)__get_free_pages(gfp_of(how) | __GFP_ZERO | __GFP_NOWARN, order);
}
EXPORT_SYMBOL_GPL(xpv_pages_alloc);

void xpv_pages_free(void *pages, unsigned int order)
{
	free_pages((unsigned long)pages, order);
}
EXPORT_SYMBOL_GPL(xpv_pages_free);

struct xpv_gfn xpv_pages_gfn(const void *pages)
{
	return (struct xpv_gfn){ virt_to_phys((void *)pages) >> PAGE_SHIFT };
}
EXPORT_SYMBOL_GPL(xpv_pages_gfn);

struct xpv_pfn xpv_pages_pfn(const void *pages)
{
	return (struct xpv_pfn){ virt_to_phys((void *)pages) >> PAGE_SHIFT };
}
EXPORT_SYMBOL_GPL(xpv_pages_pfn);

unsigned int xpv_noio_begin(void)
{
	return memalloc_noio_save();
}
EXPORT_SYMBOL_GPL(xpv_noio_begin);

void xpv_noio_end(unsigned int before)
{
	memalloc_noio_restore(before);
}
EXPORT_SYMBOL_GPL(xpv_noio_end);

void xpv_spinlock_init(struct xpv_spinlock *lock, const char *name, struct xpv_lock_class *lock_class)
{
	spin_lock_init(spinlock_of(lock));
	lockdep_set_class_and_name(spinlock_of(lock), key_of(lock_class), name);
}
EXPORT_SYMBOL_GPL(xpv_spinlock_init);

unsigned long xpv_spinlock_lock_irqsave(struct xpv_spinlock *lock)
{
	unsigned long flags;

	spin_lock_irqsave(spinlock_of(lock), flags);
	return flags;
}
EXPORT_SYMBOL_GPL(xpv_spinlock_lock_irqsave);

void xpv_spinlock_unlock_irqrestore(struct xpv_spinlock *lock, unsigned long flags)
{
	spin_unlock_irqrestore(spinlock_of(lock), flags);
}
EXPORT_SYMBOL_GPL(xpv_spinlock_unlock_irqrestore);

void xpv_raw_spinlock_init(struct xpv_raw_spinlock *lock, const char *name, struct xpv_lock_class *lock_class)
{
	raw_spin_lock_init(raw_spinlock_of(lock));
	lockdep_set_class_and_name(raw_spinlock_of(lock), key_of(lock_class), name);
}
EXPORT_SYMBOL_GPL(xpv_raw_spinlock_init);

unsigned long xpv_raw_spinlock_lock_irqsave(struct xpv_raw_spinlock *lock)
{
	unsigned long flags;

	raw_spin_lock_irqsave(raw_spinlock_of(lock), flags);
	return flags;
}
EXPORT_SYMBOL_GPL(xpv_raw_spinlock_lock_irqsave);

void xpv_raw_spinlock_unlock_irqrestore(struct xpv_raw_spinlock *lock, unsigned long flags)
{
	raw_spin_unlock_irqrestore(raw_spinlock_of(lock), flags);
}
EXPORT_SYMBOL_GPL(xpv_raw_spinlock_unlock_irqrestore);

void xpv_mutex_init(struct xpv_mutex *mutex, const char *name, struct xpv_lock_class *lock_class)
{
	__mutex_init(mutex_of(mutex), name, key_of(lock_class));
}
EXPORT_SYMBOL_GPL(xpv_mutex_init);

void xpv_mutex_lock(struct xpv_mutex *mutex)
{
	mutex_lock(mutex_of(mutex));
}
EXPORT_SYMBOL_GPL(xpv_mutex_lock);

void xpv_mutex_unlock(struct xpv_mutex *mutex)
{
	mutex_unlock(mutex_of(mutex));
}
EXPORT_SYMBOL_GPL(xpv_mutex_unlock);

void xpv_mutex_assert_held(const struct xpv_mutex *mutex)
{
	lockdep_assert_held((const struct mutex *)mutex->storage);
}
EXPORT_SYMBOL_GPL(xpv_mutex_assert_held);

void xpv_completion_init(struct xpv_completion *completion)
{
	init_completion(completion_of(completion));
}
EXPORT_SYMBOL_GPL(xpv_completion_init);

void xpv_complete(struct xpv_completion *completion)
{
	complete(completion_of(completion));
}
EXPORT_SYMBOL_GPL(xpv_complete);

void xpv_complete_all(struct xpv_completion *completion)
{
	complete_all(completion_of(completion));
}
EXPORT_SYMBOL_GPL(xpv_complete_all);

bool xpv_wait_for_completion(struct xpv_completion *completion, unsigned int milliseconds)
{
	return wait_for_completion_timeout(completion_of(completion), msecs_to_jiffies(milliseconds));
}
EXPORT_SYMBOL_GPL(xpv_wait_for_completion);

void xpv_wait_queue_init(struct xpv_wait_queue *queue, const char *name, struct xpv_lock_class *lock_class)
{
	__init_waitqueue_head(wait_queue_of(queue), name, key_of(lock_class));
}
EXPORT_SYMBOL_GPL(xpv_wait_queue_init);

void xpv_wake_up_all(struct xpv_wait_queue *queue)
{
	wake_up_all(wait_queue_of(queue));
}
EXPORT_SYMBOL_GPL(xpv_wake_up_all);

bool xpv_wait_event(struct xpv_wait_queue *queue, bool (*condition)(struct xpv_wait_context *context),
		    struct xpv_wait_context *context, unsigned int milliseconds)
{
	/* Idle, not uninterruptible: the hung task detector must ignore a thread that waits for work. */
	return wait_event_idle_timeout(*wait_queue_of(queue), condition(context), msecs_to_jiffies(milliseconds));
}
EXPORT_SYMBOL_GPL(xpv_wait_event);

void xpv_sleep_ms(unsigned int milliseconds)
{
	msleep(milliseconds);
}
EXPORT_SYMBOL_GPL(xpv_sleep_ms);

uint64_t xpv_now_ms(void)
{
	return ktime_to_ms(ktime_get());
}
EXPORT_SYMBOL_GPL(xpv_now_ms);

unsigned int xpv_cpu_this(void)
{
	return raw_smp_processor_id();
}
EXPORT_SYMBOL_GPL(xpv_cpu_this);

unsigned int xpv_cpu_limit(void)
{
	return nr_cpu_ids;
}
EXPORT_SYMBOL_GPL(xpv_cpu_limit);

unsigned long xpv_irqs_off(void)
{
	unsigned long flags;

	local_irq_save(flags);
	return flags;
}
EXPORT_SYMBOL_GPL(xpv_irqs_off);

void xpv_irqs_restore(unsigned long flags)
{
	local_irq_restore(flags);
}
EXPORT_SYMBOL_GPL(xpv_irqs_restore);
