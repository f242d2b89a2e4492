// SPDX-License-Identifier: GPL-2.0-only
/* This module's part in a suspend. */
#include "hypervisor/suspend_part.h"

#include "lib/log.hh"
#include "xenbus/linux.h"

using namespace xpv;

namespace xpv {

namespace {

int prepare(uint64_t deadline_ms)
{
	if (int error = xpv_bus_hold(deadline_ms))
		return error;
	int error = xpv_store_pause(deadline_ms);
	if (error)
		xpv_bus_go_on();
	return error;
}

void abandon()
{
	xpv_store_unpause();
	xpv_bus_go_on();
}

void resume_late(xpv_resume_kind kind)
{
	if (kind == XPV_RESUME_CANCELLED) {
		abandon();
		return;
	}
	/* Mark the devices as restored before any code reads the new xenstore's state of the old devices. */
	xpv_bus_restored();
	if (int error = xpv_store_reconnect())
		XPV_ERR("cannot reconnect to xenstored after the restore (%pe)", err_ptr(error));
	xpv_bus_go_on();
}

} // namespace

} // namespace xpv

constinit xpv_suspend_part xpv_xenbus_suspend_part = {
	.name = "xenstore",
	.layer = XPV_SUSPEND_XENBUS,
	.prepare = prepare,
	.abandon = abandon,
	.suspend_early = nullptr,
	.resume_early = nullptr,
	.resume_cpu = nullptr,
	.resume_late = resume_late,
	.next = nullptr,
	.prepared = false,
};
