// SPDX-License-Identifier: GPL-2.0-only
/* Windows that all CPUs use while entries of the same page tables are mapped and unmapped. */

#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <asm/pgtable.h>

#include "pte_kunit.h"

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

void unmapping_reaches_every_cpu(struct kunit *test)
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

void no_change_is_lost(struct kunit *test)
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
