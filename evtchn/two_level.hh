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
	/* Sleeping; callers serialise. Nothing to do here: every CPU and port has its place. */
	[[nodiscard]] Status add_cpu(unsigned int) { return {}; }
	[[nodiscard]] Status add_port(Port) { return {}; }

	/* In a new domain: likewise, and no port is any CPU's. Nothing of it can fail. */
	void restore();
	[[nodiscard]] bool has_room(Port port) const { return port.value < ports; }

	void mask_all();
	/* Each in any context; callers serialise those of one port. */
	void mask(Port port);
	void unmask(Port port);
	/* From now on this CPU takes the port's events; move() tells Xen so. The port must be masked. */
	void assign(Port port, unsigned int cpu);
	[[nodiscard]] Status move(Port port, unsigned int cpu);
	[[nodiscard]] bool pending(Port port) const { return test_bit(port.value, shared_->evtchn_pending); }
	[[nodiscard]] bool masked(Port port) const { return test_bit(port.value, shared_->evtchn_mask); }
	void set_pending(Port port) { set_bit(port.value, shared_->evtchn_pending); }
	/* Tell its vCPU, anew, of a port that is pending and not masked. */
	void raise(Port port);
	/* This ABI has no priorities. */
	[[nodiscard]] Status set_priority(Port, unsigned int) { return Error(XEN_ENOSYS); }

	/*
	 * For a CPU that takes no upcalls, because it does not yet or no longer:
	 * forget that its vCPU was told of events. They stay pending, to be raised.
	 */
	void forget(unsigned int cpu);

	/* Calls handle(Port) for each event of this CPU, cleared before; false when there was none. Irqs off. */
	template <typename Handle>
	bool scan(unsigned int cpu, vcpu_info &info, Handle handle);

private:
	::shared_info *shared_ = nullptr;
	Array<Bitmap> mine_; /* by CPU */
};

template <typename Handle>
bool TwoLevel::scan(unsigned int cpu, vcpu_info &info, Handle handle)
{
	bool any = false;
	Bitmap &mine = mine_[cpu];

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
				clear_bit(word * 64 + bit, shared_->evtchn_pending);
				handle(Port{ word * 64 + bit });
			}
		}
	}
	return any;
}

} // namespace xpv
