// SPDX-License-Identifier: GPL-2.0-only
/* Print the frequency of this machine's time stamp counter in kHz: an emulated CPU reads that counter. */

#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 500000000 };
	uint64_t from_ns = now_ns(), from = __rdtsc();

	nanosleep(&pause, NULL);
	printf("%llu\n", (unsigned long long)((__rdtsc() - from) * 1e6 / (now_ns() - from_ns)));
	return 0;
}
