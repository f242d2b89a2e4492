// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel address space for windows: Linux allocates the range and its page
 * tables, hypervisor/pte.hh writes the PTEs.
 */

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>
#include <asm/pgtable.h>
#include <asm/tlbflush.h>

#include "hypervisor/linux.h"

static_assert(sizeof(pte_t) == sizeof(uint64_t));

bool xpv_address_range_make(unsigned int pages, struct xpv_address_range *range)
{
	struct page *placeholder = alloc_page(GFP_KERNEL | __GFP_ZERO);
	struct page **all;
	unsigned int i;

	if (!placeholder)
		return false;
	all = kvmalloc_array(pages, sizeof(*all), GFP_KERNEL);
	if (!all) {
		__free_page(placeholder);
		return false;
	}
	for (i = 0; i < pages; i++)
		all[i] = placeholder;
	range->placeholder = page_address(placeholder);
	/*
	 * VM_IOREMAP: not Linux's RAM. Otherwise /proc/kcore reads the frames through
	 * the direct map, which does not have them.
	 */
	range->address = vmap(all, pages, VM_IOREMAP, PAGE_KERNEL_RO);
	kvfree(all);
	if (!range->address) {
		__free_page(placeholder);
		return false;
	}
	return true;
}

void xpv_address_range_free(const struct xpv_address_range *range)
{
	vunmap(range->address);
	free_page((unsigned long)range->placeholder);
}

uint64_t *xpv_pte_lookup(const void *address)
{
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)address, &level);

	return level == PG_LEVEL_4K ? (uint64_t *)pte : NULL;
}

uint64_t xpv_pte_supported_mask(void)
{
	return __supported_pte_mask;
}

/* Flush all address spaces and global entries: PCID keeps other processes' translations of kernel memory apart. */
static void flush_this_cpu(void *unused)
{
	__flush_tlb_all();
}

void xpv_flush_tlb_everywhere(void)
{
	on_each_cpu(flush_this_cpu, NULL, 1);
}
