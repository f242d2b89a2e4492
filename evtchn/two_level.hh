/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The 2-level ABI (xen.h: struct shared_info): one bit for each port in
 * evtchn_pending and evtchn_mask, and for each vCPU a word that selects the words
 * of evtchn_pending to scan.
 *
 * Every CPU sees all pending bits, so each has a bitmap of its own ports: without
 * it two CPUs could handle one event at the same time.
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

	/* Allocate the bitmaps, and mask every port. ENOMEM. */
	[[nodiscard]] Status start();
	/* Sleeping context; callers serialise. Nothing to do: there is room for every CPU and every port. */
	[[nodiscard]] Status add_cpu(unsigned int) { return {}; }
	[[nodiscard]] Status add_port(Port) { return {}; }

	/* Mask every port in a restored domain, and assign no port to a CPU. Cannot fail. */
	void restore();
	[[nodiscard]] bool has_room(Port port) const { return port.value < ports; }

	void mask_all();
	/* Each of the following in any context; callers serialise those of one port. */
	void mask(Port port);
	void unmask(Port port);
	/* Let this CPU handle the port's events from now on. The port must be masked. */
	void assign(Port port, unsigned int cpu);
	/* Bind the port to the CPU's vCPU in Xen (EVTCHNOP_bind_vcpu), and assign() it. The port must be masked. */
	[[nodiscard]] Status move(Port port, unsigned int cpu);
	[[nodiscard]] bool pending(Port port) const { return test_bit(port.value, shared_->evtchn_pending); }
	[[nodiscard]] bool masked(Port port) const { return test_bit(port.value, shared_->evtchn_mask); }
	void set_pending(Port port) { set_bit(port.value, shared_->evtchn_pending); }
	/* Raise the port again on its vCPU. The port must be pending and not masked. */
	void raise(Port port);
	/* This ABI has no priorities. */
	[[nodiscard]] Status set_priority(Port, unsigned int) { return Error(XEN_ENOSYS); }

	/*
	 * Discard the upcalls that Xen raised on a CPU's vCPU, when the CPU does not
	 * get upcalls yet or any more. The events stay pending, to be raised.
	 */
	void forget(unsigned int cpu);

	/*
	 * Call handle(Port) for each pending event of this CPU, after clearing it.
	 * Return false when no upcall was pending. Irqs off.
	 */
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

	/* Repeat until no event came during the scan: Xen raises the upcall only when this is 0. */
	while (read_once(info.evtchn_upcall_pending)) {
		any = true;
		write_once(info.evtchn_upcall_pending, 0);
		/* The exchange also orders the write above before the reads of the pending bits. */
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
