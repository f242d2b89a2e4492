// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a block of a device, and tell who traces the hypervisor that it came:
 *
 *   reads DEVICE	again and again, until it is killed
 *
 * The mark is a CPUID of a leaf that nobody else asks for. Xen traces it in
 * the same class as hypercalls.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define MARK 0x400000ff

static char block[4096] __attribute__((aligned(4096)));

int main(int argc, char **argv)
{
	int file = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECT) : -1;

	while (file >= 0 && pread(file, block, sizeof(block), 0) == sizeof(block)) {
		unsigned int a, b, c, d;

		__cpuid(MARK, a, b, c, d);
	}
	perror("fault");
	return 1;
}
