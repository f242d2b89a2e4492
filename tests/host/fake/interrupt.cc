// SPDX-License-Identifier: GPL-2.0-only
/* Upcalls go nowhere, in programs that have no handler for them. */
#include "tests/fake/fake_hypervisor.h"

void xpv_fake_interrupt(xpv_vcpu, unsigned int)
{
}
