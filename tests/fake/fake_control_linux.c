// SPDX-License-Identifier: GPL-2.0-only
/* In the place of suspend/control*: the Xen in a box has no store, and so no toolstack that asks. */
#include "suspend/linux.h"

int xpv_control_linux_start(void)
{
	return 0;
}

void xpv_control_linux_stop(void)
{
}
