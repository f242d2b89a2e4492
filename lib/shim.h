/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the C++ code asks of Linux, as plain C. Linux's own headers are not
 * C++, so nothing else of Linux is visible there; tests/host implements the
 * same functions for user space.
 *
 * Contexts: "any" is any context including irqs off and NMI-free hard irq;
 * "atomic" is any context that may hold a spinlock; "sleeping" must be a task
 * that may block. Errors are negative errno values.
 */
#ifndef XPV_LIB_SHIM_H
#define XPV_LIB_SHIM_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Kernel objects that C++ embeds but never looks into ---- */

/*
 * Sized for the largest configuration (lockdep and friends); shim_linux.c
 * asserts that the kernel's objects fit.
 */
struct xpv_spinlock {
	uint64_t storage[12];
};
struct xpv_raw_spinlock {
	uint64_t storage[10];
};
struct xpv_mutex {
	uint64_t storage[26];
};
struct xpv_completion {
	uint64_t storage[16];
};
struct xpv_wait_queue {
	uint64_t storage[14];
};

/* The work queue that runs a work. */
enum xpv_work_queue {
	/* For what no disk and no suspend waits for. Works are short. */
	XPV_WORK_SYSTEM,
	/* The same for works that may sleep for long: requests of user space. A queue of their own, so that SYSTEM goes on. */
	XPV_WORK_LONG,
	/*
	 * For whatever a stopped disk waits for: a task (the rescuer) is there
	 * beforehand, so that works go on without memory for another. The works
	 * run side by side, on any CPU, and may sleep for long.
	 */
	XPV_WORK_RECOVERY,
	/* The same for what must run while works of the other queues are stuck: watchdogs, ends of a backoff. Works are short. */
	XPV_WORK_WATCHDOG,
};

/* What a deferred call is about (lib/work.hh). */
struct xpv_work_context;
struct xpv_work {
	uint64_t storage[36];
	void (*function)(struct xpv_work_context *context);
	struct xpv_work_context *context;
	enum xpv_work_queue queue;
};

/* lockdep's name of a kind of lock: a zeroed static object for each kind. */
struct xpv_lock_class {
	uint64_t storage[4];
};

/* ---- Log ---- */

enum xpv_log_level { XPV_LOG_ERR = 3, XPV_LOG_WARNING = 4, XPV_LOG_NOTICE = 5, XPV_LOG_INFO = 6, XPV_LOG_DEBUG = 7 };

/* One line to the kernel's log; the caller gives prefix and newline. Any context. */
__attribute__((format(printf, 2, 3))) void xpv_log(enum xpv_log_level level, const char *format, ...);

/* State of one rate-limited message; zeroed is ready to use. */
struct xpv_log_limit {
	uint64_t window_start_ms;
	uint32_t in_window;
	uint32_t suppressed;
};

/*
 * Whether one more message may be printed: 5 in 10 seconds. Any context.
 * A race prints one line more or fewer, nothing worse.
 */
bool xpv_log_permitted(struct xpv_log_limit *limit);

/* snprintf() as the kernel has it. Any context. */
__attribute__((format(printf, 3, 4))) int xpv_format(char *buffer, size_t size, const char *format, ...);

/* ---- Memory ---- */

enum xpv_allocation {
	XPV_MAY_SLEEP, /* sleeping context */
	XPV_ATOMIC, /* any context but NMI */
	XPV_MAY_SLEEP_NO_IO, /* sleeping, on the way of block I/O: must not wait for it */
};

/*
 * Zeroed memory, at least 8-byte aligned; NULL when there is none. Where the
 * context may sleep, more than a page need not be contiguous, and is then not
 * for DMA or grants; XPV_ATOMIC gives at most 4 MiB, the others at most 2 GiB.
 * The caller limits what another domain or a user can ask for.
 */
XPV_MUST_CHECK void *xpv_alloc(size_t size, enum xpv_allocation how);
/* Free memory of xpv_alloc(); NULL is fine. Any context; more than a page that may have slept: sleeping context. */
void xpv_free(void *memory);

/* 2^order zeroed, contiguous, page-aligned pages; NULL when there are none. */
XPV_MUST_CHECK void *xpv_pages_alloc(unsigned int order, enum xpv_allocation how);
void xpv_pages_free(void *pages, unsigned int order);
/* The frame behind an address that xpv_pages_alloc() gave. Any context. */
struct xpv_gfn xpv_pages_gfn(const void *pages);
struct xpv_pfn xpv_pages_pfn(const void *pages);

/*
 * From begin to end, allocations of this task do not wait for block I/O,
 * whatever their flags say. Scopes nest: end takes what its begin returned.
 * Sleeping context.
 */
XPV_MUST_CHECK unsigned int xpv_noio_begin(void);
void xpv_noio_end(unsigned int before);

/* ---- Locks ---- */

void xpv_spinlock_init(struct xpv_spinlock *lock, const char *name, struct xpv_lock_class *lock_class);
/* Irqs off, lock taken; gives what unlock needs to restore. Any context. */
unsigned long xpv_spinlock_lock_irqsave(struct xpv_spinlock *lock);
void xpv_spinlock_unlock_irqrestore(struct xpv_spinlock *lock, unsigned long flags);

/* The same for raw_spinlock_t, which does not sleep on PREEMPT_RT: for what hard irqs take. */
void xpv_raw_spinlock_init(struct xpv_raw_spinlock *lock, const char *name, struct xpv_lock_class *lock_class);
unsigned long xpv_raw_spinlock_lock_irqsave(struct xpv_raw_spinlock *lock);
void xpv_raw_spinlock_unlock_irqrestore(struct xpv_raw_spinlock *lock, unsigned long flags);

void xpv_mutex_init(struct xpv_mutex *mutex, const char *name, struct xpv_lock_class *lock_class);
/* Sleeping context. */
void xpv_mutex_lock(struct xpv_mutex *mutex);
void xpv_mutex_unlock(struct xpv_mutex *mutex);
/* Warn, where lockdep is, if this task does not hold the mutex. */
void xpv_mutex_assert_held(const struct xpv_mutex *mutex);

/* ---- Waiting ---- */

void xpv_completion_init(struct xpv_completion *completion);
/* Any context. Lets one waiter, or all present and future waiters, go on. */
void xpv_complete(struct xpv_completion *completion);
void xpv_complete_all(struct xpv_completion *completion);
/* Sleeping context. True when completed, false when `milliseconds` have passed. */
bool xpv_wait_for_completion(struct xpv_completion *completion, unsigned int milliseconds);

void xpv_wait_queue_init(struct xpv_wait_queue *queue, const char *name, struct xpv_lock_class *lock_class);
/* Any context. */
void xpv_wake_up_all(struct xpv_wait_queue *queue);
struct xpv_wait_context;
/*
 * Sleep until condition(context) holds, at most `milliseconds`. True when it
 * holds. Sleeping context; the condition is called with no lock held, and may
 * take spinlocks but not sleep.
 */
bool xpv_wait_event(struct xpv_wait_queue *queue, bool (*condition)(struct xpv_wait_context *context),
		    struct xpv_wait_context *context, unsigned int milliseconds);

/* Sleeping context. */
void xpv_sleep_ms(unsigned int milliseconds);
/* Monotonic milliseconds. Any context. */
uint64_t xpv_now_ms(void);

/* ---- Deferred work (process context) ---- */

/*
 * A work of RECOVERY or WATCHDOG must not wait for one of SYSTEM, nor cancel
 * it: the workqueue core warns of that.
 */
void xpv_work_init(struct xpv_work *work, enum xpv_work_queue queue, void (*function)(struct xpv_work_context *context),
		   struct xpv_work_context *context, const char *name, struct xpv_lock_class *lock_class);
/* Run once, in `delay_ms` or later; pending work keeps its time. Any context. */
void xpv_work_schedule(struct xpv_work *work, unsigned int delay_ms);
/* As schedule, but a pending run is moved to `delay_ms` from now. Any context. */
void xpv_work_reschedule(struct xpv_work *work, unsigned int delay_ms);
/* After this, it neither runs nor is pending (unless scheduled again). Sleeping context. */
void xpv_work_cancel(struct xpv_work *work);

/* ---- Threads ---- */

struct xpv_thread;
struct xpv_thread_context;
/*
 * A kernel thread that runs function(context) to its end. The function must
 * return soon after xpv_thread_stop() made xpv_thread_should_stop() true;
 * wait queues it sleeps on are the caller's to wake before stopping.
 * Returns NULL when it cannot be made. Sleeping context.
 */
XPV_MUST_CHECK
struct xpv_thread *xpv_thread_run(void (*function)(struct xpv_thread_context *context),
				  struct xpv_thread_context *context, const char *name);
/* True, in the thread itself, once somebody wants it to end. Any context. */
bool xpv_thread_should_stop(void);
/* Ask it to end and wait until it has. Sleeping context. */
void xpv_thread_stop(struct xpv_thread *thread);

/* ---- CPUs ---- */

/* Linux's number of this CPU; stable only while preemption is off. */
unsigned int xpv_cpu_this(void);
/* One more than the highest possible CPU number. Any context. */
unsigned int xpv_cpu_limit(void);
/* Irqs off on this CPU and back. Any context. */
unsigned long xpv_irqs_off(void);
void xpv_irqs_restore(unsigned long flags);

#ifdef __cplusplus
}
#endif

#endif
