/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The barrier at which all CPUs but Linux's CPU 0 wait, irqs off, while the
 * domain is suspended. CPU 0 is the master: it alone decides when and how the
 * others resume. Each of them reports when it has arrived and when it is back.
 */
#pragma once

#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "suspend/linux.h"

namespace xpv {

/* How the CPUs leave the barrier; written by the master, once per suspend. */
enum class Verdict : uint32_t {
	hold,
	aborted, /* no suspend took place */
	cancelled,
	restored,
};

class Barrier {
public:
	/* Allocate memory for every possible CPU. Sleeping context. */
	[[nodiscard]] Status make();
	/* Prepare the barrier for the next suspend. */
	void reset();

	/* Run a secondary CPU from its arrival until it is back: in xpv_stop_machine(). */
	void pass(unsigned int cpu);

	/* ---- For the master ---- */

	/*
	 * Wait for all CPUs to arrive. Return the lowest that has not after
	 * `milliseconds`, or else xpv_cpu_limit().
	 */
	[[nodiscard]] unsigned int await_arrival(unsigned int milliseconds) const
	{
		return await(at_barrier, milliseconds);
	}
	void decide(Verdict verdict) { store_release(verdict_, verdict); }
	/* Wait likewise for those that were at the barrier to be back. */
	[[nodiscard]] unsigned int await_return(unsigned int milliseconds) const { return await(back, milliseconds); }

	/* Return when the CPU was back; 0: not in this suspend. */
	[[nodiscard]] uint64_t back_at(unsigned int cpu) const
	{
		return cpu < members_.size() ? members_[cpu].back_at : 0;
	}
	/* Return how many CPUs were rebuilt. Once all are back. */
	[[nodiscard]] unsigned int rebuilt() const;

	/*
	 * Call action(cpu) for each secondary CPU until one returns an error;
	 * return that, with its CPU in `cpu`. In xpv_stop_machine().
	 */
	template <typename Action>
	[[nodiscard]] static int each_secondary(unsigned int &cpu, const Action &action)
	{
		for (cpu = 1; cpu < xpv_cpu_limit(); cpu++) {
			if (!xpv_cpu_is_online(cpu))
				continue;
			if (int error = action(cpu))
				return error;
		}
		return 0;
	}

private:
	enum Place : uint32_t { absent, at_barrier, back };

	/* Written by its CPU only, but for reset(). */
	struct Member {
		Place place;
		bool rebuilt;
		uint64_t back_at;
	};

	[[nodiscard]] unsigned int await(Place place, unsigned int milliseconds) const;
	[[nodiscard]] Verdict wait(unsigned int cpu) const;
	void go_on(unsigned int cpu, Verdict verdict);

	Verdict verdict_ = Verdict::hold;
	Array<Member> members_;
};

} // namespace xpv
