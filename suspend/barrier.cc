// SPDX-License-Identifier: GPL-2.0-only
/*
 * Save each secondary CPU's context, spin until the verdict, and resume the CPU,
 * rebuilt if its vCPU was lost. The master awaits them with a time limit.
 */
#include "suspend/barrier.hh"

#include "hypervisor/hypervisor_owned.h"

namespace xpv {

namespace {

/* One iteration of a wait; the fake hypervisor can stop or lose a vCPU here. */
inline void relax([[maybe_unused]] unsigned int cpu)
{
#ifdef CONFIG_XPV_FAKE_HYPERVISOR
	xpv_fake_vcpu_runs(xpv_vcpu_of_cpu(cpu));
#endif
	asm volatile("pause" ::: "memory");
}

} // namespace

Status Barrier::make()
{
	members_ = XPV_TRY(Array<Member>::make(xpv_cpu_limit(), XPV_MAY_SLEEP));
	return {};
}

void Barrier::reset()
{
	for (Member &member : members_)
		member = {};
	verdict_ = Verdict::hold;
}

/*
 * Wait for the verdict, without a time limit: a CPU that left while the master
 * suspends the domain would break the guest. The master limits the time of all
 * that it does before and after.
 */
inline Verdict Barrier::wait(unsigned int cpu) const
{
	Verdict verdict;
	while ((verdict = load_acquire(verdict_)) == Verdict::hold)
		relax(cpu);
	return verdict;
}

/*
 * A CPU whose vCPU was lost while it waited returns a second time from
 * xpv_context_save(), as if it had never waited. Functions that it had called
 * by then do not return: so the wait has no frame of its own, and this function
 * is not traced.
 */
[[gnu::no_instrument_function, gnu::no_sanitize_address]] void Barrier::pass(unsigned int cpu)
{
#ifdef CONFIG_XPV_FAKE_HYPERVISOR
	xpv_fake_vcpu_runs(xpv_vcpu_of_cpu(cpu));
#endif
	xpv_processor_save(cpu);
	if (xpv_context_save(xpv_processor_context(cpu)) == 0) {
		store_release(members_[cpu].place, at_barrier);
		go_on(cpu, wait(cpu));
	} else {
		xpv_processor_restore(cpu);
		members_[cpu].rebuilt = true;
		go_on(cpu, Verdict::restored);
	}
}

[[gnu::noinline]] void Barrier::go_on(unsigned int cpu, Verdict verdict)
{
	if (verdict == Verdict::restored)
		xpv_suspend_parts_resume_cpu(cpu);
	xpv_processor_go_on(cpu, verdict == Verdict::restored);
	members_[cpu].back_at = xpv_suspend_clock();
	store_release(members_[cpu].place, back);
}

unsigned int Barrier::await(Place place, unsigned int milliseconds) const
{
	uint64_t deadline = xpv_suspend_clock() + milliseconds * 1000000ull;
	unsigned int cpu;
	for (;;) {
		bool timed_out = xpv_suspend_clock() >= deadline;
		int missing = each_secondary(cpu, [&](unsigned int other) {
			return load_acquire(members_[other].place) < place;
		});
		if (!missing)
			return xpv_cpu_limit();
		if (timed_out)
			return cpu;
		relax(0);
	}
}

unsigned int Barrier::rebuilt() const
{
	unsigned int count = 0;
	for (const Member &member : members_)
		count += member.rebuilt;
	return count;
}

} // namespace xpv
