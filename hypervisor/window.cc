// SPDX-License-Identifier: GPL-2.0-only
/* Record the PTEs that each window wrote, change them by compare-and-swap, and flush TLBs after an unmap. */
#include "hypervisor/window.h"

#include "hypervisor/linux.h"
#include "hypervisor/pte.hh"
#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/log.hh"
#include "lib/memory.hh"

using namespace xpv;

/* The argument of a visitor. */
struct xpv_windows_context {};

/*
 * Linux allocates the range with its page tables and a placeholder in every page,
 * which is replaced at once.
 *
 * The mutex guards our record of the PTEs, and is held until the TLB flush:
 * before that, a page is free but a CPU may still use its previous mapping. The
 * mutex does not keep others from changing the PTEs; the compare-and-swap detects
 * that.
 */
struct xpv_window : ListLink<> {
	xpv_address_range range;
	const char *name;
	unsigned int pages;
	Mutex mutex{ "xpv window"_lock };
	Array<KernelPte> shown; /* what we wrote; guarded by the mutex once published */

	[[nodiscard]] char *page(unsigned int index) const
	{
		return static_cast<char *>(range.address) + index * page_size;
	}
	[[nodiscard]] uint64_t *entry(unsigned int index) const { return xpv_pte_lookup(page(index)); }
	/* Must be called with the mutex held, once the window is published. */
	[[nodiscard]] Status change(unsigned int index, KernelPte to)
	{
		uint64_t *pte = entry(index);
		if (!pte || !change_pte(*pte, shown[index], to))
			return Error(XEN_EIO);
		shown[index] = to;
		return {};
	}
};

namespace xpv {

namespace {

/* Taken before a window's own mutex. */
struct Windows {
	Mutex mutex;
	List<xpv_window> all XPV_GUARDED_BY(mutex);
};

constinit Windows windows = {};

struct Printing : xpv_windows_context {
	xpv_debug_sink *sink;
};

void expect_placeholders(xpv_window &window)
{
	Pfn frame = { xpv_pages_gfn(window.range.placeholder).value };
	for (unsigned int i = 0; i < window.pages; i++)
		window.shown[i] = KernelPte(frame, XPV_WINDOW_READ_ONLY, xpv_pte_supported_mask());
}

Status clear_placeholders(xpv_window &window)
{
	for (unsigned int i = 0; i < window.pages; i++) {
		const uint64_t *pte = window.entry(i);
		if (!pte || FoundPte::read(*pte).user())
			return Error(XEN_EIO);
		XPV_TRY(window.change(i, KernelPte()));
	}
	xpv_flush_tlb_everywhere();
	return {};
}

/*
 * Give the range back to Linux, which clears its PTEs. If somebody else changed a
 * PTE, leak the range instead: the other writer may still use it.
 */
void give_back(xpv_window &window)
{
	bool untouched = true;
	{
		MutexGuard guard(window.mutex);
		/* Empty pages too: the compare-and-swap verifies that they are still empty. */
		for (unsigned int i = 0; i < window.pages; i++)
			untouched = window.change(i, KernelPte()).ok() && untouched;
		xpv_flush_tlb_everywhere();
	}
	if (untouched)
		xpv_address_range_free(&window.range);
	else
		XPV_ERR("window %s: other code changed its page table entries, leaking the address range", window.name);
}

Result<xpv_window *> create_window(unsigned int pages, const char *name)
{
	auto window = XPV_TRY(make<xpv_window>(XPV_MAY_SLEEP));
	window->name = name;
	window->pages = pages;
	window->shown = XPV_TRY(Array<KernelPte>::make(pages, XPV_MAY_SLEEP));
	if (!xpv_address_range_make(pages, &window->range))
		return Error(XEN_ENOMEM);
	expect_placeholders(*window);
	if (Status cleared = clear_placeholders(*window); !cleared.ok()) {
		XPV_ERR("window %s: unexpected kernel page tables (%pe)", name, err_ptr(cleared.code()));
		give_back(*window);
		return cleared.error();
	}
	MutexGuard guard(windows.mutex);
	windows.all.push_back(*window);
	return window.release();
}

} // namespace

} // namespace xpv

void xpv_windows_start()
{
	windows.mutex.init("xpv windows"_lock);
}

xpv_window *xpv_window_create(unsigned int pages, const char *name)
{
	auto made = create_window(pages, name);
	return made.ok() ? made.value() : nullptr;
}

void xpv_window_destroy(xpv_window *window)
{
	if (!window)
		return;
	{
		MutexGuard guard(windows.mutex);
		window->unlink();
	}
	give_back(*window);
	destroy(window);
}

void *xpv_window_address(const xpv_window *window)
{
	return window->range.address;
}

int xpv_window_map(xpv_window *window, unsigned int index, xpv_pfn frame, xpv_window_access access)
{
	if (index >= window->pages)
		return -XEN_ERANGE;
	if (!KernelPte::representable(frame))
		return -XEN_EINVAL;
	MutexGuard guard(window->mutex);
	if (!window->shown[index].empty())
		return -XEN_EBUSY;
	/* No flush: the PTE was not present, and flushed, so no CPU can have cached a translation. */
	return window->change(index, KernelPte(frame, access, xpv_pte_supported_mask())).code();
}

int xpv_window_unmap(xpv_window *window, unsigned int index)
{
	return xpv_window_unmap_run(window, index, 1);
}

int xpv_window_unmap_run(xpv_window *window, unsigned int first, unsigned int count)
{
	if (first > window->pages || count > window->pages - first)
		return -XEN_ERANGE;
	MutexGuard guard(window->mutex);
	Status result;
	bool changed = false;
	for (unsigned int i = first; i < first + count; i++) {
		if (window->shown[i].empty())
			continue;
		if (window->change(i, KernelPte()).ok())
			changed = true;
		else
			result = Error(XEN_EIO);
	}
	if (changed)
		xpv_flush_tlb_everywhere();
	return result.code();
}

void xpv_windows_visit(const xpv_windows_visitor *visitor, xpv_windows_context *context)
{
	MutexGuard guard(windows.mutex);
	for (xpv_window &window : windows.all) {
		MutexGuard window_guard(window.mutex);
		visitor->window(context, window.name, window.range.address, window.pages);
		for (unsigned int i = 0; i < window.pages; i++) {
			const uint64_t *pte = window.entry(i);
			if (window.shown[i].empty() || !pte)
				continue;
			FoundPte found = FoundPte::read(*pte);
			const xpv_window_page page = {
				.address = window.page(i),
				.asked_frame = window.shown[i].frame(),
				.asked_access = window.shown[i].access(),
				.frame = found.frame(),
				.present = found.present(),
				.writable = found.writable(),
				.user = found.user(),
				.no_execute = found.no_execute(),
				.accessed = found.accessed(),
				.dirty = found.dirty(),
			};
			visitor->page(context, &page);
		}
	}
}

void xpv_windows_show(xpv_debug_sink *sink)
{
	static constexpr xpv_windows_visitor printer = {
		.window =
			[](xpv_windows_context *context, const char *name, const void *address, unsigned int pages) {
				xpv_debug_print(static_cast<Printing *>(context)->sink, "window 0x%pK pages %u %s\n",
						address, pages, name);
			},
		.page =
			[](xpv_windows_context *context, const xpv_window_page *page) {
				xpv_debug_print(
					static_cast<Printing *>(context)->sink,
					"page 0x%pK frame 0x%llx %s pte: frame 0x%llx present %d writable %d user %d nx %d accessed %d dirty %d\n",
					page->address, static_cast<unsigned long long>(page->asked_frame.value),
					page->asked_access == XPV_WINDOW_READ_WRITE ? "rw" : "ro",
					static_cast<unsigned long long>(page->frame.value), page->present,
					page->writable, page->user, page->no_execute, page->accessed, page->dirty);
			},
	};
	Printing context{ {}, sink };
	xpv_windows_visit(&printer, &context);
}
