/* SPDX-License-Identifier: GPL-2.0-only */
/* The interrupts that the fake hypervisor raised, and which no CPU has taken yet. */
#pragma once

#include "lib/types.h"

namespace fake {

/* Whether this vector was raised on this vCPU; it is taken with that. */
bool take_interrupt(xpv_vcpu vcpu, unsigned int vector);
void forget_interrupts();

} // namespace fake
