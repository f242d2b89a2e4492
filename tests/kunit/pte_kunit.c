// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows on real page tables and TLBs. The walk here is the test's own, from
 * CR3; and the test is the one who may store to a PTE that is not its own: it
 * plays the third party.
 */

#include <kunit/test.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/pgtable.h>
#include <asm/tlbflush.h>

#include "hypervisor/window.h"

#define STAMP 0x1122334455667700ULL

/* ---- The page tables, as the MMU finds them ---- */

struct translation {
	u64 *entry; /* the last one that was looked at */
	u64 leaf; /* its content */
	u64 all; /* what all levels allow: present, writable, user */
	u64 any; /* what one level is enough for: not executable */
	bool present;
	bool small; /* a 4 KiB page */
};

static struct translation walk(const void *address)
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

static u64 frame_in(const struct translation *path)
{
	return (path->leaf & PTE_PFN_MASK) >> PAGE_SHIFT;
}

/* ---- Accesses that may fault ---- */

static bool can_read(const void *address, u64 *value)
{
	return !copy_from_kernel_nofault(value, address, sizeof(*value));
}

static bool can_write(void *address, u64 value)
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

static struct xpv_window *make_window(struct kunit *test, unsigned int pages)
{
	struct xpv_window *window = xpv_window_create(pages, "test");

	KUNIT_ASSERT_NOT_NULL(test, window);
	return window;
}

static void *page_of(const struct xpv_window *window, unsigned int index)
{
	return (char *)xpv_window_address(window) + index * PAGE_SIZE;
}

/* Its content says which it is. */
static struct page *make_page(struct kunit *test, unsigned int number)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, page);
	*(u64 *)page_address(page) = STAMP + number;
	return page;
}

static struct xpv_pfn frame_of(struct page *page)
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

/* ---- Every CPU ---- */

/* What a page is, all the time from when this is written to when it is written again; unsettled: being changed. */
enum { UNSETTLED, SHOWS_FIRST, SHOWS_SECOND, SHOWS_NOTHING, KINDS };

struct watch {
	struct task_struct *task;
	const void *address;
	const u64 *state; /* round * KINDS + one of the above */
	u64 seen; /* the last state of which an access saw the consequence */
	unsigned int wrong;
};

static int watch_thread(void *argument)
{
	struct watch *watch = argument;

	while (!kthread_should_stop()) {
		u64 state = smp_load_acquire(watch->state), value = 0;
		bool read = can_read(watch->address, &value);

		smp_rmb();
		if (state % KINDS != UNSETTLED && state == READ_ONCE(*watch->state)) {
			if (state % KINDS == SHOWS_NOTHING)
				watch->wrong += read;
			else
				watch->wrong += !read || value != STAMP + state % KINDS;
			smp_store_release(&watch->seen, state);
		}
		cond_resched();
	}
	return 0;
}

static bool all_have_seen(const struct watch *watches, unsigned int count, u64 state)
{
	unsigned long deadline = jiffies + 10 * HZ;
	unsigned int i;

	for (i = 0; i < count; i++) {
		while (smp_load_acquire(&watches[i].seen) != state) {
			if (time_after(jiffies, deadline))
				return false;
			cond_resched();
		}
	}
	return true;
}

static void unmapping_reaches_every_cpu(struct kunit *test)
{
	struct watch *watches = kunit_kcalloc(test, nr_cpu_ids, sizeof(*watches), GFP_KERNEL);
	struct xpv_window *window = make_window(test, 1);
	struct page *pages[] = { make_page(test, SHOWS_FIRST), make_page(test, SHOWS_SECOND) };
	unsigned int threads = 0, cpu, i, wrong = 0;
	u64 state = UNSETTLED, round;
	bool seen = true;

	KUNIT_ASSERT_NOT_NULL(test, watches);
	for_each_online_cpu(cpu) {
		struct watch *watch = &watches[threads];

		watch->address = page_of(window, 0);
		watch->state = &state;
		watch->task = kthread_create_on_cpu(watch_thread, watch, cpu, "watch/%u");
		if (IS_ERR(watch->task))
			break;
		threads++;
		wake_up_process(watch->task);
	}
	for (round = 1; round <= 300 && seen; round++) {
		wrong += xpv_window_map(window, 0, frame_of(pages[round % 2]),
					round % 3 ? XPV_WINDOW_READ_WRITE : XPV_WINDOW_READ_ONLY) != 0;
		smp_store_release(&state, round * KINDS + SHOWS_FIRST + round % 2);
		seen = all_have_seen(watches, threads, state);
		smp_store_release(&state, UNSETTLED);
		smp_mb();
		wrong += xpv_window_unmap(window, 0) != 0;
		smp_store_release(&state, round * KINDS + SHOWS_NOTHING);
		/* Not always: the next mapping then follows at once. */
		if (round % 4)
			seen = seen && all_have_seen(watches, threads, state);
		smp_store_release(&state, UNSETTLED);
		smp_mb();
	}
	for (i = 0; i < threads; i++) {
		kthread_stop(watches[i].task);
		KUNIT_EXPECT_EQ(test, 0u, watches[i].wrong);
	}
	KUNIT_EXPECT_TRUE(test, seen);
	KUNIT_EXPECT_EQ(test, 0u, wrong);
	if (threads < 2)
		kunit_info(test, "there is only one CPU");
	xpv_window_destroy(window);
	__free_page(pages[0]);
	__free_page(pages[1]);
}

/* ---- One page of page tables, changed from all CPUs while its pages are used ---- */

/* A page of a window that one thread maps and unmaps, and all use. */
struct slot {
	struct xpv_window *window;
	unsigned int index;
	bool mapped;
	enum xpv_window_access access;
	struct page *page;
};

struct slots {
	struct slot *slots;
	unsigned int count;
	struct page *pages[4];
};

struct worker {
	struct task_struct *task;
	struct slots *slots;
	unsigned int first, step; /* the slots that are this thread's to change */
	unsigned int done, wrong;
};

static int change_thread(void *argument)
{
	struct worker *worker = argument;
	struct slots *slots = worker->slots;

	while (!kthread_should_stop()) {
		unsigned int choice = get_random_u32() % (slots->count / worker->step);
		struct slot *slot = &slots->slots[worker->first + choice * worker->step];
		void *address = page_of(slot->window, slot->index);
		bool read;
		u64 value;

		if (slot->mapped) {
			worker->wrong += xpv_window_unmap(slot->window, slot->index) != 0;
			slot->mapped = false;
		} else {
			slot->page = slots->pages[get_random_u32() % ARRAY_SIZE(slots->pages)];
			slot->access = get_random_u32() % 2 ? XPV_WINDOW_READ_WRITE : XPV_WINDOW_READ_ONLY;
			worker->wrong += xpv_window_map(slot->window, slot->index, frame_of(slot->page), slot->access) !=
					 0;
			slot->mapped = true;
		}
		read = can_read(address, &value);
		worker->wrong += read != slot->mapped || (read && value != *(u64 *)page_address(slot->page));
		WRITE_ONCE(worker->done, worker->done + 1);
		cond_resched();
	}
	return 0;
}

/* Sets accessed and dirty bits by using the pages, and clears them again, as reclaim does to other pages. */
static int use_thread(void *argument)
{
	struct worker *worker = argument;
	struct slots *slots = worker->slots;

	while (!kthread_should_stop()) {
		struct slot *slot = &slots->slots[get_random_u32() % slots->count];
		char *address = page_of(slot->window, slot->index);
		unsigned long *entry = (unsigned long *)walk(address).entry;
		u64 value;

		clear_bit(_PAGE_BIT_ACCESSED, entry);
		clear_bit(_PAGE_BIT_DIRTY, entry);
		/* Apart from the stamp. */
		can_write(address + sizeof(u64), worker->done);
		can_read(address, &value);
		WRITE_ONCE(worker->done, worker->done + 1);
		cond_resched();
	}
	return 0;
}

static bool start_worker(struct slots *slots, struct worker *worker, int (*function)(void *), unsigned int cpu,
			 const char *name)
{
	worker->slots = slots;
	worker->task = kthread_create_on_cpu(function, worker, cpu, name);
	if (IS_ERR(worker->task))
		return false;
	wake_up_process(worker->task);
	return true;
}

static bool all_did(const struct worker *workers, unsigned int count, unsigned int enough)
{
	while (count > 0 && READ_ONCE(workers[count - 1].done) >= enough)
		count--;
	return count == 0;
}

static void no_change_is_lost(struct kunit *test)
{
	enum { SHARED = 8, OWN = 4, ENOUGH = 100 };
	unsigned int cpus = num_online_cpus(), changers = 0, users = 0, together = 0, waited, cpu, i;
	struct xpv_window **windows = kunit_kcalloc(test, cpus + 1, sizeof(*windows), GFP_KERNEL);
	struct worker *workers = kunit_kcalloc(test, 2 * cpus, sizeof(*workers), GFP_KERNEL);
	struct slots slots = { .count = cpus * (SHARED + OWN) };
	unsigned long table;

	slots.slots = kunit_kcalloc(test, slots.count, sizeof(*slots.slots), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, windows);
	KUNIT_ASSERT_NOT_NULL(test, workers);
	KUNIT_ASSERT_NOT_NULL(test, slots.slots);
	for (i = 0; i < ARRAY_SIZE(slots.pages); i++)
		slots.pages[i] = make_page(test, i);
	for (i = 0; i <= cpus; i++)
		windows[i] = make_window(test, i ? OWN : cpus * SHARED);
	/* Slot i is thread i % cpus's: of the window that all share, neighbours are different threads'. */
	for (i = 0; i < slots.count; i++) {
		bool shared = i < cpus * SHARED;

		slots.slots[i].window = windows[shared ? 0 : 1 + i % cpus];
		slots.slots[i].index = shared ? i : (i - cpus * SHARED) / cpus;
	}
	table = (unsigned long)walk(page_of(windows[0], 0)).entry & PAGE_MASK;
	for (i = 0; i < slots.count; i++)
		together += ((unsigned long)walk(page_of(slots.slots[i].window, slots.slots[i].index)).entry &
			     PAGE_MASK) == table;
	kunit_info(test, "%u of %u entries are in one page of page tables", together, slots.count);
	KUNIT_EXPECT_GE(test, together, cpus * SHARED);

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		if (changers == cpus)
			break;
		workers[changers].first = changers;
		workers[changers].step = cpus;
		if (!start_worker(&slots, &workers[changers], change_thread, cpu, "change/%u"))
			break;
		changers++;
	}
	for_each_online_cpu(cpu) {
		if (users == cpus || !start_worker(&slots, &workers[cpus + users], use_thread, cpu, "use/%u"))
			break;
		users++;
	}
	cpus_read_unlock();
	/* On a slow machine with many CPUs this takes its time; a worker that hangs is found all the same. */
	msleep(1000);
	for (waited = 0; waited < 1200 && !all_did(workers, 2 * cpus, ENOUGH); waited++)
		msleep(100);
	for (i = 0; i < users; i++) {
		kthread_stop(workers[cpus + i].task);
		KUNIT_EXPECT_GE(test, workers[cpus + i].done, (unsigned int)ENOUGH);
	}
	for (i = 0; i < changers; i++) {
		kthread_stop(workers[i].task);
		KUNIT_EXPECT_GE(test, workers[i].done, (unsigned int)ENOUGH);
		KUNIT_EXPECT_EQ(test, 0u, workers[i].wrong);
	}
	KUNIT_EXPECT_EQ(test, cpus, changers);

	for (i = 0; i < slots.count; i++) {
		struct slot *slot = &slots.slots[i];
		struct translation path = walk(page_of(slot->window, slot->index));

		KUNIT_EXPECT_EQ(test, slot->mapped, path.present);
		if (!slot->mapped) {
			KUNIT_EXPECT_EQ(test, 0ULL, path.leaf);
			continue;
		}
		KUNIT_EXPECT_EQ(test, (u64)page_to_pfn(slot->page), frame_in(&path));
		KUNIT_EXPECT_EQ(test, slot->access == XPV_WINDOW_READ_WRITE, !!(path.leaf & _PAGE_RW));
		KUNIT_EXPECT_EQ(test, 0ULL, path.leaf & _PAGE_USER);
	}
	for (i = 0; i <= cpus; i++)
		xpv_window_destroy(windows[i]);
	for (i = 0; i < ARRAY_SIZE(slots.pages); i++)
		__free_page(slots.pages[i]);
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
