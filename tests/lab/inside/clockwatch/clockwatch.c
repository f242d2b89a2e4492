// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread on each CPU that is online, which sleeps by a timer, reads the
 * monotonic clock, and counts when the clock has gone back or the thread is
 * on another CPU. Its parameters, which are only read, say what was seen.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/percpu.h>

static DEFINE_PER_CPU(struct task_struct *, watcher);
static DEFINE_PER_CPU(unsigned long, turns);
static atomic_t faults;

static int watch(void *argument)
{
	unsigned int cpu = (unsigned long)argument;
	ktime_t last = ktime_get();
	/* All CPUs together wake 170 times in a second; an emulated machine does a few hundred. */
	unsigned long rest_us = 4000ul * num_online_cpus();

	while (!kthread_should_stop()) {
		ktime_t now = ktime_get();

		if (ktime_before(now, last)) {
			pr_err("cpu %u: the clock went back by %lld ns\n", cpu, ktime_to_ns(ktime_sub(last, now)));
			atomic_inc(&faults);
		}
		if (raw_smp_processor_id() != cpu) {
			pr_err("the thread of cpu %u is on cpu %u\n", cpu, raw_smp_processor_id());
			atomic_inc(&faults);
		}
		last = now;
		per_cpu(turns, cpu)++;
		usleep_range(rest_us, 2 * rest_us);
	}
	return 0;
}

static void stop_all(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		if (per_cpu(watcher, cpu))
			kthread_stop(per_cpu(watcher, cpu));
	}
}

/* "faults N fewest_turns N": of the CPU that had the fewest. */
static int show(char *text, const struct kernel_param *parameter)
{
	unsigned long fewest = ULONG_MAX;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		if (per_cpu(watcher, cpu))
			fewest = min(fewest, per_cpu(turns, cpu));
	}
	return sysfs_emit(text, "faults %d fewest_turns %lu\n", atomic_read(&faults), fewest);
}
static const struct kernel_param_ops seen_operations = { .get = show };
module_param_cb(seen, &seen_operations, NULL, 0444);
MODULE_PARM_DESC(seen, "What the threads have seen");

static int __init clockwatch_init(void)
{
	unsigned int cpu;
	int error = 0;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		struct task_struct *task = kthread_create_on_cpu(watch, (void *)(unsigned long)cpu, cpu, "clockwatch/%u");

		if (IS_ERR(task)) {
			error = PTR_ERR(task);
			break;
		}
		per_cpu(watcher, cpu) = task;
		wake_up_process(task);
	}
	cpus_read_unlock();
	if (error)
		stop_all();
	return error;
}

static void __exit clockwatch_exit(void)
{
	stop_all();
}

module_init(clockwatch_init);
module_exit(clockwatch_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Threads that watch the monotonic clock");
