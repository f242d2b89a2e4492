/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface through which the C++ code calls Linux, as plain C. Linux's own
 * headers are not C++, so the C++ code uses nothing else of Linux. tests/host
 * implements the same functions for user space.
 *
 * Contexts: "any" includes irqs off and hard irq, but not NMI; "atomic" is any
 * context that may hold a spinlock; "sleeping" must be a task that may block.
 * Errors are negative errno values.
 */
#ifndef XPV_LIB_SHIM_H
#define XPV_LIB_SHIM_H

#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Kernel objects that C++ embeds as opaque storage ---- */

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
	/* For work that no disk and no suspend waits for. Must be short. */
	XPV_WORK_SYSTEM,
	/*
	 * As SYSTEM, for work that may sleep for long (requests of user space). In a
	 * queue of its own, so that it does not delay SYSTEM.
	 */
	XPV_WORK_LONG,
	/*
	 * For work that a stopped disk waits for. The queue has a rescuer thread from
	 * the start, so that work runs even when there is no memory for another worker.
	 * Works run in parallel, on any CPU, and may sleep for long.
	 */
	XPV_WORK_RECOVERY,
	/*
	 * As RECOVERY, for work that must run while work of the other queues is stuck:
	 * watchdogs, ends of a back-off. Must be short.
	 */
	XPV_WORK_WATCHDOG,
};

/* The argument of a deferred call (lib/work.hh). */
struct xpv_work_context;
struct xpv_work {
	uint64_t storage[36];
	void (*function)(struct xpv_work_context *context);
	struct xpv_work_context *context;
	enum xpv_work_queue queue;
};

/* A lock class of lockdep: one zeroed static object for each kind of lock. */
struct xpv_lock_class {
	uint64_t storage[4];
};

/* ---- Log ---- */

enum xpv_log_level { XPV_LOG_ERR = 3, XPV_LOG_WARNING = 4, XPV_LOG_NOTICE = 5, XPV_LOG_INFO = 6, XPV_LOG_DEBUG = 7 };

/* Write one line to the kernel log. The caller adds prefix and newline. Any context. */
__attribute__((format(printf, 2, 3))) void xpv_log(enum xpv_log_level level, const char *format, ...);

/* State of one rate-limited message. Zeroed, it is ready for use. */
struct xpv_log_limit {
	uint64_t window_start_ms;
	uint32_t in_window;
	uint32_t suppressed;
};

/*
 * Return whether one more message may be printed: at most 5 in 10 seconds. Any
 * context. A race only prints one line more or fewer.
 */
bool xpv_log_permitted(struct xpv_log_limit *limit);

/* The kernel's snprintf(). Any context. */
__attribute__((format(printf, 3, 4))) int xpv_format(char *buffer, size_t size, const char *format, ...);

/* ---- Memory ---- */

enum xpv_allocation {
	XPV_MAY_SLEEP, /* sleeping context */
	XPV_ATOMIC, /* any context but NMI */
	XPV_MAY_SLEEP_NO_IO, /* sleeping, on the block I/O path: must not wait for block I/O */
};

/*
 * Allocate zeroed memory, at least 8-byte aligned: at most 4 MiB with XPV_ATOMIC,
 * otherwise at most 2 GiB. Return NULL when there is no memory. Memory of more
 * than a page from a sleeping allocation need not be contiguous, and is then not
 * for DMA or grants. The caller must limit a size that another domain or a user
 * can ask for.
 */
XPV_MUST_CHECK void *xpv_alloc(size_t size, enum xpv_allocation how);
/*
 * Free memory of xpv_alloc(); NULL is allowed. Any context, but sleeping context
 * for more than a page from a sleeping allocation.
 */
void xpv_free(void *memory);

/* Allocate 2^order zeroed, contiguous, page-aligned pages. Return NULL when there is no memory. */
XPV_MUST_CHECK void *xpv_pages_alloc(unsigned int order, enum xpv_allocation how);
void xpv_pages_free(void *pages, unsigned int order);
/* Return the guest frame of an address from xpv_pages_alloc(). Any context. */
struct xpv_gfn xpv_pages_gfn(const void *pages);
/* Return the same frame as Linux numbers it. Any context. */
struct xpv_pfn xpv_pages_pfn(const void *pages);

/*
 * Keep allocations of this task from waiting for block I/O, whatever their flags
 * say, until xpv_noio_end(). Scopes nest. Return the value for the matching
 * xpv_noio_end(). Sleeping context.
 */
XPV_MUST_CHECK unsigned int xpv_noio_begin(void);
/* End the scope; `before` is what the matching xpv_noio_begin() returned. Sleeping context. */
void xpv_noio_end(unsigned int before);

/* ---- Locks ---- */

void xpv_spinlock_init(struct xpv_spinlock *lock, const char *name, struct xpv_lock_class *lock_class);
/* Disable irqs and take the lock. Return the flags for the unlock. Any context. */
unsigned long xpv_spinlock_lock_irqsave(struct xpv_spinlock *lock);
void xpv_spinlock_unlock_irqrestore(struct xpv_spinlock *lock, unsigned long flags);

/* The same for raw_spinlock_t, which does not sleep on PREEMPT_RT: for locks that are taken in hard irq context. */
void xpv_raw_spinlock_init(struct xpv_raw_spinlock *lock, const char *name, struct xpv_lock_class *lock_class);
unsigned long xpv_raw_spinlock_lock_irqsave(struct xpv_raw_spinlock *lock);
void xpv_raw_spinlock_unlock_irqrestore(struct xpv_raw_spinlock *lock, unsigned long flags);

void xpv_mutex_init(struct xpv_mutex *mutex, const char *name, struct xpv_lock_class *lock_class);
/* Sleeping context. */
void xpv_mutex_lock(struct xpv_mutex *mutex);
void xpv_mutex_unlock(struct xpv_mutex *mutex);
/* With lockdep, warn if this task does not hold the mutex. */
void xpv_mutex_assert_held(const struct xpv_mutex *mutex);

/* ---- Waiting ---- */

void xpv_completion_init(struct xpv_completion *completion);
/* Let one waiter continue. Any context. */
void xpv_complete(struct xpv_completion *completion);
/* Let all present and future waiters continue. Any context. */
void xpv_complete_all(struct xpv_completion *completion);
/* Wait at most `milliseconds`. Return true when completed, false after a timeout. Sleeping context. */
bool xpv_wait_for_completion(struct xpv_completion *completion, unsigned int milliseconds);

void xpv_wait_queue_init(struct xpv_wait_queue *queue, const char *name, struct xpv_lock_class *lock_class);
/* Any context. */
void xpv_wake_up_all(struct xpv_wait_queue *queue);
struct xpv_wait_context;
/*
 * Sleep until condition(context) holds, at most `milliseconds`. Return whether it
 * holds. Sleeping context. The condition is called with no lock held; it may take
 * spinlocks but must not sleep.
 */
bool xpv_wait_event(struct xpv_wait_queue *queue, bool (*condition)(struct xpv_wait_context *context),
		    struct xpv_wait_context *context, unsigned int milliseconds);

/* Sleeping context. */
void xpv_sleep_ms(unsigned int milliseconds);
/* Return monotonic time in milliseconds. Any context. */
uint64_t xpv_now_ms(void);

/* ---- Deferred work (process context) ---- */

/*
 * Initialize a work. Work of RECOVERY or WATCHDOG must not wait for work of
 * SYSTEM, nor cancel it: the workqueue core warns about that.
 */
void xpv_work_init(struct xpv_work *work, enum xpv_work_queue queue, void (*function)(struct xpv_work_context *context),
		   struct xpv_work_context *context, const char *name, struct xpv_lock_class *lock_class);
/* Run the work once, `delay_ms` from now or later. Pending work keeps its time. Any context. */
void xpv_work_schedule(struct xpv_work *work, unsigned int delay_ms);
/* As xpv_work_schedule(), but move a pending run to `delay_ms` from now. Any context. */
void xpv_work_reschedule(struct xpv_work *work, unsigned int delay_ms);
/*
 * Cancel a pending run, and wait for one in progress. On return the work neither
 * runs nor is pending, unless it was scheduled again. Sleeping context.
 */
void xpv_work_cancel(struct xpv_work *work);

/* ---- Threads ---- */

struct xpv_thread;
struct xpv_thread_context;
/*
 * Start a kernel thread that runs function(context) to its end. The function must
 * return soon after xpv_thread_stop() made xpv_thread_should_stop() true; the
 * caller must wake the wait queues that it sleeps on before stopping. Return NULL
 * when the thread cannot be created. Sleeping context.
 */
XPV_MUST_CHECK
struct xpv_thread *xpv_thread_run(void (*function)(struct xpv_thread_context *context),
				  struct xpv_thread_context *context, const char *name);
/* Return true, in the thread itself, once xpv_thread_stop() was called for it. Any context. */
bool xpv_thread_should_stop(void);
/* Ask the thread to end, and wait until it has ended. Sleeping context. */
void xpv_thread_stop(struct xpv_thread *thread);

/* ---- CPUs ---- */

/* Return Linux's number of this CPU; stable only while preemption is off. */
unsigned int xpv_cpu_this(void);
/* Return the highest possible CPU number plus one. Any context. */
unsigned int xpv_cpu_limit(void);
/* Disable irqs on this CPU. Return the flags for xpv_irqs_restore(). Any context. */
unsigned long xpv_irqs_off(void);
/* Restore the irq state before the matching xpv_irqs_off(). Any context. */
void xpv_irqs_restore(unsigned long flags);

#ifdef __cplusplus
}
#endif

#endif
