// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tries to use the kernel's memory from user space.
 *
 *	pte_probe SECONDS <addresses
 *
 * The addresses are of pages, one a line, in hex. A process bound to each CPU
 * reads from and writes to all of them, again and again. Exits with 0 only if
 * there were addresses, and every access on every CPU ended with SIGSEGV at
 * just that address. A write that succeeds changes nothing: it ORs with 0.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum outcome { FAULTED, USED, FAULTED_ELSEWHERE };

/* Of one process; shared with the one that made it. */
struct result {
	unsigned long passes;
	unsigned long count[3]; /* by outcome */
	uintptr_t first_bad;
};

/* The ends of a page, and places in it. */
static const unsigned int offsets[] = { 0, 1, 63, 64, 2048, 4088, 4095 };

static sigjmp_buf back;
static volatile uintptr_t fault_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	fault_address = (uintptr_t)info->si_addr;
	siglongjmp(back, 1);
}

static enum outcome attempt(unsigned char *at, bool write)
{
	unsigned char value;

	fault_address = 0;
	/* The signal is not blocked in its handler (SA_NODEFER): there is no mask to restore. */
	if (sigsetjmp(back, 0))
		return fault_address == (uintptr_t)at ? FAULTED : FAULTED_ELSEWHERE;
	if (write)
		asm volatile("lock; orb $0, %0" : "+m"(*at));
	else
		asm volatile("movb %1, %0" : "=q"(value) : "m"(*at));
	return USED;
}

static void probe(const uintptr_t *pages, size_t count, unsigned int seconds, struct result *result)
{
	struct timespec start, now;
	size_t i, o;
	int write;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (i = 0; i < count; i++) {
			for (o = 0; o < sizeof(offsets) / sizeof(*offsets); o++) {
				for (write = 0; write < 2; write++) {
					unsigned char *at = (unsigned char *)pages[i] + offsets[o];
					enum outcome outcome = attempt(at, write);

					result->count[outcome]++;
					if (outcome != FAULTED && !result->first_bad)
						result->first_bad = (uintptr_t)at;
				}
			}
		}
		result->passes++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < (time_t)seconds);
}

/* Pages of our own, of which it is known what happens. */
static bool probe_works(void)
{
	long size = sysconf(_SC_PAGESIZE);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	unsigned char *open = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	unsigned char *read_only = mmap(NULL, size, PROT_READ, flags, -1, 0);
	unsigned char *closed = mmap(NULL, size, PROT_NONE, flags, -1, 0);

	if (open == MAP_FAILED || read_only == MAP_FAILED || closed == MAP_FAILED)
		return false;
	return attempt(open, false) == USED && attempt(open, true) == USED && attempt(read_only + 7, false) == USED &&
	       attempt(read_only + 7, true) == FAULTED && attempt(closed + 9, false) == FAULTED &&
	       attempt(closed + 9, true) == FAULTED;
}

static uintptr_t *read_addresses(size_t *count)
{
	size_t room = 1 << 16;
	uintptr_t *pages = calloc(room, sizeof(*pages));
	unsigned long address;

	*count = 0;
	while (pages && *count < room && scanf("%lx", &address) == 1)
		pages[(*count)++] = address;
	/* All of them, or none. */
	return pages && feof(stdin) ? pages : NULL;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	unsigned int seconds = argc == 2 ? atoi(argv[1]) : 0, cpus = 0, i;
	struct result *results, sum = { .passes = -1UL };
	bool ended_well = true;
	uintptr_t *pages;
	cpu_set_t allowed;
	size_t count;
	int status;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	if (!probe_works()) {
		fprintf(stderr, "pte_probe: cannot tell what faults\n");
		return 2;
	}
	pages = read_addresses(&count);
	results = mmap(NULL, CPU_SETSIZE * sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!pages || results == MAP_FAILED || sched_getaffinity(0, sizeof(allowed), &allowed)) {
		fprintf(stderr, "pte_probe: cannot start\n");
		return 2;
	}

	for (i = 0; i < CPU_SETSIZE; i++) {
		cpu_set_t one;
		pid_t child;

		if (!CPU_ISSET(i, &allowed))
			continue;
		child = fork();
		if (child < 0) {
			perror("pte_probe: fork");
			return 2;
		}
		if (!child) {
			CPU_ZERO(&one);
			CPU_SET(i, &one);
			if (sched_setaffinity(0, sizeof(one), &one))
				_exit(2);
			probe(pages, count, seconds, &results[cpus]);
			_exit(0);
		}
		cpus++;
	}
	while (wait(&status) > 0)
		ended_well = ended_well && status == 0;

	for (i = 0; i < cpus; i++) {
		unsigned int outcome;

		for (outcome = 0; outcome < 3; outcome++)
			sum.count[outcome] += results[i].count[outcome];
		if (results[i].passes < sum.passes)
			sum.passes = results[i].passes;
		if (results[i].first_bad)
			printf("first at %#lx\n", (unsigned long)results[i].first_bad);
	}
	printf("addresses %zu cpus %u passes %lu faulted %lu used %lu elsewhere %lu\n", count, cpus, sum.passes,
	       sum.count[FAULTED], sum.count[USED], sum.count[FAULTED_ELSEWHERE]);
	return ended_well && count && cpus && sum.passes && !sum.count[USED] && !sum.count[FAULTED_ELSEWHERE] ? 0 : 1;
}
