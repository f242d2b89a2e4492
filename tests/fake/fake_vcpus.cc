// SPDX-License-Identifier: GPL-2.0-only
/* Park a vCPU that is down, let it lose its state at a suspend, and enter it as VCPUOP_initialise set it. */
#include "tests/fake/fake_vcpus.hh"

#include "hypervisor/hypercall.hh"
#include "lib/ordering.hh"
#include "tests/fake/fake_vcpus.h"

namespace xpv {

namespace {

constexpr unsigned int max_vcpus = 8;
/* A vCPU that is down stops at its next xpv_fake_vcpu_runs(); nobody waits longer for it. */
constexpr unsigned int park_us = 10 * 1000 * 1000;

struct FakeVcpu {
	bool down;
	bool parked; /* its CPU is inside xpv_fake_vcpu_runs() */
	bool lost; /* not initialised */
	bool fresh; /* initialised since it ran last */
	unsigned int delay_us;
	vcpu_hvm_context context;
};

struct Vcpus {
	FakeVcpu vcpus[max_vcpus];
	xpv_fake_vcpu_counts counts;
	int result;
	bool keep;
	bool lose_timers;
	void (*meanwhile)(void);
};

constinit Vcpus state = {};

/* Xen's checks (arch_set_info_hvm_guest()). */
bool valid(const vcpu_hvm_context &context)
{
	constexpr uint64_t cr0_pg = 1ull << 31, cr4_pae = 1 << 5, cr4_pcide = 1 << 17, efer_lme = 1 << 8;
	const vcpu_hvm_x86_64 &registers = context.cpu_regs.x86_64;
	bool canonical = static_cast<int64_t>(registers.rip << 7) >> 7 == static_cast<int64_t>(registers.rip);
	return context.mode == VCPU_HVM_MODE_64B && !context.pad && canonical && (registers.cr0 & cr0_pg) &&
	       (registers.cr4 & cr4_pae) && !(registers.cr4 & cr4_pcide) && (registers.efer & efer_lme) &&
	       !(registers.cr3 & 0xfff);
}

bool others_up(uint32_t vcpu)
{
	/* vCPU 0 is never put down here. */
	return vcpu != 0;
}

} // namespace

void fake_vcpus_reset()
{
	__builtin_memset(static_cast<void *>(&state), 0, sizeof(state));
}

long fake_vcpu_op(unsigned int command, uint32_t number, unsigned long argument)
{
	if (number >= max_vcpus)
		return -XEN_ENOENT;
	FakeVcpu &vcpu = state.vcpus[number];
	switch (command) {
	case VCPUOP_down:
		if (!others_up(number))
			return -XEN_EINVAL;
		fetch_add(state.counts.downs, 1u);
		store_release(vcpu.down, true);
		return 0;
	case VCPUOP_up:
		if (vcpu.lost)
			return -XEN_EINVAL;
		fetch_add(state.counts.ups, 1u);
		store_release(vcpu.down, false);
		return 0;
	case VCPUOP_initialise:
		if (!vcpu.lost)
			return -XEN_EEXIST;
		vcpu.context = *reinterpret_cast<vcpu_hvm_context *>(argument);
		if (!valid(vcpu.context))
			return -XEN_EINVAL;
		fetch_add(state.counts.initialisations, 1u);
		vcpu.lost = false;
		vcpu.fresh = true;
		return 0;
	}
	return -XEN_ENOSYS;
}

long fake_sched_op(unsigned int command, unsigned long argument)
{
	if (command != SCHEDOP_shutdown || reinterpret_cast<sched_shutdown *>(argument)->reason != SHUTDOWN_suspend)
		return -XEN_ENOSYS;
	state.counts.suspends++;
	for (FakeVcpu &vcpu : state.vcpus) {
		for (unsigned int waited = 0; vcpu.down && !load_acquire(vcpu.parked) && waited < park_us; waited += 10)
			xpv_fake_stall(10);
		if (vcpu.down && !vcpu.parked)
			return -XEN_EBUSY;
	}
	if (state.meanwhile)
		state.meanwhile();
	for (FakeVcpu &vcpu : state.vcpus)
		vcpu.lost = state.result == 0 && vcpu.down && !state.keep;
	return state.result;
}

} // namespace xpv

extern "C" {

void xpv_fake_vcpu_runs(struct xpv_vcpu number)
{
	using namespace xpv;

	FakeVcpu &vcpu = state.vcpus[number.value % max_vcpus];
	if (state.lose_timers)
		xpv_fake_timer_stop();
	if (unsigned int delay = exchange(vcpu.delay_us, 0u))
		xpv_fake_stall(delay);
	if (!load_acquire(vcpu.down))
		return;
	store_release(vcpu.parked, true);
	while (load_acquire(vcpu.down))
		asm volatile("pause" ::: "memory");
	store_release(vcpu.parked, false);
	if (exchange(vcpu.fresh, false))
		xpv_fake_vcpu_enter(number, &vcpu.context);
}

void xpv_fake_vcpu_delay(struct xpv_vcpu vcpu, unsigned int microseconds)
{
	xpv::state.vcpus[vcpu.value % xpv::max_vcpus].delay_us = microseconds;
}

void xpv_fake_lose_timers(bool lose)
{
	xpv::state.lose_timers = lose;
}

void xpv_fake_suspend_result(int result, bool keep, void (*meanwhile)(void))
{
	xpv::state.result = result;
	xpv::state.keep = keep;
	xpv::state.meanwhile = meanwhile;
}

struct xpv_fake_vcpu_counts xpv_fake_count_vcpu_calls(void)
{
	return xpv::state.counts;
}

unsigned int xpv_fake_vcpus_down(void)
{
	unsigned int down = 0;
	for (const xpv::FakeVcpu &vcpu : xpv::state.vcpus)
		down += vcpu.down;
	return down;
}

} /* extern "C" */
