/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The 2-level ABI (xen.h: struct shared_info): a bit a port in evtchn_pending
 * and evtchn_mask, and for each vCPU a word that says in which words of
 * evtchn_pending to look.
 *
 * Any CPU sees all pending bits, so each has a bitmap of the ports that are
 * its own: without it two CPUs could handle one event at the same time.
 */
#pragma once

#include "lib/xen.hh"

#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "lib/result.hh"
#include "lib/types.h"

namespace xpv {

class TwoLevel {
public:
	static constexpr unsigned int ports = 64 * 64;
	using Bitmap = unsigned long[ports / 64];

	/* Masks every port. */
	[[nodiscard]] Status start();
	void mask_all();

	/* Each in any context; callers serialise those of one port, but clear(). */
	void clear(Port port);
	void mask(Port port);
	void unmask(Port port);
	[[nodiscard]] Status move(Port port, unsigned int cpu);

	/* Calls handle(Port) for each event of this CPU; false when there was none. Irqs off. */
	template <typename Handle>
	bool scan(unsigned int cpu, vcpu_info &info, Handle handle);

private:
	::shared_info *shared_ = nullptr;
	Array<Bitmap *> mine_; /* by CPU; all in one allocation */
	Array<unsigned long> storage_;
};

template <typename Handle>
bool TwoLevel::scan(unsigned int cpu, vcpu_info &info, Handle handle)
{
	bool any = false;
	Bitmap &mine = *mine_[cpu];

	/* Again until none came while we looked: Xen raises the upcall only when this is 0. */
	while (read_once(info.evtchn_upcall_pending)) {
		any = true;
		write_once(info.evtchn_upcall_pending, 0);
		/* The exchange also orders the write above before the look at what is pending. */
		unsigned long words = exchange(info.evtchn_pending_sel, 0);
		while (words) {
			auto word = static_cast<unsigned int>(__builtin_ctzl(words));
			words &= words - 1;
			unsigned long bits = read_once(shared_->evtchn_pending[word]) &
					     ~read_once(shared_->evtchn_mask[word]) & read_once(mine[word]);
			while (bits) {
				auto bit = static_cast<unsigned int>(__builtin_ctzl(bits));
				bits &= bits - 1;
				handle(Port{ word * 64 + bit });
			}
		}
	}
	return any;
}

} // namespace xpv
