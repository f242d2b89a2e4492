// SPDX-License-Identifier: GPL-2.0-only
/* vCPUs on the host are threads, which can wait but not lose their registers. */
#include <chrono>
#include <cstdlib>
#include <thread>

#include "tests/fake/fake_vcpus.h"

void xpv_fake_stall(unsigned int microseconds)
{
	std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
}

void xpv_fake_timer_stop()
{
}

void xpv_fake_vcpu_enter(xpv_vcpu, const vcpu_hvm_context *)
{
	std::abort();
}
