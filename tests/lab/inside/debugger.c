// SPDX-License-Identifier: GPL-2.0-only
/*
 * A debugger and what it debugs, on a CPU of its own. The count of what the
 * debugger sees must be what the other did, exactly, whatever happens to the
 * machine between two events.
 *
 *   debugger step CPU [EVENTS]		single steps through a loop of two instructions
 *   debugger break CPU [EVENTS]	a hardware breakpoint and a hardware watchpoint,
 *					each hit once in a round
 *
 * Until so many events, or SIGTERM. Its last line is "MODE events N faults N";
 * each fault has a line too. /tmp/debugger.MODE has the count so far.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAULTS_LIMIT 20
#define DR7_EXECUTE_0 (1ul << 0) /* one byte, on execution */
#define DR7_WRITE_8_BYTES_1 (1ul << 2 | 0x9ul << 20) /* eight bytes, on writes */
#define DR6_HIT(n) (1ul << (n))

/* In the debugged process, and at the same addresses here. */
static volatile uint64_t rounds, watched;
extern char step_loop[], step_middle[];

static volatile sig_atomic_t stop;
static const char *mode;
static unsigned long events, faults;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void fault(const char *what, unsigned long found, unsigned long expected)
{
	if (faults++ < FAULTS_LIMIT)
		printf("fault %s, event %lu: %s is %#lx and should be %#lx\n", mode, events, what, found, expected);
}

static void give_up(const char *what)
{
	printf("fault %s, event %lu: %s: %s\n", mode, events, what, strerror(errno));
	exit(1);
}

/* ---- What is debugged ---- */

__attribute__((noinline, noclone)) static void broken_on(void)
{
	asm volatile("nop" ::: "memory");
}

static void be_debugged(bool steps, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) || ptrace(PTRACE_TRACEME, 0, 0, 0))
		_exit(1);
	raise(SIGSTOP);
	if (steps) {
		asm volatile("xor %%eax, %%eax\n"
			     "step_loop: inc %%rax\n"
			     "step_middle: jmp step_loop\n" ::
				     : "rax", "cc");
		__builtin_unreachable();
	}
	for (;;) {
		rounds++;
		broken_on();
		watched = rounds;
	}
}

/* ---- The debugger ---- */

/* The next stop of the process; false when SIGTERM came first. */
static bool stopped(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			give_up("waitpid");
		if (stop)
			return false;
	}
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
		fault("how it stopped", (unsigned long)status, SIGTRAP << 8 | 0x7f);
		return false;
	}
	events++;
	return true;
}

static unsigned long debug_register(pid_t child, int number)
{
	errno = 0;
	unsigned long value = (unsigned long)ptrace(PTRACE_PEEKUSER, child,
						    offsetof(struct user, u_debugreg) + (size_t)number * 8, 0);
	if (errno)
		give_up("a debug register cannot be read");
	return value;
}

static void set_debug_register(pid_t child, int number, unsigned long value)
{
	if (ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg) + (size_t)number * 8, value))
		give_up("a debug register cannot be set");
}

static uint64_t peek(pid_t child, const volatile uint64_t *address)
{
	errno = 0;
	uint64_t value = (uint64_t)ptrace(PTRACE_PEEKDATA, child, address, 0);
	if (errno)
		give_up("its memory cannot be read");
	return value;
}

/* So that it can be seen from outside that this goes on. */
static void show_progress(void)
{
	static unsigned long *shown;

	if (!shown) {
		char name[64];

		snprintf(name, sizeof(name), "/tmp/debugger.%s", mode);
		FILE *file = fopen(name, "w+");
		if (!file || ftruncate(fileno(file), sizeof(*shown)))
			give_up(name);
		shown = mmap(NULL, sizeof(*shown), PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
		if (shown == MAP_FAILED)
			give_up(name);
	}
	*shown = events;
}

/* Execute one instruction, and read the registers after it; false when SIGTERM came first. */
static bool single_step(pid_t child, struct user_regs_struct *registers)
{
	if (ptrace(PTRACE_SINGLESTEP, child, 0, 0))
		give_up("singlestep");
	if (!stopped(child))
		return false;
	if (ptrace(PTRACE_GETREGS, child, 0, registers))
		give_up("getregs");
	return true;
}

/* One instruction each time: RIP alternates, and RAX counts the rounds. */
static void step(pid_t child, unsigned long limit)
{
	struct user_regs_struct registers;
	uint64_t expected_rax = 0;

	/* Out of raise() and into the loop; those steps do not count. */
	do {
		if (!single_step(child, &registers))
			return;
	} while (registers.rip != (uintptr_t)step_loop);
	events = 0;

	while (!stop && events < limit && faults < FAULTS_LIMIT) {
		if (!single_step(child, &registers))
			return;
		expected_rax += events & 1;
		uintptr_t expected_rip = events & 1 ? (uintptr_t)step_middle : (uintptr_t)step_loop;
		if (registers.rip != expected_rip)
			fault("RIP", registers.rip, expected_rip);
		if (registers.rax != expected_rax)
			fault("RAX", registers.rax, expected_rax);
		show_progress();
	}
}

/* The breakpoint, then the watchpoint, once in each of its rounds. */
static void break_on(pid_t child, unsigned long limit)
{
	set_debug_register(child, 0, (uintptr_t)broken_on);
	set_debug_register(child, 1, (uintptr_t)&watched);
	set_debug_register(child, 7, DR7_EXECUTE_0 | DR7_WRITE_8_BYTES_1);

	while (!stop && events < limit && faults < FAULTS_LIMIT) {
		set_debug_register(child, 6, 0);
		if (ptrace(PTRACE_CONT, child, 0, 0))
			give_up("cont");
		if (!stopped(child))
			return;
		int which = events & 1 ? 0 : 1;
		unsigned long hit = debug_register(child, 6) & 0xf;
		uint64_t round = (events + 1) / 2;
		if (hit != DR6_HIT(which))
			fault("DR6", hit, DR6_HIT(which));
		if (peek(child, &rounds) != round)
			fault("its round", peek(child, &rounds), round);
		if (peek(child, &watched) != round - (which == 0))
			fault("what it wrote", peek(child, &watched), round - (which == 0));
		show_progress();
	}
}

int main(int count, char **arguments)
{
	if (count < 3)
		return 2;
	mode = arguments[1];
	bool steps = strcmp(mode, "step") == 0;
	unsigned long limit = count > 3 ? strtoul(arguments[3], NULL, 0) : ~0ul;
	struct sigaction action = { .sa_handler = on_signal }; /* it interrupts waitpid() */
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	pid_t child = fork();
	if (child == 0)
		be_debugged(steps, atoi(arguments[2]));
	sigaction(SIGTERM, &action, NULL);
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		give_up("it did not start");
	if (ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_EXITKILL))
		give_up("setoptions");
	if (steps)
		step(child, limit);
	else
		break_on(child, limit);
	kill(child, SIGKILL);
	printf("%s events %lu faults %lu\n", mode, events, faults);
	return faults != 0;
}
