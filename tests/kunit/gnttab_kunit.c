// SPDX-License-Identifier: GPL-2.0-only
/* Grants against the fake hypervisor: what the host tests cannot show, CPUs and pages. */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "gnttab/gnttab_owned.h"
#include "tests/fake/fake_hypervisor.h"
#include "tests/kunit/gnttab_kunit.h"

static const struct xpv_domid backend = { 3 };

static struct xpv_grant_counts counts_now(void)
{
	struct xpv_grant_counts counts;

	xpv_grant_get_counts(&counts);
	return counts;
}

/* For what a work item does. */
static bool parked_becomes(unsigned int parked)
{
	unsigned int i;

	for (i = 0; i < 1000 && counts_now().parked != parked; i++)
		msleep(10);
	return counts_now().parked == parked;
}

static struct xpv_pfn pfn_of(struct page *page)
{
	return (struct xpv_pfn){ page_to_pfn(page) };
}

static void expect_unused(struct kunit *test)
{
	struct xpv_grant_counts counts = counts_now();

	KUNIT_EXPECT_EQ(test, counts.total, counts.free + counts.lost);
	KUNIT_EXPECT_EQ(test, 0u, counts.pooled);
	KUNIT_EXPECT_EQ(test, 0u, counts.parked);
	KUNIT_EXPECT_EQ(test, 0u, xpv_fake_active_grants());
}

static void grants_and_revokes_a_page(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct xpv_gref reference;
	struct xpv_gfn seen;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, 0, xpv_grant_page(backend, pfn_of(page), XPV_GRANT_READ_ONLY, XPV_ATOMIC, &reference));
	KUNIT_EXPECT_EQ(test, -EACCES, xpv_fake_map_grant(backend, reference, true, &seen));
	KUNIT_ASSERT_EQ(test, 0, xpv_fake_map_grant(backend, reference, false, &seen));
	KUNIT_EXPECT_EQ(test, page_to_pfn(page), seen.value);
	KUNIT_EXPECT_EQ(test, -EBUSY, xpv_grant_try_revoke(reference));
	xpv_fake_unmap_grant(reference);
	KUNIT_EXPECT_EQ(test, 0, xpv_grant_try_revoke(reference));
	KUNIT_EXPECT_EQ(test, -EINVAL, xpv_grant_try_revoke(reference));
	__free_page(page);
	expect_unused(test);
}

/*
 * Cases 12 and 13. The other end keeps a page mapped. A driver that gives it
 * back to Linux lets the other end write to its next user. A page that is
 * parked must be held by a reference until it is unmapped, and no longer; the
 * module must be held until then, too.
 */
static void parked_page_is_held_until_let_go(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);
	int module_before = module_refcount(THIS_MODULE);
	struct xpv_gref reference;
	struct xpv_gfn seen;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, 0, xpv_grant_page(backend, pfn_of(page), XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference));
	KUNIT_ASSERT_EQ(test, 0, xpv_fake_map_grant(backend, reference, true, &seen));
	KUNIT_ASSERT_EQ(test, -EBUSY, xpv_grant_try_revoke(reference));
	xpv_grant_park(&reference, 1);
	KUNIT_EXPECT_EQ(test, 2, page_count(page));
	msleep(100);
	KUNIT_EXPECT_EQ(test, 1u, counts_now().parked);
	KUNIT_EXPECT_EQ(test, 2, page_count(page));
	xpv_fake_unmap_grant(reference);
	KUNIT_EXPECT_TRUE(test, parked_becomes(0));
	KUNIT_EXPECT_EQ(test, 1, page_count(page));
	KUNIT_EXPECT_EQ(test, module_before, module_refcount(THIS_MODULE));
	__free_page(page);
	expect_unused(test);
}

/*
 * Case 13. The other end keeps one of two pages mapped when their owner frees
 * both. Pages that are freed then are still writable by the other end. They
 * must stay allocated until it unmaps the page, and be freed then. KASAN would
 * report the access below, had they been freed at once.
 */
static void pages_that_are_mapped_are_freed_later(struct kunit *test)
{
	void *pages = (void *)__get_free_pages(GFP_KERNEL, 1);
	struct xpv_gref references[2];
	struct xpv_gfn seen;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, 0,
				xpv_grant_page(backend, pfn_of(virt_to_page(pages + i * PAGE_SIZE)),
					       XPV_GRANT_READ_WRITE, XPV_ATOMIC, &references[i]));
	KUNIT_ASSERT_EQ(test, 0, xpv_fake_map_grant(backend, references[1], true, &seen));
	xpv_grant_revoke_and_free(references, 2, pages, 1);
	KUNIT_EXPECT_EQ(test, 1u, counts_now().parked);
	/* KASAN would object, had they been freed. */
	memset(pages, 1, 2 * PAGE_SIZE);
	xpv_fake_unmap_grant(references[1]);
	KUNIT_EXPECT_TRUE(test, parked_becomes(0));
	expect_unused(test);
}

static void pool_works_with_irqs_off(struct kunit *test)
{
	struct xpv_pfn frames[32];
	struct xpv_gref references[32];
	struct xpv_grant_pool *pool;
	unsigned long flags;
	unsigned int i, round, still_mapped = 0;

	KUNIT_ASSERT_EQ(test, 0, xpv_grant_pool_create("test", 32, &pool));
	for (i = 0; i < 32; i++)
		frames[i].value = 0x1000 + i;
	for (round = 0; round < 1000; round++) {
		local_irq_save(flags);
		if (xpv_grant_pool_issue(pool, backend, XPV_GRANT_READ_WRITE, frames, 32, references))
			still_mapped += 1000;
		still_mapped += xpv_grant_pool_revoke(pool, references, 32);
		local_irq_restore(flags);
	}
	KUNIT_EXPECT_EQ(test, 0u, still_mapped);
	KUNIT_EXPECT_EQ(test, 32u, xpv_grant_pool_available(pool));
	xpv_grant_pool_destroy(pool);
	expect_unused(test);
}

/* ---- Singles on all CPUs at once ---- */

#define HELD 48

struct churn {
	struct task_struct *task;
	/* Kept apart by reference: nobody may be given one that another has. */
	atomic_t *owners;
	unsigned int limit;
	unsigned int done, refused, wrong;
};

static int churn_thread(void *argument)
{
	struct churn *churn = argument;
	struct xpv_gref held[HELD];
	unsigned int count = 0;

	while (!kthread_should_stop()) {
		if (count < HELD && get_random_u32() % 2) {
			if (xpv_grant_page(backend, (struct xpv_pfn){ 0x2000 }, XPV_GRANT_READ_WRITE, XPV_ATOMIC,
					   &held[count])) {
				churn->refused++;
				cond_resched();
			} else {
				churn->wrong += held[count].value >= churn->limit ||
						atomic_inc_return(&churn->owners[held[count].value]) != 1;
				count++;
			}
		} else if (count) {
			count--;
			atomic_dec(&churn->owners[held[count].value]);
			churn->wrong += xpv_grant_try_revoke(held[count]) != 0;
		}
		WRITE_ONCE(churn->done, churn->done + 1);
		if (churn->done % 64 == 0)
			cond_resched();
	}
	while (count--) {
		atomic_dec(&churn->owners[held[count].value]);
		churn->wrong += xpv_grant_try_revoke(held[count]) != 0;
	}
	return 0;
}

static void every_reference_has_one_owner(struct kunit *test)
{
	enum { ENOUGH = 1000 };
	unsigned int limit = counts_now().frames_limit * 512, cpu, threads = 0, waited, i;
	struct churn *churns = kunit_kcalloc(test, nr_cpu_ids, sizeof(*churns), GFP_KERNEL);
	atomic_t *owners = kunit_kcalloc(test, limit, sizeof(*owners), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, churns);
	KUNIT_ASSERT_NOT_NULL(test, owners);
	for_each_online_cpu(cpu) {
		struct churn *churn = &churns[threads];

		churn->owners = owners;
		churn->limit = limit;
		churn->task = kthread_create_on_cpu(churn_thread, churn, cpu, "churn/%u");
		if (IS_ERR(churn->task))
			break;
		threads++;
		wake_up_process(churn->task);
	}
	msleep(2000);
	/* Each as much as it needs to be of use, however slow the machine. */
	for (i = 0; i < threads; i++)
		for (waited = 0; waited < 600 && READ_ONCE(churns[i].done) < ENOUGH; waited++)
			msleep(100);
	for (i = 0; i < threads; i++)
		kthread_stop(churns[i].task);
	for (i = 0; i < threads; i++) {
		KUNIT_EXPECT_GE(test, churns[i].done, (unsigned int)ENOUGH);
		KUNIT_EXPECT_EQ(test, 0u, churns[i].wrong);
	}
	KUNIT_EXPECT_GT(test, threads, 0u);
	expect_unused(test);
}

/* ---- Revoking against a domain that maps as fast as it can ---- */

struct mapper {
	struct xpv_gref target;
	unsigned int mapped;
};

static int mapper_thread(void *argument)
{
	struct mapper *mapper = argument;
	struct xpv_gfn seen;

	while (!kthread_should_stop()) {
		struct xpv_gref target = { READ_ONCE(mapper->target.value) };

		if (target.value && !xpv_fake_map_grant(backend, target, true, &seen)) {
			mapper->mapped++;
			xpv_fake_unmap_grant(target);
		}
		cond_resched();
	}
	return 0;
}

/*
 * Case 14 (XSA-396). The other end maps and unmaps a page as fast as it can
 * while the grant is revoked. A driver that asks whether the page is mapped,
 * and then ends the grant, lets it be mapped in between. Each attempt must
 * either succeed or fail with EBUSY, and in the end one must succeed.
 */
static void revoking_races_with_mapping(struct kunit *test)
{
	struct mapper mapper = {};
	struct task_struct *task = kthread_run(mapper_thread, &mapper, "mapper");
	unsigned int round, wrong = 0;

	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (round = 0; round < 20000; round++) {
		struct xpv_gref reference;
		int code;

		if (xpv_grant_page(backend, (struct xpv_pfn){ 0x2000 }, XPV_GRANT_READ_WRITE, XPV_ATOMIC, &reference)) {
			wrong++;
			continue;
		}
		WRITE_ONCE(mapper.target.value, reference.value);
		do {
			code = xpv_grant_try_revoke(reference);
			cond_resched();
		} while (code == -EBUSY);
		wrong += code != 0;
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, 0u, wrong);
	expect_unused(test);
}

/* ---- A waiter is told of what lies in another CPU's magazine ---- */

struct flag_waiter {
	struct xpv_grant_waiter waiter;
	struct completion called;
};

static void complete_waiter(struct xpv_grant_waiter *waiter)
{
	complete(&container_of(waiter, struct flag_waiter, waiter)->called);
}

static int fill_magazine(void *argument)
{
	struct xpv_gref references[8];
	struct xpv_pfn frames[8] = {};

	*(int *)argument = xpv_grant_pages(backend, XPV_GRANT_READ_WRITE, XPV_ATOMIC, frames, 8, references);
	if (*(int *)argument == 0)
		*(int *)argument = xpv_grant_revoke_pages(references, 8);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ);
	return 0;
}

static void waiter_gets_what_other_cpus_keep(struct kunit *test)
{
	struct flag_waiter *waiter = kunit_kzalloc(test, sizeof(*waiter), GFP_KERNEL);
	unsigned int cpu, i;

	KUNIT_ASSERT_NOT_NULL(test, waiter);
	waiter->waiter.function = complete_waiter;
	init_completion(&waiter->called);
	for_each_online_cpu(cpu) {
		int code = -1;
		struct task_struct *task = kthread_create_on_cpu(fill_magazine, &code, cpu, "fill/%u");

		KUNIT_ASSERT_FALSE(test, IS_ERR(task));
		wake_up_process(task);
		for (i = 0; i < 500 && READ_ONCE(code) == -1; i++)
			msleep(10);
		kthread_stop(task);
		KUNIT_EXPECT_EQ(test, 0, code);
	}
	/* All that is free now, wherever it is. */
	KUNIT_ASSERT_EQ(test, 0, xpv_grant_wait(&waiter->waiter, counts_now().free));
	KUNIT_EXPECT_GT(test, wait_for_completion_timeout(&waiter->called, 10 * HZ), 0ul);
	xpv_grant_wait_cancel(&waiter->waiter);
	KUNIT_EXPECT_EQ(test, 0u, counts_now().waiters);
	expect_unused(test);
}

/* ---- Cases that the host runs too ---- */

#define GNTTAB_CASE(name)                                                                                              \
	static void name(struct kunit *test)                                                                           \
	{                                                                                                              \
		KUNIT_EXPECT_STREQ(test, xpv_gnttab_test_##name() ?: "", "");                                          \
		expect_unused(test);                                                                                   \
	}

GNTTAB_CASE(entry_v2)
GNTTAB_CASE(entries)
GNTTAB_CASE(run)
GNTTAB_CASE(waiter)
GNTTAB_CASE(map)
GNTTAB_CASE(map_again)
GNTTAB_CASE(window)
GNTTAB_CASE(copy)

static struct kunit_case gnttab_cases[] = {
	KUNIT_CASE(grants_and_revokes_a_page),
	KUNIT_CASE(parked_page_is_held_until_let_go),
	KUNIT_CASE(pages_that_are_mapped_are_freed_later),
	KUNIT_CASE(pool_works_with_irqs_off),
	KUNIT_CASE(every_reference_has_one_owner),
	KUNIT_CASE(revoking_races_with_mapping),
	KUNIT_CASE(waiter_gets_what_other_cpus_keep),
	KUNIT_CASE(entry_v2),
	KUNIT_CASE(entries),
	KUNIT_CASE(run),
	KUNIT_CASE(waiter),
	KUNIT_CASE(map),
	KUNIT_CASE(map_again),
	KUNIT_CASE(window),
	KUNIT_CASE(copy),
	{}
};

static struct kunit_suite gnttab_suite = {
	.name = "xpv_gnttab",
	.test_cases = gnttab_cases,
};
kunit_test_suite(gnttab_suite);

MODULE_DESCRIPTION("xpv: tests of the grant tables");
MODULE_LICENSE("GPL");
