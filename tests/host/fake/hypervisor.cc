// SPDX-License-Identifier: GPL-2.0-only
/* Linux's side of the hypervisor module, for those above it: there is a Xen, the fake one. */
#include "hypervisor/hypervisor.h"

xpv_hypervisor_owner xpv_hypervisor_ready()
{
	return XPV_HYPERVISOR_OWNED;
}
