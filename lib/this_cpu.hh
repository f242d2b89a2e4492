/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * This CPU's own data for a handful of instructions, without a call: what a
 * data path can pay where IrqsOffGuard and xpv_cpu_this() cost more than all
 * that is done between them. In user space there is neither, and the shim's
 * stand-ins are called.
 */
#pragma once

#include "lib/shim.h"

namespace xpv {

/*
 * Irqs off. Nothing is called meanwhile, no lock taken: lockdep and the
 * tracers are not told. Only where the vCPU's own interrupt flag counts, that
 * is not in a PV domain.
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
/* A per-CPU pointer that C defines with DEFINE_PER_CPU(), with preemption or irqs off. */
template <typename T>
inline T *this_cpu_read(T *const &variable)
{
	T *value;
	asm volatile("movq %%gs:%P1, %0" : "=r"(value) : "m"(variable));
	return value;
}
#endif

} // namespace xpv
