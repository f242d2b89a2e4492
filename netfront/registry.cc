// SPDX-License-Identifier: GPL-2.0-only
#include "netfront/registry.hh"

#include "lib/guard.hh"

using namespace xpv;

namespace {

struct Registry {
	Mutex mutex;
	List<xpv_vif> vifs XPV_GUARDED_BY(mutex);
};

constinit Registry registry;

} // namespace

void xpv::registry_add(xpv_vif &vif)
{
	MutexGuard guard(registry.mutex);
	registry.vifs.push_back(vif);
}

void xpv::registry_remove(xpv_vif &vif)
{
	MutexGuard guard(registry.mutex);
	vif.unlink();
}

void xpv_vifs_start(void)
{
	registry.mutex.init("xpv netfront registry"_lock);
}

void xpv_vifs_show(xpv_debug_sink *sink)
{
	xpv_debug_print(sink, "%-12s %-24s %-12s %6s %s\n", "INTERFACE", "DEVICE", "STATE", "QUEUES", "RSS");
	MutexGuard guard(registry.mutex);
	for (const xpv_vif &vif : registry.vifs)
		vif.show(sink);
}
