/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the files of the suite: the page tables as the MMU finds them, and what a case needs. */
#ifndef XPV_PTE_KUNIT_H
#define XPV_PTE_KUNIT_H

#include <kunit/test.h>
#include <linux/mm_types.h>

#include "hypervisor/window.h"

#define STAMP 0x1122334455667700ULL

struct translation {
	u64 *entry; /* the last one that was looked at */
	u64 leaf; /* its content */
	u64 all; /* what all levels allow: present, writable, user */
	u64 any; /* what one level is enough for: not executable */
	bool present;
	bool small; /* a 4 KiB page */
};

/* Walk the page tables from CR3 to this address. */
struct translation walk(const void *address);
/* Return the frame number in the entry that the walk ended at. */
u64 frame_in(const struct translation *path);

/* Read or write; return false if that faulted. */
bool can_read(const void *address, u64 *value);
bool can_write(void *address, u64 value);

struct xpv_window *make_window(struct kunit *test, unsigned int pages);
void *page_of(const struct xpv_window *window, unsigned int index);
/* Allocate a page whose first word is STAMP + number. */
struct page *make_page(struct kunit *test, unsigned int number);
struct xpv_pfn frame_of(struct page *page);

/* ---- pte_kunit_cpus.c ---- */

void unmapping_reaches_every_cpu(struct kunit *test);
void no_change_is_lost(struct kunit *test);

#endif
