/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where all CPUs but Linux's CPU 0 wait, irqs off, while the domain is
 * suspended. CPU 0 is the master: it alone decides when and how the others
 * go on, and each of them tells it when it is there and when it is back.
 */
#pragma once

#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "suspend/linux.h"

namespace xpv {

/* How the CPUs leave; written by the master, once a suspend. */
enum class Verdict : uint32_t {
	hold,
	aborted, /* no suspend took place */
	cancelled,
	restored,
};

class Barrier {
public:
	/* Room for every possible CPU. Sleeping context. */
	[[nodiscard]] Status make();
	void reset();

	/* A secondary CPU, from its arrival until it is back: in xpv_stop_machine(). */
	void pass(unsigned int cpu);

	/* ---- The master's ---- */

	/* The lowest CPU that is not there after `milliseconds`; none: xpv_cpu_limit(). */
	[[nodiscard]] unsigned int await_arrival(unsigned int milliseconds) const
	{
		return await(at_barrier, milliseconds);
	}
	void decide(Verdict verdict) { store_release(verdict_, verdict); }
	/* Likewise, of those that were at the barrier. */
	[[nodiscard]] unsigned int await_return(unsigned int milliseconds) const { return await(back, milliseconds); }

	/* When the CPU was back; 0: not in this suspend. */
	[[nodiscard]] uint64_t back_at(unsigned int cpu) const
	{
		return cpu < members_.size() ? members_[cpu].back_at : 0;
	}
	/* CPUs that came back rebuilt. Once all are back. */
	[[nodiscard]] unsigned int rebuilt() const;

	/* action(cpu) for each secondary CPU until one gives an error, which is returned with its number. In xpv_stop_machine(). */
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

	/* Written by its CPU alone. */
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
