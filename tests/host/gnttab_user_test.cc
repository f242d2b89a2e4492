// SPDX-License-Identifier: GPL-2.0-only
/* What user space shares through /dev/xen/gntalloc and gntdev: who holds it, when it goes, who is told. */
#include <cstring>
#include <map>

#include "evtchn/evtchn_owned.h"
#include "hypervisor/hypercall.hh"
#include "hypervisor/hypervisor_owned.h"
#include "tests/host/gnttab_fixture.hh"

/* ---- evtchn's part of the contract: ports 20 to 29 are user space's ---- */

struct xpv_held_port {
	unsigned int holders = 0;
	unsigned int notified = 0;
};

namespace {

std::map<uint32_t, xpv_held_port> ports;
/* Called when somebody is notified. */
void (*on_notify)();

} // namespace

int xpv_event_port_hold(xpv_port port, xpv_held_port **held)
{
	if (port.value < 20 || port.value > 29)
		return -XEN_EINVAL;
	*held = &ports[port.value];
	(*held)->holders++;
	return 0;
}

void xpv_event_port_release(xpv_held_port *held)
{
	if (held)
		held->holders--;
}

int xpv_event_port_notify(xpv_held_port *held)
{
	EXPECT_GT(held->holders, 0u);
	held->notified++;
	if (on_notify)
		on_notify();
	return 0;
}

namespace {

using namespace xpv_test;

constexpr unsigned int both = XPV_UNMAP_CLEAR_BYTE | XPV_UNMAP_SEND_EVENT;

class UserFixture : public GnttabFixture {
protected:
	void TearDown() override
	{
		for (auto &[number, port] : ports)
			EXPECT_EQ(port.holders, 0u) << number;
		ports.clear();
		on_notify = nullptr;
		GnttabFixture::TearDown();
	}
};

/* ---- gntalloc ---- */

class UserPages : public UserFixture {
protected:
	void SetUp() override
	{
		UserFixture::SetUp();
		ASSERT_EQ(xpv_user_pages_open(&user), 0);
	}
	void TearDown() override
	{
		if (user)
			xpv_user_pages_close(user);
		UserFixture::TearDown();
	}
	static int allocate(xpv_user_pages *whose, unsigned int count, uint64_t *index, xpv_gref *references,
			    unsigned int limit = 100, bool writable = true)
	{
		xpv_user_pages_request request = { backend, writable, count, limit };
		return xpv_user_pages_allocate(whose, &request, index, references);
	}
	/* Whether the other end can reach it. */
	static bool reachable(xpv_gref reference, bool writable = true)
	{
		xpv_gfn frame;
		bool mapped = xpv_fake_map_grant(backend, reference, writable, &frame) == 0;
		if (mapped)
			xpv_fake_unmap_grant(reference);
		return mapped;
	}

	xpv_user_pages *user = nullptr;
	xpv_gref references[64];
	uint64_t index = 99;
};

TEST_F(UserPages, GrantedWhileTheFileHasThem)
{
	ASSERT_EQ(allocate(user, 3, &index, references), 0);
	EXPECT_EQ(index, 0u);
	EXPECT_EQ(xpv_fake_active_grants(), 3u);
	EXPECT_TRUE(reachable(references[2]));
	EXPECT_EQ(xpv_user_pages_free(user, 1, 2), 0);
	EXPECT_FALSE(reachable(references[2]));
	EXPECT_TRUE(reachable(references[0]));
	EXPECT_EQ(xpv_user_pages_free(user, 1, 2), -XEN_EINVAL);
	ASSERT_EQ(allocate(user, 1, &index, references + 1, 100, false), 0);
	EXPECT_EQ(index, 3u);
	EXPECT_FALSE(reachable(references[1], true));
	EXPECT_TRUE(reachable(references[1], false));
}

TEST_F(UserPages, OnlyWhatTheFileHas)
{
	ASSERT_EQ(allocate(user, 3, &index, references), 0);
	xpv_page_view *view;
	for (auto [first, count] :
	     { std::pair<uint64_t, unsigned int>{ 0, 0 },
	       { 0, 4 },
	       { 2, 2 },
	       { 3, 1 },
	       { ~uint64_t{ 0 }, 1 },
	       { ~uint64_t{ 0 }, 2 },
	       { 0, 0xffffffff } }) {
		EXPECT_EQ(xpv_user_pages_free(user, first, count), -XEN_EINVAL);
		EXPECT_EQ(xpv_page_view_make(user, first, count, &view), -XEN_ENOENT);
	}
	xpv_user_pages *other;
	ASSERT_EQ(xpv_user_pages_open(&other), 0);
	EXPECT_EQ(xpv_user_pages_free(other, 0, 1), -XEN_EINVAL);
	EXPECT_EQ(xpv_page_view_make(other, 0, 1, &view), -XEN_ENOENT);
	xpv_user_pages_close(other);
	EXPECT_EQ(xpv_fake_active_grants(), 3u);
}

TEST_F(UserPages, Limit)
{
	xpv_user_pages *other;
	ASSERT_EQ(xpv_user_pages_open(&other), 0);
	ASSERT_EQ(allocate(user, 6, &index, references, 10), 0);
	EXPECT_EQ(allocate(other, 5, &index, references, 10), -XEN_ENOSPC);
	EXPECT_EQ(allocate(other, 0xffffffff, &index, references, 10), -XEN_ENOSPC);
	ASSERT_EQ(allocate(other, 4, &index, references, 10), 0);
	EXPECT_EQ(allocate(other, 1, &index, references, 9), -XEN_ENOSPC);
	xpv_user_pages_close(other);
	ASSERT_EQ(allocate(user, 4, &index, references, 10), 0);
}

TEST_F(UserPages, AllOrNothing)
{
	for (unsigned int nth = 1;; nth++) {
		fake::fail_allocation(nth);
		int error = allocate(user, 3, &index, references, 3);
		if (error == 0)
			break;
		EXPECT_EQ(error, -XEN_ENOMEM);
		EXPECT_EQ(xpv_fake_active_grants(), 0u);
		ASSERT_LT(nth, 10u);
	}
	fake::fail_allocation(0);
}

TEST_F(UserPages, ViewsKeepThem)
{
	ASSERT_EQ(allocate(user, 3, &index, references), 0);
	xpv_page_view *view;
	ASSERT_EQ(xpv_page_view_make(user, 1, 2, &view), 0);
	static_cast<char *>(xpv_page_view_page(view, 0))[5] = 'x';
	xpv_page_view_hold(view);
	EXPECT_EQ(xpv_user_pages_free(user, 0, 3), 0);
	EXPECT_EQ(xpv_fake_active_grants(), 2u);
	xpv_page_view_release(view);
	EXPECT_EQ(static_cast<char *>(xpv_page_view_page(view, 0))[5], 'x');
	EXPECT_EQ(xpv_fake_active_grants(), 2u);
	xpv_page_view *again;
	EXPECT_EQ(xpv_page_view_make(user, 1, 2, &again), -XEN_ENOENT);
	xpv_page_view_release(view);
	EXPECT_EQ(xpv_fake_active_grants(), 0u);
}

TEST_F(UserPages, Notice)
{
	static char *page;
	static bool was_clear;
	ASSERT_EQ(allocate(user, 2, &index, references), 0);
	xpv_unmap_notify notify = { both, { 20 } };
	EXPECT_EQ(xpv_user_pages_set_notify(user, 2 * 4096, &notify), -XEN_ENOENT);
	notify.port.value = 1;
	EXPECT_EQ(xpv_user_pages_set_notify(user, 4096 + 7, &notify), -XEN_EINVAL);
	notify = { 8, { 20 } };
	EXPECT_EQ(xpv_user_pages_set_notify(user, 4096 + 7, &notify), -XEN_EINVAL);
	/* The last one holds. */
	notify = { both, { 20 } };
	EXPECT_EQ(xpv_user_pages_set_notify(user, 4096 + 7, &notify), 0);
	notify = { both, { 21 } };
	EXPECT_EQ(xpv_user_pages_set_notify(user, 4096 + 9, &notify), 0);
	EXPECT_EQ(ports[20].holders, 0u);
	EXPECT_EQ(ports[21].holders, 1u);
	xpv_page_view *view;
	ASSERT_EQ(xpv_page_view_make(user, 1, 1, &view), 0);
	page = static_cast<char *>(xpv_page_view_page(view, 0));
	std::memset(page, 'x', 4096);
	on_notify = [] { was_clear = page[9] == 0 && page[7] == 'x' && page[8] == 'x' && page[10] == 'x'; };
	EXPECT_EQ(xpv_user_pages_free(user, 1, 1), 0);
	EXPECT_EQ(ports[21].notified, 0u);
	xpv_page_view_release(view);
	EXPECT_EQ(ports[21].notified, 1u);
	EXPECT_EQ(ports[20].notified, 0u);
	EXPECT_TRUE(was_clear);
	/* And when the file goes. */
	notify = { XPV_UNMAP_SEND_EVENT, { 22 } };
	EXPECT_EQ(xpv_user_pages_set_notify(user, 0, &notify), 0);
	on_notify = nullptr;
	xpv_user_pages_close(std::exchange(user, nullptr));
	EXPECT_EQ(ports[22].notified, 1u);
}

TEST_F(UserPages, WhatIsStillMappedIsParked)
{
	ASSERT_EQ(allocate(user, 1, &index, references), 0);
	xpv_gfn frame;
	ASSERT_EQ(xpv_fake_map_grant(backend, references[0], true, &frame), 0);
	EXPECT_EQ(xpv_user_pages_free(user, 0, 1), 0);
	EXPECT_EQ(grant_counts().parked, 1u);
	EXPECT_EQ(held_frames(), 1u);
	xpv_fake_unmap_grant(references[0]);
}

/* ---- gntdev ---- */

constexpr xpv_domid owner = { 5 };

class UserMaps : public UserFixture {
protected:
	static constexpr unsigned int count = 3;

	void SetUp() override
	{
		UserFixture::SetUp();
		for (unsigned int i = 0; i < count; i++) {
			foreign[i] = { owner, { 100 + i } };
			theirs[i] = static_cast<char *>(xpv_fake_foreign_grant(owner, foreign[i].reference, true));
			ASSERT_NE(theirs[i], nullptr);
			std::snprintf(theirs[i], 4096, "page %u", i);
		}
		ASSERT_EQ(xpv_user_maps_open(&user), 0);
	}
	void TearDown() override
	{
		if (user)
			xpv_user_maps_close(user);
		for (unsigned int i = 0; i < count; i++)
			EXPECT_EQ(xpv_fake_foreign_end(owner, foreign[i].reference), 0u);
		EXPECT_EQ(grant_counts().foreign_stuck, 0u);
		UserFixture::TearDown();
	}
	uint64_t add(unsigned int from = 0, unsigned int number = count)
	{
		uint64_t index = ~uint64_t{ 0 };
		EXPECT_EQ(xpv_user_maps_add(user, foreign + from, number, &index), 0);
		return index;
	}
	/* A page of a view, as user space sees it. */
	static char *page(xpv_pfn first, unsigned int i)
	{
		return static_cast<char *>(xpv_fake_memory(xpv_gfn{ first.value + i }));
	}

	xpv_user_maps *user = nullptr;
	xpv_foreign_reference foreign[count];
	char *theirs[count];
	xpv_user_map *map = nullptr;
	xpv_pfn first = {};
};

TEST_F(UserMaps, MappedWhileViewed)
{
	uint64_t index = add();
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
	ASSERT_EQ(xpv_user_map_view(user, index, count, true, &map, &first), 0);
	EXPECT_EQ(xpv_fake_foreign_mapped(), count);
	for (unsigned int i = 0; i < count; i++)
		EXPECT_STREQ(page(first, i), theirs[i]);
	std::strcpy(page(first, 1), "ours");
	/* Another view, and one after the first has begun to go. */
	xpv_user_map *again;
	EXPECT_EQ(xpv_user_map_view(user, index, count, true, &again, &first), -XEN_EINVAL);
	xpv_user_map_hold(map);
	xpv_user_map_release(map);
	EXPECT_EQ(xpv_fake_foreign_mapped(), count);
	xpv_user_map_release(map);
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
	EXPECT_STREQ(theirs[1], "ours");
	/* Mapped anew. */
	ASSERT_EQ(xpv_user_map_view(user, index, count, false, &map, &first), 0);
	EXPECT_STREQ(page(first, 1), "ours");
	xpv_user_map_release(map);
	EXPECT_EQ(xpv_user_maps_remove(user, index, count), 0);
	EXPECT_EQ(xpv_user_maps_remove(user, index, count), -XEN_ENOENT);
}

TEST_F(UserMaps, RemovedWhileViewed)
{
	uint64_t index = add();
	ASSERT_EQ(xpv_user_map_view(user, index, count, true, &map, &first), 0);
	uint64_t described;
	unsigned int its_count;
	xpv_user_map_describe(map, &described, &its_count);
	EXPECT_EQ(described, index);
	EXPECT_EQ(its_count, count);
	EXPECT_EQ(xpv_user_maps_remove(user, index, count), 0);
	EXPECT_EQ(xpv_fake_foreign_mapped(), count);
	xpv_user_map_release(map);
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
}

TEST_F(UserMaps, OnlyWholeMapsOfTheFile)
{
	uint64_t index;
	EXPECT_EQ(xpv_user_maps_add(user, foreign, 0, &index), -XEN_EINVAL);
	uint64_t a = add(0, 1), b = add(1, 2);
	EXPECT_NE(a, b);
	for (auto [at, number] :
	     { std::pair<uint64_t, unsigned int>{ a, 2 }, { b, 1 }, { b + 1, 1 }, { a, 3 }, { ~uint64_t{ 0 }, 1 } }) {
		EXPECT_EQ(xpv_user_map_view(user, at, number, true, &map, &first), -XEN_EINVAL);
		EXPECT_EQ(xpv_user_maps_remove(user, at, number), -XEN_ENOENT);
	}
	EXPECT_EQ(xpv_user_maps_remove(user, a, 1), 0);
	/* A number is not used twice. */
	EXPECT_NE(add(0, 1), a);
}

TEST_F(UserMaps, WhatCannotBeMapped)
{
	uint64_t index = add();
	xpv_fake_foreign_answer(owner, foreign[1].reference, GNTST_bad_gntref, 1);
	EXPECT_EQ(xpv_user_map_view(user, index, count, true, &map, &first), -XEN_ENOENT);
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
	ASSERT_EQ(xpv_user_map_view(user, index, count, true, &map, &first), 0);
	xpv_user_map_release(map);
}

TEST_F(UserMaps, OnesOwnGrantsAreRefused)
{
	foreign[1].domain.value = XPV_FAKE_OWN_DOMID;
	uint64_t index = add();
	EXPECT_EQ(xpv_user_map_view(user, index, count, true, &map, &first), -XEN_EINVAL);
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
	foreign[1].domain = owner;
}

/* As much where Xen's CPUID does not say which domain this is, and where nothing does. */
TEST_F(UserMaps, OnesOwnGrantsAreRefusedByAnOldXen)
{
	xpv_fake_hide_domid(true);
	foreign[1].domain.value = XPV_FAKE_OWN_DOMID;
	uint64_t own = add();
	EXPECT_EQ(xpv_user_map_view(user, own, count, true, &map, &first), -XEN_EINVAL);
	foreign[1].domain = owner;
	uint64_t index = add();
	EXPECT_EQ(xpv_user_map_view(user, index, count, true, &map, &first), 0);
	xpv_user_map_release(map);
	xpv_fake_fail(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, 0, XEN_ENOSPC);
	EXPECT_EQ(xpv_user_map_view(user, index, count, true, &map, &first), -XEN_EINVAL);
	xpv_fake_hide_domid(false);
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
}

TEST_F(UserMaps, Notice)
{
	uint64_t index = add(0, 1);
	uint64_t wider = add(1, 2);
	xpv_unmap_notify notify = { both, { 20 } };
	EXPECT_EQ(xpv_user_maps_set_notify(user, (wider + 2) * 4096, &notify), -XEN_ENOENT);
	EXPECT_EQ(xpv_user_maps_set_notify(user, (wider + 1) * 4096 + 3, &notify), 0);
	ASSERT_EQ(xpv_user_map_view(user, wider, 2, true, &map, &first), 0);
	std::strcpy(page(first, 0), "abcdef");
	std::strcpy(page(first, 1), "abcdef");
	/* The other end sees the byte when it hears of it; the page is not ours any more. */
	static unsigned int mapped_then;
	on_notify = [] { mapped_then = xpv_fake_foreign_mapped(); };
	mapped_then = 99;
	EXPECT_EQ(xpv_user_maps_remove(user, wider, 2), 0);
	EXPECT_EQ(ports[20].notified, 0u);
	xpv_user_map_release(map);
	EXPECT_EQ(ports[20].notified, 1u);
	EXPECT_EQ(mapped_then, 0u);
	EXPECT_STREQ(theirs[1], "abcdef");
	EXPECT_EQ(std::memcmp(theirs[2], "abc\0ef", 7), 0);
	/* In what is read-only there is no byte to clear; one set before that is left alone. */
	notify = { both, { 21 } };
	EXPECT_EQ(xpv_user_maps_set_notify(user, index * 4096, &notify), 0);
	ASSERT_EQ(xpv_user_map_view(user, index, 1, false, &map, &first), 0);
	EXPECT_EQ(xpv_user_maps_set_notify(user, index * 4096, &notify), -XEN_EINVAL);
	xpv_user_map_release(map);
	EXPECT_STREQ(theirs[0], "page 0");
	EXPECT_EQ(ports[21].notified, 1u);
	/* Never mapped, and the file goes. */
	on_notify = nullptr;
	notify = { both, { 22 } };
	EXPECT_EQ(xpv_user_maps_set_notify(user, index * 4096, &notify), 0);
	xpv_user_maps_close(std::exchange(user, nullptr));
	EXPECT_EQ(ports[22].notified, 1u);
	EXPECT_STREQ(theirs[0], "page 0");
}

/* In the new domain the same numbers are of a grant that has nothing to do with ours. */
TEST_F(UserMaps, NoticeOfAnOlderDomainsMappingClearsNothing)
{
	uint64_t index = add(0, 1);
	xpv_unmap_notify notify = { both, { 20 } };
	EXPECT_EQ(xpv_user_maps_set_notify(user, index * 4096, &notify), 0);
	ASSERT_EQ(xpv_user_map_view(user, index, 1, true, &map, &first), 0);
	suspend();
	xpv_fake_restore();
	resume(XPV_RESUME_RESTORED);
	std::strcpy(theirs[0], "another");
	xpv_user_map_release(map);
	EXPECT_STREQ(theirs[0], "another");
	EXPECT_EQ(ports[20].notified, 1u);
	EXPECT_EQ(xpv_fake_foreign_mapped(), 0u);
}

TEST_F(UserMaps, NothingIsLeftOfOneThatCouldNotBeAdded)
{
	std::size_t before = fake::live_allocations();
	for (unsigned int nth = 1; nth <= 3; nth++) {
		fake::fail_allocation(nth);
		uint64_t index;
		EXPECT_EQ(xpv_user_maps_add(user, foreign, count, &index), -XEN_ENOMEM);
		EXPECT_EQ(fake::live_allocations(), before);
	}
	fake::fail_allocation(0);
}

TEST(GrantStatus, BackAndForth)
{
	EXPECT_EQ(xpv_grant_status(0), GNTST_okay);
	EXPECT_EQ(xpv_grant_status(-XEN_ENOENT), GNTST_bad_gntref);
	EXPECT_EQ(xpv_grant_status(-XEN_EAGAIN), GNTST_eagain);
	EXPECT_EQ(xpv_grant_status(-XEN_EINVAL), GNTST_bad_copy_arg);
	EXPECT_EQ(xpv_grant_status(-XEN_EIO), GNTST_general_error);
	EXPECT_EQ(xpv_grant_status(-12345), GNTST_general_error);
}

} // namespace
