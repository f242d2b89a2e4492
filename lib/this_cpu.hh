/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Access to this CPU's own data in a few instructions, without a function call:
 * for a data path where IrqsOffGuard and xpv_cpu_this() cost more than the work
 * between them. User space (tests/host) can neither disable irqs nor read per-CPU
 * data, and calls the shim instead.
 */
#pragma once

#include "lib/shim.h"

namespace xpv {

/*
 * Disable irqs for the scope, without a call to lockdep or the tracers. Call no
 * function and take no lock in the scope. Only where the vCPU's own interrupt
 * flag is effective, which it is not in a PV domain.
 */
class [[nodiscard]] RawIrqsOffGuard {
public:
	RawIrqsOffGuard()
	{
#ifdef __KERNEL__
		asm volatile("pushfq; popq %0; cli" : "=r"(flags_) : : "memory");
#else
		flags_ = xpv_irqs_off();
#endif
	}
	~RawIrqsOffGuard()
	{
#ifdef __KERNEL__
		if (flags_ & interrupt_flag)
			asm volatile("sti" : : : "memory");
#else
		xpv_irqs_restore(flags_);
#endif
	}
	RawIrqsOffGuard(const RawIrqsOffGuard &) = delete;
	RawIrqsOffGuard &operator=(const RawIrqsOffGuard &) = delete;

private:
	static constexpr unsigned long interrupt_flag = 1ul << 9;
	unsigned long flags_;
};

#ifdef __KERNEL__
/* Read a per-CPU pointer that C code defines with DEFINE_PER_CPU(). Preemption or irqs off. */
template <typename T>
inline T *this_cpu_read(T *const &variable)
{
	T *value;
	asm volatile("movq %%gs:%P1, %0" : "=r"(value) : "m"(variable));
	return value;
}
#endif

} // namespace xpv
