// SPDX-License-Identifier: GPL-2.0-only
/* This module's part in a suspend. */
#include "evtchn/channels.hh"
#include "evtchn/linux.h"
#include "hypervisor/suspend_part.h"

using namespace xpv;

namespace xpv {

namespace {

int prepare(uint64_t)
{
	Status made = channels->prepare();
	return made.ok() ? xpv_ports_prepare() : made.code();
}

void suspend_early()
{
	channels->save_pending();
}

/* Try all three steps; return the first error. */
int resume_early(xpv_resume_kind kind)
{
	if (kind != XPV_RESUME_RESTORED)
		return 0;
	int ports = xpv_ports_restore();
	int bound = channels->restore().code();
	int upcalls = xpv_upcalls_restore();
	return ports ? ports : bound ? bound : upcalls;
}

int resume_cpu(unsigned int cpu)
{
	return xpv_upcall_restore_cpu(cpu);
}

void resume_late(xpv_resume_kind kind)
{
	xpv_ports_resume_done();
	/* Setting the vector of a vCPU raises its pending events. Raise them here for a vCPU where that failed. */
	if (kind == XPV_RESUME_RESTORED)
		raise_pending();
}

} // namespace

} // namespace xpv

constinit xpv_suspend_part xpv_evtchn_suspend_part = {
	.name = "event channels",
	.layer = XPV_SUSPEND_EVTCHN,
	.prepare = prepare,
	.abandon = xpv_ports_resume_done,
	.suspend_early = suspend_early,
	.resume_early = resume_early,
	.resume_cpu = resume_cpu,
	.resume_late = resume_late,
	.next = nullptr,
	.prepared = false,
};
