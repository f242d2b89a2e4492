// SPDX-License-Identifier: GPL-2.0-only
/* Lent pages, page table entries and TLB flushes, kept where a test can read and change them. */
#include "tests/host/fake/hypervisor.hh"

#include <iterator>
#include <set>

#include "hypervisor/hypervisor.h"
#include "lib/shim.h"

/* For those above this module: there is a Xen, the fake one. */
xpv_hypervisor_owner xpv_hypervisor_ready()
{
	return XPV_HYPERVISOR_OWNED;
}

/* ---- Lent pages: reachable to the end, so that the leak check does not report them ---- */

std::function<void()> fake::on_lend;

static std::set<void *> lent;

void *xpv_lent_alloc(unsigned int order)
{
	if (fake::on_lend)
		fake::on_lend();
	void *pages = xpv_pages_alloc(order, XPV_MAY_SLEEP);
	if (pages)
		lent.insert(pages);
	return pages;
}

void *xpv_lent_find(xpv_gfn frame, unsigned int)
{
	auto *pages = reinterpret_cast<void *>(frame.value << 12);
	return lent.contains(pages) ? pages : nullptr;
}

void xpv_lent_free(void *pages, unsigned int order)
{
	lent.erase(pages);
	xpv_pages_free(pages, order);
}

unsigned int fake::unplugs;

void xpv_unplug_again(void)
{
	fake::unplugs++;
}

std::size_t fake::lent_allocations()
{
	return lent.size();
}

/* ---- Page tables and TLBs ---- */

fake::Ranges fake::ranges;
std::atomic<unsigned int> fake::flushes;
void (*fake::on_flush)();

uint64_t &fake::entry_at(const void *address)
{
	auto at = reinterpret_cast<uintptr_t>(address);
	auto range = std::prev(ranges.live.upper_bound(at));
	return range->second.entries.at((at - range->first) / 4096);
}

bool xpv_address_range_make(unsigned int pages, xpv_address_range *range)
{
	if (fake::ranges.out_of_space)
		return false;
	range->placeholder = xpv_pages_alloc(0, XPV_MAY_SLEEP);
	range->address = reinterpret_cast<void *>(fake::ranges.next);
	uint64_t entry = xpv_pages_gfn(range->placeholder).value << 12 | fake::ranges.placeholder_bits;
	fake::ranges.live[fake::ranges.next].entries.assign(pages, entry);
	fake::ranges.next += (pages + 1) * 4096ul;
	return true;
}

void xpv_address_range_free(const xpv_address_range *range)
{
	fake::ranges.live.erase(reinterpret_cast<uintptr_t>(range->address));
	xpv_pages_free(range->placeholder, 0);
}

uint64_t *xpv_pte_lookup(const void *address)
{
	return &fake::entry_at(address);
}

uint64_t xpv_pte_supported_mask(void)
{
	return ~uint64_t{ 0 };
}

void xpv_flush_tlb_everywhere(void)
{
	if (fake::on_flush)
		fake::on_flush();
	fake::flushes++;
}
