// SPDX-License-Identifier: GPL-2.0-only
#include "hypervisor/window.h"

#include "hypervisor/linux.h"
#include "hypervisor/pte.hh"
#include "lib/log.hh"
#include "lib/memory.hh"

/*
 * The range comes from Linux with its page tables made and a placeholder in
 * every page, which is swapped out at once. Changes are not serialised among
 * each other: the compare-and-swap is what decides.
 */
struct xpv_window {
	xpv_address_range range;
	unsigned int pages;
	xpv::Array<xpv::KernelPte> shown; /* what we put there */

	[[nodiscard]] char *page(unsigned int index) const
	{
		return static_cast<char *>(range.address) + index * xpv::page_size;
	}
	[[nodiscard]] uint64_t *entry(unsigned int index) const
	{
		return reinterpret_cast<uint64_t *>(xpv_pte_lookup(page(index)));
	}
	[[nodiscard]] xpv::Status change(unsigned int index, xpv::KernelPte to)
	{
		uint64_t *pte = entry(index);
		if (!pte || !xpv::change_pte(*pte, shown[index], to))
			return xpv::Error(XEN_EIO);
		shown[index] = to;
		return {};
	}
};

namespace xpv {

namespace {

Status clear_placeholders(xpv_window &window)
{
	Pfn placeholder = { xpv_pages_gfn(window.range.placeholder).value };
	for (unsigned int i = 0; i < window.pages; i++) {
		uint64_t *pte = window.entry(i);
		if (!pte)
			return Error(XEN_EIO);
		window.shown[i] = KernelPte::read(*pte);
		if (!(window.shown[i].frame() == placeholder) || window.shown[i].user())
			return Error(XEN_EIO);
		XPV_TRY(window.change(i, KernelPte()));
	}
	xpv_flush_tlb_everywhere();
	return {};
}

Result<xpv_window *> create_window(unsigned int pages)
{
	auto window = XPV_TRY(make<xpv_window>(XPV_MAY_SLEEP));
	window->pages = pages;
	window->shown = XPV_TRY(Array<KernelPte>::make(pages, XPV_MAY_SLEEP));
	if (!xpv_address_range_make(pages, &window->range))
		return Error(XEN_ENOMEM);
	if (Status cleared = clear_placeholders(*window); !cleared.ok()) {
		XPV_ERR("kernel page tables are not as expected");
		xpv_address_range_free(&window->range);
		return cleared.error();
	}
	return window.release();
}

} // namespace

} // namespace xpv

extern "C" {

struct xpv_window *xpv_window_create(unsigned int pages)
{
	auto made = xpv::create_window(pages);
	return made.ok() ? made.value() : nullptr;
}

void xpv_window_destroy(struct xpv_window *window)
{
	if (!window)
		return;
	bool untouched = true;
	for (unsigned int i = 0; i < window->pages; i++) {
		if (!window->shown[i].empty() && !window->change(i, xpv::KernelPte()).ok())
			untouched = false;
	}
	xpv_flush_tlb_everywhere();
	if (untouched)
		xpv_address_range_free(&window->range);
	else
		XPV_ERR("somebody else changed our page table entries: their address range stays unused");
	xpv::Owned<xpv_window> last(window);
}

void *xpv_window_address(const struct xpv_window *window)
{
	return window->range.address;
}

int xpv_window_map(struct xpv_window *window, unsigned int index, struct xpv_pfn frame, enum xpv_window_access access)
{
	if (index >= window->pages)
		return -XEN_ERANGE;
	if (!window->shown[index].empty())
		return -XEN_EBUSY;
	/* From not present to present: no CPU can have cached anything. */
	return window->change(index, xpv::KernelPte(frame, access, xpv_pte_supported_mask())).code();
}

int xpv_window_unmap(struct xpv_window *window, unsigned int index)
{
	if (index >= window->pages)
		return -XEN_ERANGE;
	if (window->shown[index].empty())
		return 0;
	xpv::Status changed = window->change(index, xpv::KernelPte());
	if (changed.ok())
		xpv_flush_tlb_everywhere();
	return changed.code();
}

} /* extern "C" */
