/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the files of the suite: a part that records its calls, and what a suspend must leave as it was. */
#ifndef XPV_SUSPEND_KUNIT_H
#define XPV_SUSPEND_KUNIT_H

#include <kunit/test.h>

#define LOG_SIZE 1024

/* Notes of all parts, in order: "prepare a", ... separated by ", ". */
extern char calls[LOG_SIZE];
/* How often resume_cpu() ran on each CPU, on that CPU and with irqs off; what else it was called for. */
extern unsigned int cpu_notes[8], wrong_cpu_notes;
/* What prepare() of the part "devices" and resume_early() of the part "bottom" return. */
extern int prepare_error, resume_error;

void parts_register(void);
void parts_unregister(void);
void calls_clear(void);

/* Every online CPU's tables, MSRs and registers; of `count` words each. */
#define STATE_WORDS 40
void processor_states(u64 states[][STATE_WORDS]);
/* Whether timers, scheduler and FPU of each online CPU work. */
bool every_cpu_works(struct kunit *test);

extern struct kunit_case suspend_failure_cases[];

#endif
