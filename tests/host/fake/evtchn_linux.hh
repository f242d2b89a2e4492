/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Linux side of evtchn (evtchn/linux.h) for the host tests: irqs are
 * numbers, each CPU has an upcall that the test makes with xpv_upcall(), and
 * the thread of a threaded handler runs at once.
 */
#pragma once

#include <set>
#include <vector>

#include "evtchn/linux.h"

/* A user of /dev/xen/evtchn. */
struct xpv_event_node {
	unsigned int wakes = 0;
};

namespace fake {

struct EvtchnLinux {
	std::set<unsigned int> unreached; /* CPUs that get no upcalls */
	std::vector<unsigned int> vectors_told; /* vCPUs whose vector was set by a restore, but for vCPU 0 */
	std::vector<unsigned int> backoffs_ms;
	bool event_while_bound = false; /* an event is there before the opener returns */
};
extern EvtchnLinux evtchn_linux;

/* As after a load: evtchn_linux is cleared, and there are no irqs. */
void reset_evtchn_linux();
unsigned int bound_irqs();

} // namespace fake
