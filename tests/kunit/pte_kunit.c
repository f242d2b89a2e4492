// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows on real page tables and TLBs. The walk here is the test's own, from
 * CR3; and the test is the one who may store to a PTE that is not its own: it
 * plays the third party.
 */

#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <asm/pgtable.h>
#include <asm/tlbflush.h>

#include "pte_kunit.h"

/* ---- The page tables, as the MMU finds them ---- */

struct translation walk(const void *address)
{
	struct translation path = { .all = ~0ULL };
	unsigned int shift = pgtable_l5_enabled() ? 48 : 39;
	unsigned long flags;
	u64 *table;

	/* The tables of the process that lent its address space do not go away meanwhile. */
	local_irq_save(flags);
	table = __va(read_cr3_pa());
	for (;; shift -= 9) {
		path.entry = &table[(unsigned long)address >> shift & 511];
		path.leaf = READ_ONCE(*path.entry);
		path.all &= path.leaf;
		path.any |= path.leaf;
		path.present = path.leaf & _PAGE_PRESENT;
		path.small = shift == PAGE_SHIFT;
		if (!path.present || path.small || path.leaf & _PAGE_PSE)
			break;
		table = __va(path.leaf & PTE_PFN_MASK);
	}
	local_irq_restore(flags);
	return path;
}

u64 frame_in(const struct translation *path)
{
	return (path->leaf & PTE_PFN_MASK) >> PAGE_SHIFT;
}

/* ---- Accesses that may fault ---- */

bool can_read(const void *address, u64 *value)
{
	return !copy_from_kernel_nofault(value, address, sizeof(*value));
}

bool can_write(void *address, u64 value)
{
	pagefault_disable();
	__put_kernel_nofault(address, &value, u64, fault);
	pagefault_enable();
	return true;
fault:
	pagefault_enable();
	return false;
}

/* ---- Windows and pages for one test ---- */

struct xpv_window *make_window(struct kunit *test, unsigned int pages)
{
	struct xpv_window *window = xpv_window_create(pages, "test");

	KUNIT_ASSERT_NOT_NULL(test, window);
	return window;
}

void *page_of(const struct xpv_window *window, unsigned int index)
{
	return (char *)xpv_window_address(window) + index * PAGE_SIZE;
}

struct page *make_page(struct kunit *test, unsigned int number)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, page);
	*(u64 *)page_address(page) = STAMP + number;
	return page;
}

struct xpv_pfn frame_of(struct page *page)
{
	return (struct xpv_pfn){ page_to_pfn(page) };
}

static void flush_this_cpu(void *unused)
{
	__flush_tlb_all();
}

/* ---- One CPU ---- */

static void shows_and_hides_a_page(struct kunit *test)
{
	struct xpv_window *window = make_window(test, 2);
	struct page *first = make_page(test, 1), *second = make_page(test, 2);
	u64 value;

	KUNIT_EXPECT_FALSE(test, can_read(page_of(window, 0), &value));
	KUNIT_EXPECT_FALSE(test, can_read(page_of(window, 1), &value));
	KUNIT_ASSERT_EQ(test, 0, xpv_window_map(window, 1, frame_of(first), XPV_WINDOW_READ_WRITE));
	KUNIT_EXPECT_FALSE(test, can_read(page_of(window, 0), &value));
	KUNIT_ASSERT_TRUE(test, can_read(page_of(window, 1), &value));
	KUNIT_EXPECT_EQ(test, STAMP + 1, value);
	KUNIT_EXPECT_TRUE(test, can_write(page_of(window, 1), STAMP + 7));
	KUNIT_EXPECT_EQ(test, STAMP + 7, *(u64 *)page_address(first));

	KUNIT_EXPECT_EQ(test, -EBUSY, xpv_window_map(window, 1, frame_of(second), XPV_WINDOW_READ_WRITE));
	KUNIT_EXPECT_EQ(test, -ERANGE, xpv_window_map(window, 2, frame_of(second), XPV_WINDOW_READ_WRITE));
	KUNIT_EXPECT_EQ(test, 0, xpv_window_unmap(window, 1));
	KUNIT_EXPECT_FALSE(test, can_read(page_of(window, 1), &value));
	KUNIT_EXPECT_EQ(test, 0ULL, walk(page_of(window, 1)).leaf);
	KUNIT_ASSERT_EQ(test, 0, xpv_window_map(window, 1, frame_of(second), XPV_WINDOW_READ_WRITE));
	KUNIT_ASSERT_TRUE(test, can_read(page_of(window, 1), &value));
	KUNIT_EXPECT_EQ(test, STAMP + 2, value);

	xpv_window_destroy(window);
	__free_page(first);
	__free_page(second);
}

static void a_run_is_unmapped(struct kunit *test)
{
	struct xpv_window *window = make_window(test, 5);
	struct page *page = make_page(test, 1);
	unsigned int i;
	u64 value;

	for (i = 0; i < 5; i++)
		if (i != 2)
			KUNIT_ASSERT_EQ(test, 0, xpv_window_map(window, i, frame_of(page), XPV_WINDOW_READ_WRITE));
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, i != 2, can_read(page_of(window, i), &value));
	KUNIT_EXPECT_EQ(test, -ERANGE, xpv_window_unmap_run(window, 1, 5));
	KUNIT_EXPECT_EQ(test, 0, xpv_window_unmap_run(window, 1, 3));
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, i == 0 || i == 4, can_read(page_of(window, i), &value));
	xpv_window_destroy(window);
	__free_page(page);
}

static void read_only_page_faults_on_write(struct kunit *test)
{
	struct xpv_window *window = make_window(test, 1);
	struct page *page = make_page(test, 1);
	struct translation path;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, xpv_window_map(window, 0, frame_of(page), XPV_WINDOW_READ_ONLY));
	KUNIT_ASSERT_TRUE(test, can_read(page_of(window, 0), &value));
	KUNIT_EXPECT_EQ(test, STAMP + 1, value);
	KUNIT_EXPECT_FALSE(test, can_write(page_of(window, 0), 0));
	KUNIT_EXPECT_EQ(test, STAMP + 1, *(u64 *)page_address(page));
	path = walk(page_of(window, 0));
	KUNIT_EXPECT_EQ(test, 0ULL, path.leaf & (_PAGE_RW | _PAGE_DIRTY));

	KUNIT_ASSERT_EQ(test, 0, xpv_window_unmap(window, 0));
	KUNIT_ASSERT_EQ(test, 0, xpv_window_map(window, 0, frame_of(page), XPV_WINDOW_READ_WRITE));
	KUNIT_EXPECT_TRUE(test, can_write(page_of(window, 0), STAMP + 2));
	KUNIT_EXPECT_EQ(test, STAMP + 2, *(u64 *)page_address(page));
	xpv_window_destroy(window);
	__free_page(page);
}

/* ---- All windows there are ---- */

struct survey {
	struct kunit *test;
	unsigned int windows, pages, user;
	bool shared_info;
};

static void survey_window(struct xpv_windows_context *context, const char *name, const void *address, unsigned int pages)
{
	struct survey *survey = (struct survey *)context;
	unsigned int i;

	survey->windows++;
	survey->shared_info |= !strcmp(name, "shared info");
	for (i = 0; i < pages; i++) {
		struct translation path = walk((const char *)address + i * PAGE_SIZE);

		/* Of all that is in the range, not only of what we think we mapped. */
		KUNIT_EXPECT_TRUE(survey->test, path.small);
		if (path.leaf & _PAGE_USER || (path.present && path.all & _PAGE_USER))
			survey->user++;
	}
}

static void survey_page(struct xpv_windows_context *context, const struct xpv_window_page *page)
{
	struct survey *survey = (struct survey *)context;
	struct translation path = walk(page->address);

	survey->pages++;
	KUNIT_EXPECT_TRUE(survey->test, path.present && path.small);
	KUNIT_EXPECT_EQ(survey->test, page->asked_frame.value, frame_in(&path));
	KUNIT_EXPECT_EQ(survey->test, page->asked_access == XPV_WINDOW_READ_WRITE, !!(path.all & _PAGE_RW));
	KUNIT_EXPECT_EQ(survey->test, 0ULL, path.leaf & (_PAGE_GLOBAL | _PAGE_PCD | _PAGE_PWT | _PAGE_PAT));
	if (__supported_pte_mask & _PAGE_NX)
		KUNIT_EXPECT_TRUE(survey->test, !!(path.any & _PAGE_NX));

	KUNIT_EXPECT_EQ(survey->test, frame_in(&path), page->frame.value);
	KUNIT_EXPECT_TRUE(survey->test, page->present);
	KUNIT_EXPECT_EQ(survey->test, !!(path.leaf & _PAGE_RW), page->writable);
	KUNIT_EXPECT_EQ(survey->test, !!(path.leaf & _PAGE_USER), page->user);
	KUNIT_EXPECT_EQ(survey->test, !!(path.leaf & _PAGE_NX), page->no_execute);
	KUNIT_EXPECT_EQ(survey->test, !!(path.leaf & _PAGE_ACCESSED), page->accessed);
	KUNIT_EXPECT_EQ(survey->test, !!(path.leaf & _PAGE_DIRTY), page->dirty);
}

static struct survey survey_all(struct kunit *test)
{
	static const struct xpv_windows_visitor visitor = { .window = survey_window, .page = survey_page };
	struct survey survey = { .test = test };

	xpv_windows_visit(&visitor, (struct xpv_windows_context *)&survey);
	return survey;
}

static void no_window_is_for_user_space(struct kunit *test)
{
	struct survey survey = survey_all(test);
	unsigned int windows = survey.windows, pages = survey.pages;
	struct xpv_window *window = make_window(test, 4);
	struct page *page = make_page(test, 1);
	unsigned long *entry;

	KUNIT_EXPECT_TRUE(test, survey.shared_info);
	KUNIT_EXPECT_GE(test, pages, 1u);
	KUNIT_EXPECT_EQ(test, 0u, survey.user);

	KUNIT_ASSERT_EQ(test, 0, xpv_window_map(window, 0, frame_of(page), XPV_WINDOW_READ_ONLY));
	KUNIT_ASSERT_EQ(test, 0, xpv_window_map(window, 3, frame_of(page), XPV_WINDOW_READ_WRITE));
	survey = survey_all(test);
	KUNIT_EXPECT_EQ(test, windows + 1, survey.windows);
	KUNIT_EXPECT_EQ(test, pages + 2, survey.pages);
	KUNIT_EXPECT_EQ(test, 0u, survey.user);

	/* The survey would see it. */
	entry = (unsigned long *)walk(page_of(window, 3)).entry;
	set_bit(_PAGE_BIT_USER, entry);
	survey = survey_all(test);
	KUNIT_EXPECT_EQ(test, 1u, survey.user);
	clear_bit(_PAGE_BIT_USER, entry);

	xpv_window_destroy(window);
	survey = survey_all(test);
	KUNIT_EXPECT_EQ(test, windows, survey.windows);
	KUNIT_EXPECT_EQ(test, pages, survey.pages);
	__free_page(page);
}

/* ---- A third party ---- */

static void what_the_cpu_sets_is_no_interference(struct kunit *test)
{
	struct xpv_window *window = make_window(test, 1);
	struct page *page = make_page(test, 1);
	unsigned long *entry;
	struct translation path;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, xpv_window_map(window, 0, frame_of(page), XPV_WINDOW_READ_WRITE));
	entry = (unsigned long *)walk(page_of(window, 0)).entry;
	clear_bit(_PAGE_BIT_ACCESSED, entry);
	clear_bit(_PAGE_BIT_DIRTY, entry);
	on_each_cpu(flush_this_cpu, NULL, 1);
	KUNIT_EXPECT_TRUE(test, can_read(page_of(window, 0), &value));
	path = walk(page_of(window, 0));
	KUNIT_EXPECT_TRUE(test, !!(path.leaf & _PAGE_ACCESSED));
	KUNIT_EXPECT_TRUE(test, can_write(page_of(window, 0), value));
	path = walk(page_of(window, 0));
	KUNIT_EXPECT_TRUE(test, !!(path.leaf & _PAGE_DIRTY));
	clear_bit(_PAGE_BIT_ACCESSED, entry);
	KUNIT_EXPECT_EQ(test, 0, xpv_window_unmap(window, 0));
	xpv_window_destroy(window);
	__free_page(page);
}

static void interference_is_noticed_and_left_alone(struct kunit *test)
{
	struct xpv_window *window = make_window(test, 3);
	struct page *page = make_page(test, 1), *other = make_page(test, 2);
	u64 *mapped, *unmapped, *last, foreign;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, xpv_window_map(window, 0, frame_of(page), XPV_WINDOW_READ_WRITE));
	KUNIT_ASSERT_EQ(test, 0, xpv_window_map(window, 2, frame_of(page), XPV_WINDOW_READ_WRITE));
	mapped = walk(page_of(window, 0)).entry;
	unmapped = walk(page_of(window, 1)).entry;
	last = walk(page_of(window, 2)).entry;
	foreign = (*mapped & ~PTE_PFN_MASK) | page_to_phys(other);
	WRITE_ONCE(*mapped, foreign);
	WRITE_ONCE(*unmapped, foreign);
	on_each_cpu(flush_this_cpu, NULL, 1);

	KUNIT_EXPECT_EQ(test, -EIO, xpv_window_unmap(window, 0));
	KUNIT_EXPECT_EQ(test, -EIO, xpv_window_map(window, 1, frame_of(page), XPV_WINDOW_READ_WRITE));
	KUNIT_EXPECT_EQ(test, -EIO, xpv_window_unmap_run(window, 0, 3));
	KUNIT_EXPECT_EQ(test, 0ULL, READ_ONCE(*last));
	KUNIT_ASSERT_TRUE(test, can_read(page_of(window, 0), &value));
	KUNIT_EXPECT_EQ(test, STAMP + 2, value);

	/* The range is not given back: its page tables stay as they are. */
	xpv_window_destroy(window);
	KUNIT_EXPECT_EQ(test, foreign & ~(u64)(_PAGE_ACCESSED | _PAGE_DIRTY),
			READ_ONCE(*mapped) & ~(u64)(_PAGE_ACCESSED | _PAGE_DIRTY));
	KUNIT_EXPECT_EQ(test, foreign & ~(u64)(_PAGE_ACCESSED | _PAGE_DIRTY),
			READ_ONCE(*unmapped) & ~(u64)(_PAGE_ACCESSED | _PAGE_DIRTY));
	WRITE_ONCE(*mapped, 0);
	WRITE_ONCE(*unmapped, 0);
	on_each_cpu(flush_this_cpu, NULL, 1);
	__free_page(page);
	__free_page(other);
}

static struct kunit_case pte_cases[] = {
	KUNIT_CASE(shows_and_hides_a_page),
	KUNIT_CASE(a_run_is_unmapped),
	KUNIT_CASE(read_only_page_faults_on_write),
	KUNIT_CASE(no_window_is_for_user_space),
	KUNIT_CASE(what_the_cpu_sets_is_no_interference),
	KUNIT_CASE(interference_is_noticed_and_left_alone),
	KUNIT_CASE(unmapping_reaches_every_cpu),
	KUNIT_CASE(no_change_is_lost),
	{}
};

static struct kunit_suite pte_suite = {
	.name = "xpv_pte",
	.test_cases = pte_cases,
};
kunit_test_suite(pte_suite);

MODULE_DESCRIPTION("xpv: tests of page table windows");
MODULE_LICENSE("GPL");
