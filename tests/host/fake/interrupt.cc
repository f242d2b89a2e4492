// SPDX-License-Identifier: GPL-2.0-only
/* Record each raised vector once for its vCPU, until it is taken or forgotten. */
#include "tests/host/fake/interrupt.hh"

#include <mutex>
#include <set>
#include <utility>

#include "tests/fake/fake_hypervisor.h"

static std::mutex mutex;
static std::set<std::pair<uint32_t, unsigned int>> raised;

void xpv_fake_interrupt(xpv_vcpu vcpu, unsigned int vector)
{
	std::lock_guard guard(mutex);
	raised.emplace(vcpu.value, vector);
}

bool fake::take_interrupt(xpv_vcpu vcpu, unsigned int vector)
{
	std::lock_guard guard(mutex);
	return raised.erase({ vcpu.value, vector }) != 0;
}

void fake::forget_interrupts()
{
	std::lock_guard guard(mutex);
	raised.clear();
}
