// SPDX-License-Identifier: GPL-2.0-only
/* Pages that outlive this module, because Xen keeps writing to them. */

#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>

#include "hypervisor/linux.h"

void *xpv_lent_alloc(unsigned int order)
{
	void *pages = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, order);
	unsigned int i;

	if (!pages)
		return NULL;
	/* Mark the pages, so that the next load can distinguish lent pages from other pages. */
	for (i = 0; i < 1u << order; i++)
		SetPageReserved(virt_to_page(pages) + i);
	return pages;
}

void *xpv_lent_find(struct xpv_gfn frame, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1u << order; i++) {
		if (!pfn_valid(frame.value + i) || !PageReserved(pfn_to_page(frame.value + i)))
			return NULL;
	}
	return phys_to_virt(frame.value << PAGE_SHIFT);
}

void xpv_lent_free(void *pages, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1u << order; i++)
		ClearPageReserved(virt_to_page(pages) + i);
	free_pages((unsigned long)pages, order);
}
