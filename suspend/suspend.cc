// SPDX-License-Identifier: GPL-2.0-only
/* This version cannot suspend, and says so to whoever asks. */
#include "suspend/suspend.h"

#include "lib/result.hh"
#include "lib/shim.h"

int xpv_suspend(char *reason, unsigned int reason_size)
{
	xpv_format(reason, reason_size, "not implemented");
	return -XEN_EOPNOTSUPP;
}

bool xpv_suspend_supported(void)
{
	return false;
}
