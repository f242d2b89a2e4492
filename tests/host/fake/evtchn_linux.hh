/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Linux side of evtchn (evtchn/linux.h) for the host tests: irqs are
 * numbers, the thread of a threaded handler runs at once, and a CPU handles
 * its upcall when the test says so: with deliver_upcalls() if Xen has raised
 * the vector that Linux has for it, with xpv_handle_upcall() in any case.
 */
#pragma once

#include <set>
#include <span>
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
	bool callback = false; /* one vector for all CPUs (upcall=callback), not one for each */
	bool forgets_upcalls = false; /* Xen is not told of any vector after a restore */
};
extern EvtchnLinux evtchn_linux;

/* As after a load: evtchn_linux is cleared, and there are no irqs. */
void reset_evtchn_linux();
unsigned int bound_irqs();

/* Return the vector that Linux has for upcalls of this CPU. */
unsigned int upcall_vector(unsigned int cpu);
/* Return what is registered with Xen for the upcalls of all CPUs. */
uint64_t upcall_via();
/* As a load does: tell Xen how to make the upcalls of these CPUs. */
[[nodiscard]] int register_upcalls(std::span<const unsigned int> cpus);
/* Each of these CPUs handles its upcall, if its vector was raised. */
void deliver_upcalls(std::span<const unsigned int> cpus);

} // namespace fake
