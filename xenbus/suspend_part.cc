// SPDX-License-Identifier: GPL-2.0-only
/* This module's part in a suspend. */
#include "hypervisor/suspend_part.h"

#include "lib/log.hh"
#include "xenbus/bus.hh"
#include "xenbus/store.hh"

namespace xpv {

namespace {

int prepare()
{
	store().client.hold();
	return 0;
}

void abandon()
{
	store().client.release();
}

void suspend_early()
{
	store().client.leave();
}

void resume_late(xpv_resume_kind kind)
{
	if (kind == XPV_RESUME_RESTORED) {
		Status connected = restore_connection();
		if (!connected.ok())
			XPV_ERR("no connection to the store after a restore: error %d", connected.error().number());
		/* Before anybody acts on what the new store says of the old devices. */
		xpv_bus_restored();
	}
	store().client.release();
}

constinit xpv_suspend_part part = {
	.name = "xenstore",
	.layer = XPV_SUSPEND_XENBUS,
	.prepare = prepare,
	.abandon = abandon,
	.suspend_early = suspend_early,
	.resume_early = nullptr,
	.resume_cpu = nullptr,
	.resume_late = resume_late,
	.next = nullptr,
	.prepared = false,
};

} // namespace

} // namespace xpv

void xpv_xenbus_suspend_start(void)
{
	xpv_suspend_part_register(&xpv::part);
}

void xpv_xenbus_suspend_stop(void)
{
	xpv_suspend_part_unregister(&xpv::part);
}
