// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows on the host: frames are our own memory already, and those of one
 * window lie side by side, so there is nothing to map.
 */
#include <cstdlib>
#include <vector>

#include <xen/errno.h>

#include "hypervisor/window.h"

struct xpv_window {
	std::vector<bool> mapped;
	uintptr_t base = 0;
};

xpv_window *xpv_window_create(unsigned int pages, const char *)
{
	auto *window = new xpv_window;
	window->mapped.resize(pages);
	return window;
}

void xpv_window_destroy(xpv_window *window)
{
	delete window;
}

void *xpv_window_address(const xpv_window *window)
{
	return reinterpret_cast<void *>(window->base);
}

int xpv_window_map(xpv_window *window, unsigned int index, xpv_pfn frame, xpv_window_access)
{
	if (index >= window->mapped.size())
		return -XEN_ERANGE;
	if (window->mapped[index])
		return -XEN_EBUSY;
	uintptr_t base = (frame.value - index) << 12;
	if (window->base && window->base != base)
		abort();
	window->base = base;
	window->mapped[index] = true;
	return 0;
}

int xpv_window_unmap(xpv_window *window, unsigned int index)
{
	return xpv_window_unmap_run(window, index, 1);
}

int xpv_window_unmap_run(xpv_window *window, unsigned int first, unsigned int count)
{
	if (first > window->mapped.size() || count > window->mapped.size() - first)
		return -XEN_ERANGE;
	for (unsigned int i = first; i < first + count; i++)
		window->mapped[i] = false;
	return 0;
}
