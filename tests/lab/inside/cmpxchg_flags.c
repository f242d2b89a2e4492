// SPDX-License-Identifier: GPL-2.0-only
// Prints the flags after a CMPXCHG16B that follows a subtraction of a number
// whose bits would be flags that no program has. The flags were loaded as a
// whole just before: that is when the emulator could take the one for the other.

#include <stdio.h>

int main(void)
{
	static unsigned long memory[2] __attribute__((aligned(16)));
	unsigned long flags, number = 0xabcd0100;

	__asm__ volatile("xorl %%r9d, %%r9d\n\t"
			 "pushfq\n\t"
			 "popfq\n\t"
			 "jmp 1f\n"
			 "1:\tsubq %2, %%r9\n\t"
			 "movl $0, %%eax\n\t"
			 "movl $0, %%ebx\n\t"
			 "movl $0, %%ecx\n\t"
			 "movl $0, %%edx\n\t"
			 "cmpxchg16b %1\n\t"
			 "pushfq\n\t"
			 "popq %0"
			 : "=&r"(flags), "+m"(memory)
			 : "r"(number)
			 : "rax", "rbx", "rcx", "rdx", "r9", "cc", "memory");
	printf("%lx\n", flags);
	return 0;
}
