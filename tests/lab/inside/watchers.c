// SPDX-License-Identifier: GPL-2.0-only
/*
 * One thread on each CPU that keeps values in its SSE registers and its
 * thread-local storage, reads the monotonic clock, and says when any of them
 * is not what it must be. On SIGTERM each reports the longest time that it
 * saw between two turns: what a suspend cost it. On SIGUSR1 the same, since
 * the SIGUSR1 before.
 *
 *   watchers [MS]	"fault ..." lines at once; "recent N cpu N us N" for the Nth
 *			SIGUSR1; "cpu N turns N longest_us N over_ms N" at the end:
 *			the second by the monotonic clock, when it was over.
 *			With MS each sleeps that long between turns, which are
 *			short then; otherwise they keep their CPUs busy.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REGISTERS 16
#define SPINS 20000
#define SPINS_BEFORE_SLEEP 1

struct watcher {
	pthread_t thread;
	int cpu;
	unsigned long turns;
	int64_t longest;
	int64_t longest_over;
	_Atomic int64_t recent;
};

static struct timespec rest; /* between turns */
static _Atomic bool stop;
static _Atomic int faults;
static __thread uint64_t local;

static void fault(const struct watcher *watcher, const char *what, int64_t value)
{
	faults++;
	printf("fault cpu %d turn %lu: %s %lld\n", watcher->cpu, watcher->turns, what, (long long)value);
	fflush(stdout);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/* All registers hold the pattern's words while the loop in the middle runs. */
static void spin(unsigned long count, const uint64_t in[REGISTERS][2], uint64_t out[REGISTERS][2])
{
#define LOAD(n) "movdqu " #n "*16(%1), %%xmm" #n "\n\t"
#define STORE(n) "movdqu %%xmm" #n ", " #n "*16(%2)\n\t"
#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
	asm volatile(ALL(LOAD) "1: pause\n\tdec %0\n\tjnz 1b\n\t" ALL(STORE)
		     : "+r"(count)
		     : "r"(in), "r"(out)
		     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
		       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static void *watch(void *argument)
{
	struct watcher *watcher = argument;
	uint64_t in[REGISTERS][2], out[REGISTERS][2];
	int64_t last = now();
	bool sleeps = rest.tv_sec || rest.tv_nsec;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(watcher->cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set)) {
		fault(watcher, "no such CPU", watcher->cpu);
		return NULL;
	}
	local = 0x5eed0000u + (unsigned int)watcher->cpu;
	while (!stop) {
		int64_t time;

		for (int i = 0; i < REGISTERS; i++) {
			in[i][0] = watcher->turns * 0x9e3779b97f4a7c15u + (unsigned int)i;
			in[i][1] = ~in[i][0] ^ (unsigned int)watcher->cpu;
		}
		spin(sleeps ? SPINS_BEFORE_SLEEP : SPINS, (const uint64_t(*)[2])in, out);
		if (memcmp(in, out, sizeof(in)))
			fault(watcher, "SSE registers changed", 0);
		if (local != 0x5eed0000u + (unsigned int)watcher->cpu)
			fault(watcher, "thread-local storage changed", (int64_t)local);
		if (sched_getcpu() != watcher->cpu)
			fault(watcher, "runs on CPU", sched_getcpu());
		time = now();
		if (time < last)
			fault(watcher, "monotonic clock went back by ns", last - time);
		if (time - last > watcher->longest) {
			watcher->longest = time - last;
			watcher->longest_over = time;
		}
		if (time - last > watcher->recent)
			watcher->recent = time - last;
		last = time;
		watcher->turns++;
		if (sleeps)
			nanosleep(&rest, NULL);
	}
	return NULL;
}

/* Until SIGTERM. What a watcher sees while it is asked may be told now or the next time. */
static void report_when_asked(struct watcher *watchers, int count, const sigset_t *signals)
{
	int number;

	for (unsigned int asked = 1; !sigwait(signals, &number) && number != SIGTERM; asked++) {
		for (int i = 0; i < count; i++)
			printf("recent %u cpu %d us %lld\n", asked, watchers[i].cpu,
			       (long long)(atomic_exchange(&watchers[i].recent, 0) / 1000));
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	long rest_ms = argc > 1 ? atol(argv[1]) : 0;
	sigset_t signals;
	int count = (int)sysconf(_SC_NPROCESSORS_ONLN);
	struct watcher *watchers = calloc((size_t)count, sizeof(*watchers));

	if (!watchers)
		return 1;
	rest.tv_sec = rest_ms / 1000;
	rest.tv_nsec = rest_ms % 1000 * 1000000;
	/* For the threads too: the signals are waited for here. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	for (int i = 0; i < count; i++) {
		watchers[i].cpu = i;
		if (pthread_create(&watchers[i].thread, NULL, watch, &watchers[i]))
			return 1;
	}
	report_when_asked(watchers, count, &signals);
	stop = true;
	for (int i = 0; i < count; i++) {
		pthread_join(watchers[i].thread, NULL);
		printf("cpu %d turns %lu longest_us %lld over_ms %lld\n", watchers[i].cpu, watchers[i].turns,
		       (long long)(watchers[i].longest / 1000), (long long)(watchers[i].longest_over / 1000000));
	}
	return faults != 0;
}
