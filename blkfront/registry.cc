// SPDX-License-Identifier: GPL-2.0-only
/* Keep the list under a mutex, and print the table from it. */
#include "blkfront/registry.hh"

#include "lib/guard.hh"

using namespace xpv;

namespace {

struct Registry {
	Mutex mutex;
	List<xpv_vbd> vbds XPV_GUARDED_BY(mutex);
};

constinit Registry registry;

} // namespace

void xpv::registry_add(xpv_vbd &vbd)
{
	MutexGuard guard(registry.mutex);
	registry.vbds.push_back(vbd);
}

void xpv::registry_remove(xpv_vbd &vbd)
{
	MutexGuard guard(registry.mutex);
	vbd.unlink();
}

void xpv_vbds_start()
{
	registry.mutex.init("xpv blkfront registry"_lock);
}

void xpv_vbds_show(xpv_debug_sink *sink)
{
	xpv_debug_print(sink, "%-8s %-24s %-12s %12s %9s\n", "DISK", "DEVICE", "STATE", "SECTORS", "IN FLIGHT");
	MutexGuard guard(registry.mutex);
	for (const xpv_vbd &vbd : registry.vbds)
		vbd.show(sink);
}
