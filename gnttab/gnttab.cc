// SPDX-License-Identifier: GPL-2.0-only
/* The contract's functions, and creation and destruction of the table. */
#include "gnttab/gnttab.h"

#include "gnttab/linux.h"
#include "gnttab/pool.hh"
#include "gnttab/table.hh"
#include "hypervisor/hypervisor.h"
#include "lib/log.hh"

using namespace xpv;

int xpv_gnttab_load()
{
	if (xpv_hypervisor_ready() != XPV_HYPERVISOR_OWNED)
		return -XEN_ENODEV;
	auto table = Table::make();
	if (!table.ok())
		return table.code();
	the_table = table.value().release();
	/* Register with suspend before Xen knows of the table. */
	xpv_suspend_part_register(&xpv_gnttab_suspend_part);
	Status started = the_table->start();
	if (!started.ok()) {
		XPV_ERR("grant table: cannot set it up (%pe)", err_ptr(started.code()));
		xpv_gnttab_unload();
	}
	return started.code();
}

void xpv_gnttab_unload()
{
	xpv_suspend_part_unregister(&xpv_gnttab_suspend_part);
	destroy(std::exchange(the_table, nullptr));
}

int xpv_grant_page(xpv_domid remote, xpv_pfn frame, xpv_grant_access access, xpv_allocation how, xpv_gref *reference)
{
	Table &table = *the_table;
	return table.entries().visit([&](auto entries) {
		if (!entries.grantable(gfn_of(frame))) [[unlikely]]
			return -XEN_ERANGE;
		auto taken = table.take(reference, 1, how);
		if (!taken.ok()) [[unlikely]]
			return taken.code();
		entries.permit(*reference, remote, gfn_of(frame), access);
		return 0;
	});
}

int xpv_grant_pages(xpv_domid remote, xpv_grant_access access, xpv_allocation how, const xpv_pfn *frames,
		    unsigned int count, xpv_gref *references)
{
	Table &table = *the_table;
	return table.entries().visit([&](auto entries) {
		if (!all_grantable(entries, frames, count))
			return -XEN_ERANGE;
		auto taken = table.take(references, count, how);
		if (!taken.ok())
			return taken.code();
		for (unsigned int i = 0; i < count; i++)
			entries.permit(references[i], remote, gfn_of(frames[i]), access);
		return 0;
	});
}

int xpv_grant_try_revoke(xpv_gref reference)
{
	Table &table = *the_table;
	switch (table.revoke(reference)) {
		[[likely]] case Revocation::done : table.give_back(reference);
		return 0;
	case Revocation::no_entry:
		return 0;
	case Revocation::still_mapped:
		return -XEN_EBUSY;
	case Revocation::nothing_granted:
		break;
	}
	return -XEN_EINVAL;
}

namespace {

/* Revoke the reference; return whether it is still mapped. Logs an error if nothing was granted. */
bool still_mapped_after_revoking(xpv_gref reference)
{
	int code = xpv_grant_try_revoke(reference);
	if (code == -XEN_EINVAL)
		XPV_ERR_LIMITED("grant reference %u: cannot revoke it, it is not granted", reference.value);
	return code == -XEN_EBUSY;
}

} // namespace

unsigned int xpv_grant_revoke_pages(xpv_gref *references, unsigned int count)
{
	unsigned int still_mapped = 0;
	for (unsigned int i = 0; i < count; i++) {
		xpv_gref reference = references[i];
		if (still_mapped_after_revoking(reference))
			references[still_mapped++] = reference;
	}
	return still_mapped;
}

void xpv_grant_revoke_and_free(const xpv_gref *references, unsigned int count, void *pages, unsigned int order)
{
	/* One set for all references that are left, because the pages are freed together. */
	constexpr unsigned int most = 64;
	xpv_gref left[most];
	unsigned int still_mapped = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (!still_mapped_after_revoking(references[i]))
			continue;
		if (still_mapped < most)
			left[still_mapped] = references[i];
		still_mapped++;
	}
	if (still_mapped == 0) {
		xpv_pages_free(pages, order);
		return;
	}
	if (still_mapped > most) {
		/* More pages than a ring can have: leak them, so that they are not reused. */
		the_table->lost(still_mapped);
		XPV_ERR_LIMITED("%u grant references of one allocation are still mapped by the other domain, leaking its pages",
				still_mapped);
		return;
	}
	ParkedPages parked = {};
	parked.pages = pages;
	parked.order = order;
	the_table->parking().park(left, still_mapped, parked);
}

void xpv_grant_park(const xpv_gref *references, unsigned int count)
{
	the_table->parking().park(references, count, {});
}

int xpv_grant_wait(xpv_grant_waiter *waiter, unsigned int references)
{
	return the_table->wait(*waiter, references).code();
}

void xpv_grant_wait_cancel(xpv_grant_waiter *waiter)
{
	the_table->waiters().cancel(*waiter);
}

void xpv_grant_get_counts(xpv_grant_counts *counts)
{
	*counts = the_table->counts();
}

bool xpv_gnttab_describe_pool(unsigned int index, xpv_gnttab_pool_line *line)
{
	return the_table->describe_pool(index, *line);
}
