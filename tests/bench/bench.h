/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the benchmark modules share: loops with interrupts off, timed by the
 * TSC, which under the emulator's icount counts instructions. An action may
 * turn them on for itself.
 */
#ifndef XPV_TESTS_BENCH_H
#define XPV_TESTS_BENCH_H

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sort.h>
#include <asm/msr.h>

#define ROUNDS 512
/* Grants of one batch: the segments of a block request. */
#define BATCH 11

/* A no-op that tests/bench/counter.c finds. */
#define COUNTER_MARK(number) asm volatile(".byte 0x0f, 0x1f, 0x80, " #number ", 0x56, 0x50, 0x58" ::: "memory")
#define COUNTER_BEGIN COUNTER_MARK(0)
#define COUNTER_END COUNTER_MARK(1)
#define COUNTER_DONE COUNTER_MARK(2)
#define COUNTER_IS_TICK COUNTER_MARK(3)
#define COUNTER_TICK COUNTER_MARK(4)
#define COUNTER_VOID COUNTER_MARK(5)

static u64 counts[ROUNDS];
/* What was to be handled; and rounds in which not exactly that was. */
static unsigned int handled, missed;

/* One line for each measure: smallest, median and largest of ROUNDS. */
static inline int compare_counts(const void *a, const void *b)
{
	u64 left = *(const u64 *)a, right = *(const u64 *)b;

	return left < right ? -1 : left > right;
}

#define MEASURE(what, before, action, after)                                                                           \
	do {                                                                                                           \
		unsigned int round_;                                                                                   \
		for (round_ = 0; round_ < ROUNDS; round_++) {                                                          \
			unsigned long flags_;                                                                          \
			u64 begin_;                                                                                    \
			local_irq_save(flags_);                                                                        \
			before;                                                                                        \
			begin_ = rdtsc_ordered();                                                                      \
			COUNTER_BEGIN;                                                                                 \
			action;                                                                                        \
			COUNTER_END;                                                                                   \
			counts[round_] = rdtsc_ordered() - begin_;                                                     \
			after;                                                                                         \
			local_irq_restore(flags_);                                                                     \
			cond_resched();                                                                                \
		}                                                                                                      \
		COUNTER_DONE;                                                                                          \
		sort(counts, ROUNDS, sizeof(counts[0]), compare_counts, NULL);                                         \
		pr_info("bench: %s %llu %llu %llu\n", what, counts[0], counts[ROUNDS / 2], counts[ROUNDS - 1]);        \
	} while (0)

/* What the counter must find of it: two locked instructions, one fence. */
#define MEASURE_KNOWN                                                                                                  \
	do {                                                                                                           \
		static atomic_t known_;                                                                                \
		static unsigned long swapped_;                                                                         \
		MEASURE("known", , atomic_inc(&known_); (void)xchg(&swapped_, 1); mb(), );                             \
	} while (0)

/* Run `statement` while CPU 1 is in `rival`, a thread's function, without pause; not at all without a CPU 1. */
#define AGAINST(rival, statement)                                                                                      \
	do {                                                                                                           \
		struct task_struct *rival_;                                                                            \
		if (num_online_cpus() < 2)                                                                             \
			break;                                                                                         \
		rival_ = kthread_create(rival, NULL, "bench-rival");                                                   \
		if (IS_ERR(rival_))                                                                                    \
			break;                                                                                         \
		kthread_bind(rival_, 1);                                                                               \
		wake_up_process(rival_);                                                                               \
		msleep(100);                                                                                           \
		statement;                                                                                             \
		kthread_stop(rival_);                                                                                  \
	} while (0)

/* The module's own measures. */
static void bench_measures(void);

static int __init bench_init(void)
{
	set_cpus_allowed_ptr(current, cpumask_of(0));
	MEASURE("empty", , , );
	MEASURE_KNOWN;
	bench_measures();
	pr_info("bench: missed %u %u %u\n", missed, missed, missed);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	return 0;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
}
module_exit(bench_exit);

#endif
