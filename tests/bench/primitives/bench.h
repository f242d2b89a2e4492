/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two benchmark modules share: loops with interrupts off, timed by
 * the TSC, which under the emulator's icount counts instructions.
 */
#ifndef XPV_TESTS_BENCH_H
#define XPV_TESTS_BENCH_H

#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <asm/msr.h>

#define ROUNDS 512
/* Grants of one batch: the segments of a block request. */
#define BATCH 11

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
			action;                                                                                        \
			counts[round_] = rdtsc_ordered() - begin_;                                                     \
			after;                                                                                         \
			local_irq_restore(flags_);                                                                     \
			cond_resched();                                                                                \
		}                                                                                                      \
		sort(counts, ROUNDS, sizeof(counts[0]), compare_counts, NULL);                                         \
		pr_info("bench: %s %llu %llu %llu\n", what, counts[0], counts[ROUNDS / 2], counts[ROUNDS - 1]);        \
	} while (0)

#endif
