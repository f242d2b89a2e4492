// SPDX-License-Identifier: GPL-2.0-only
/* One set of checks, run by KUnit with the kernel's flags and by tests/host with sanitizers. */
#include "tests/kunit/gnttab_kunit.h"

#include "gnttab/entry.hh"
#include "gnttab/gnttab.hh"
#include "gnttab/gnttab_owned.h"
#include "hypervisor/hypervisor_owned.h"
#include "lib/memory.hh"
#include "tests/fake/fake_hypervisor.h"
#include "tests/kunit/check.h"

namespace {

using namespace xpv;

constexpr Domid peer = { 3 };
constexpr Domid owner = { 5 };

xpv_grant_counts counts_now()
{
	xpv_grant_counts counts;
	xpv_grant_get_counts(&counts);
	return counts;
}

/* For what a work item does. */
template <typename Condition>
bool eventually(Condition condition)
{
	for (unsigned int i = 0; i < 1000; i++) {
		if (condition())
			return true;
		xpv_sleep_ms(10);
	}
	return false;
}

/* Other domains' pages that go with the test. */
class ForeignPages {
public:
	static constexpr unsigned int count = 4;

	ForeignPages()
	{
		for (unsigned int i = 0; i < count; i++)
			pages_[i] = static_cast<char *>(xpv_fake_foreign_grant(owner, reference(i), i != 3));
	}
	~ForeignPages()
	{
		for (unsigned int i = 0; i < count; i++)
			xpv_fake_foreign_end(owner, reference(i));
	}
	[[nodiscard]] bool made() const { return pages_[0] && pages_[1] && pages_[2] && pages_[3]; }
	[[nodiscard]] char *page(unsigned int i) const { return pages_[i]; }
	[[nodiscard]] static Gref reference(unsigned int i) { return Gref{ 200 + i }; }

private:
	char *pages_[count];
};

} // namespace

extern "C" {

/*
 * Case 14, in version 2: the type and the status bits are in two words. A
 * driver that makes an entry free whose status still says "reading" lets the
 * other end read the next page that is granted by it. The revocation must end
 * the permission and say still_mapped, each time, until the status is clear.
 */
const char *xpv_gnttab_test_entry_v2(void)
{
	grant_entry_v2 entry = {};
	grant_status_t status = 0;
	CHECK(revoke(entry, status) == Revocation::nothing_granted);

	permit_access(entry, peer, Gfn{ 1ull << 40 }, XPV_GRANT_READ_ONLY);
	CHECK(entry.hdr.flags == (GTF_permit_access | GTF_readonly));
	CHECK(entry.hdr.domid == peer.value && entry.full_page.frame == 1ull << 40);
	status = GTF_reading;
	CHECK(revoke(entry, status) == Revocation::still_mapped);
	CHECK((entry.hdr.flags & GTF_type_mask) == GTF_invalid);
	CHECK(entry.hdr.flags & GTF_readonly);
	CHECK(revoke(entry, status) == Revocation::still_mapped);
	status = 0;
	CHECK(revoke(entry, status) == Revocation::done);
	CHECK(entry.hdr.flags == 0 && entry.full_page.pad0 == 0);
	CHECK(revoke(entry, status) == Revocation::nothing_granted);

	permit_access(entry, peer, Gfn{ 5 }, XPV_GRANT_READ_WRITE);
	CHECK(entry.hdr.flags == GTF_permit_access);
	CHECK(revoke(entry, status) == Revocation::done);
	return nullptr;
}

const char *xpv_gnttab_test_entries(void)
{
	grant_entry_v1 v1[2] = {};
	grant_entry_v2 v2[2] = {};
	grant_status_t statuses[2] = {};
	for (const Entries &entries : { Entries(v1), Entries(v2, statuses) }) {
		constexpr Gref reference = { 1 };
		CHECK(entries.idle(1));
		entries.set_link(1, 77);
		CHECK(entries.idle(1) && entries.link(1) == 77);
		const auto try_revoke = [&](auto in_version) { return in_version.revoke(reference); };
		CHECK(entries.visit(try_revoke) == Revocation::nothing_granted);
		entries.visit([&](auto in_version) {
			in_version.permit(reference, peer, Gfn{ 9 }, XPV_GRANT_READ_WRITE);
		});
		CHECK(!entries.idle(1) && entries.idle(0));
		CHECK(entries.frame(reference) == Gfn{ 9 });
		CHECK(entries.visit(try_revoke) == Revocation::done);
		CHECK(entries.idle(1));
		entries.clean(1);
		CHECK(entries.link(1) == 0);
	}
	CHECK(EntriesV1::grantable(Gfn{ UINT32_MAX }));
	CHECK(!EntriesV1::grantable(Gfn{ 1ull << 32 }));
	CHECK(EntriesV2::grantable(Gfn{ 1ull << 32 }));
	statuses[1] = GTF_reading;
	CHECK(!Entries(v2, statuses).idle(1));
	for (grant_entry_v2 &entry : v2)
		CHECK(entry.hdr.flags == 0 && entry.hdr.domid == 0 && entry.full_page.frame == 0);
	return nullptr;
}

/*
 * Case 12, for many pages. The other end maps 40 pages, and keeps them. A
 * driver that takes them for revoked gives them back to Linux. The revocation
 * must report all 40 while they are mapped, and succeed when they are not. A
 * page that is granted read-only must not be mapped writable.
 */
const char *xpv_gnttab_test_run(void)
{
	Pfn frames[40];
	Gref references[40];
	for (unsigned int i = 0; i < 40; i++)
		frames[i] = Pfn{ 0x3000 + i };
	unsigned int before = xpv_fake_active_grants();
	CHECK(xpv_grant_pages(peer, XPV_GRANT_READ_ONLY, XPV_ATOMIC, frames, 40, references) == 0);
	CHECK(xpv_fake_active_grants() == before + 40);
	for (unsigned int i = 0; i < 40; i++) {
		Gfn seen;
		CHECK(xpv_fake_map_grant(peer, references[i], true, &seen) == -XEN_EACCES);
		CHECK(xpv_fake_map_grant(peer, references[i], false, &seen) == 0);
		CHECK(seen == gfn_of(frames[i]));
	}
	CHECK(xpv_grant_revoke_pages(references, 40) == 40);
	for (Gref reference : references)
		xpv_fake_unmap_grant(reference);
	CHECK(xpv_grant_revoke_pages(references, 40) == 0);
	CHECK(xpv_fake_active_grants() == before);
	frames[39] = Pfn{ 1ull << 32 };
	CHECK(xpv_grant_pages(peer, XPV_GRANT_READ_ONLY, XPV_ATOMIC, frames, 40, references) == -XEN_ERANGE);
	CHECK(xpv_fake_active_grants() == before);
	return nullptr;
}

struct CountingWaiter : xpv_grant_waiter {
	unsigned int calls = 0;
};

static void count_call(xpv_grant_waiter *waiter)
{
	auto *counting = static_cast<CountingWaiter *>(waiter);
	store_release(counting->calls, counting->calls + 1);
}

/* With all references in one pool, so that no CPU has any. */
const char *xpv_gnttab_test_waiter(void)
{
	CountingWaiter waiter = {};
	waiter.function = count_call;
	CHECK(xpv_grant_wait(&waiter, UINT32_MAX) == -XEN_ENOSPC);

	/* Whatever the CPUs' magazines have is on the shared list once somebody waits. */
	CHECK(xpv_grant_wait(&waiter, 1) == 0);
	CHECK(eventually([&] { return load_acquire(waiter.calls) == 1; }));

	xpv_grant_counts before = counts_now();
	unsigned int most = before.frames_limit * Entries::per_frame(before.version);
	unsigned int capacity = most - GNTTAB_NR_RESERVED_ENTRIES - before.lost -
				(before.total - before.free - before.lost);
	GrantPool pool;
	/* What has found its way into a magazine meanwhile stays out. */
	for (unsigned int left_out = 0; left_out < 64; left_out++) {
		auto made = GrantPool::make("waiter test", capacity - left_out);
		if (made.ok()) {
			pool = made.take();
			break;
		}
	}
	CHECK(pool.available() != 0);
	CHECK(xpv_grant_wait(&waiter, 100) == 0);
	CHECK(xpv_grant_wait(&waiter, 100) == -XEN_EBUSY);
	xpv_sleep_ms(50);
	CHECK(load_acquire(waiter.calls) == 1);
	CHECK(counts_now().waiters == 1);
	pool = GrantPool();
	CHECK(eventually([&] { return load_acquire(waiter.calls) == 2; }));
	CHECK(counts_now().waiters == 0);
	xpv_grant_wait_cancel(&waiter);
	CHECK(load_acquire(waiter.calls) == 2);
	return nullptr;
}

const char *xpv_gnttab_test_map(void)
{
	ForeignPages theirs;
	CHECK(theirs.made());
	Gfn first;
	CHECK(xpv_frames_claim(4, &first) == 0);
	xpv_grant_map_op maps[4];
	for (unsigned int i = 0; i < 4; i++)
		maps[i] = { owner, theirs.reference(i), XPV_GRANT_READ_WRITE, Gfn{ first.value + i }, 0, {} };
	maps[1].reference = Gref{ 199 };
	/* The fourth is granted read-only. */
	CHECK(xpv_grant_map(maps, 4) == 2);
	CHECK(maps[0].status == 0 && maps[1].status == -XEN_ENOENT && maps[2].status == 0 && maps[3].status == -XEN_EIO);
	CHECK(maps[1].handle == XPV_NO_GRANT_HANDLE);
	CHECK(counts_now().foreign_mapped == 2);
	xpv_fake_refuse_unmap(1);
	CHECK(xpv_grant_unmap(maps, 4) == 1);
	CHECK(!(maps[0].handle == XPV_NO_GRANT_HANDLE));
	CHECK(xpv_grant_unmap(maps, 4) == 0);
	CHECK(xpv_grant_unmap(maps, 4) == 0);
	CHECK(counts_now().foreign_mapped == 0 && xpv_fake_foreign_mapped() == 0);
	xpv_frames_release(first, 4);
	return nullptr;
}

const char *xpv_gnttab_test_map_again(void)
{
	ForeignPages theirs;
	CHECK(theirs.made());
	Gfn first;
	CHECK(xpv_frames_claim(1, &first) == 0);
	xpv_grant_map_op map = { owner, theirs.reference(0), XPV_GRANT_READ_WRITE, first, 0, {} };
	xpv_fake_foreign_answer(owner, theirs.reference(0), GNTST_eagain, 4);
	CHECK(xpv_grant_map(&map, 1) == 0);
	CHECK(xpv_grant_unmap(&map, 1) == 0);
	xpv_fake_foreign_answer(owner, theirs.reference(0), GNTST_eagain, UINT32_MAX);
	CHECK(xpv_grant_map(&map, 1) == 1);
	CHECK(map.status == -XEN_EAGAIN);
	xpv_frames_release(first, 1);
	return nullptr;
}

const char *xpv_gnttab_test_window(void)
{
	ForeignPages theirs;
	CHECK(theirs.made());
	Gref references[3] = { theirs.reference(0), Gref{ 199 }, theirs.reference(2) };
	CHECK(ForeignWindow::make(owner, references, 3, XPV_GRANT_READ_WRITE).code() == -XEN_ENOENT);
	CHECK(xpv_fake_foreign_mapped() == 0);
	references[1] = theirs.reference(1);
	for (unsigned int i = 0; i < 3; i++)
		theirs.page(i)[7] = static_cast<char>('a' + i);
	{
		auto made = ForeignWindow::make(owner, references, 3, XPV_GRANT_READ_WRITE);
		CHECK(made.ok());
		ForeignWindow window = made.take();
		auto *ours = static_cast<volatile char *>(window.get());
		for (unsigned int i = 0; i < 3; i++) {
			CHECK(ours[i * page_size + 7] == static_cast<char>('a' + i));
			ours[i * page_size + 8] = static_cast<char>('x' + i);
		}
		CHECK(counts_now().foreign_mapped == 3);
	}
	for (unsigned int i = 0; i < 3; i++)
		CHECK(theirs.page(i)[8] == static_cast<char>('x' + i));
	CHECK(counts_now().foreign_mapped == 0 && xpv_fake_foreign_mapped() == 0);
	return nullptr;
}

const char *xpv_gnttab_test_copy(void)
{
	ForeignPages theirs;
	CHECK(theirs.made());
	auto made = Page::make(XPV_MAY_SLEEP);
	CHECK(made.ok());
	Page page = made.take();
	auto *ours = static_cast<char *>(page.get());
	ours[0] = 'o';
	theirs.page(1)[5] = 't';
	xpv_grant_copy_op copies[] = {
		{ xpv_copy_local(page.pfn(), 0), xpv_copy_granted(owner, theirs.reference(0), 9), 1, 0 },
		{ xpv_copy_granted(owner, theirs.reference(1), 5), xpv_copy_local(page.pfn(), 1), 1, 0 },
		{ xpv_copy_local(page.pfn(), 0), xpv_copy_granted(owner, theirs.reference(3), 0), 1, 0 },
		{ xpv_copy_local(page.pfn(), 4095), xpv_copy_granted(owner, theirs.reference(0), 0), 2, 0 },
	};
	CHECK(xpv_grant_copy(copies, 4) == 2);
	CHECK(copies[0].status == 0 && copies[1].status == 0);
	CHECK(copies[2].status == -XEN_EIO && copies[3].status == -XEN_EINVAL);
	CHECK(theirs.page(0)[9] == 'o' && ours[1] == 't');
	return nullptr;
}

} /* extern "C" */
