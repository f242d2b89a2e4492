// SPDX-License-Identifier: GPL-2.0-only
/* vCPUs on the host are threads, which can wait but not lose their registers. */
#include <cstdlib>
#include <thread>

#include "tests/fake/fake_vcpus.h"

/* Others spin meanwhile, which the virtual clock takes for work: some turns, not a time. */
void xpv_fake_stall(unsigned int microseconds)
{
	for (unsigned int turn = 0; turn < microseconds / 1000 + 1; turn++)
		std::this_thread::yield();
}

void xpv_fake_timer_stop()
{
}

void xpv_fake_vcpu_enter(xpv_vcpu, const vcpu_hvm_context *)
{
	std::abort();
}
