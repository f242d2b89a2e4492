// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that user space grants to other domains: /dev/xen/gntalloc.
 *
 * A page exists while its file lists it or a view (a mapping in a user address
 * space) shows it. mutex_ guards everything of one file.
 */
#include "gnttab/gnttab.hh"
#include "gnttab/user_notify.hh"
#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/ordering.hh"

using namespace xpv;

namespace xpv {

namespace {

constinit unsigned int allocated; /* in all files */

struct UserPage : ListLink<> {
	~UserPage()
	{
		if (notify.clears())
			write_once(static_cast<unsigned char *>(page.get())[notify.offset()],
				   static_cast<unsigned char>(0));
		notify.send();
	}

	uint64_t index = 0; /* in pages, in its file */
	bool listed = false; /* the file has it */
	unsigned int views = 0;
	UnmapNotify notify;
	Page page;
	Grant grant; /* destroyed before the page, which is parked if the other end still maps it */
};

/* Account for `count` more pages. Return false, with nothing changed, if the limit does not permit it. */
bool take_allowance(unsigned int count, unsigned int limit)
{
	unsigned int before = fetch_add(allocated, count);
	if (before <= limit && count <= limit - before)
		return true;
	fetch_add(allocated, -count);
	return false;
}

} // namespace

} // namespace xpv

struct xpv_page_view {
	xpv_user_pages *user;
	unsigned int holders;
	Array<UserPage *> pages;
};

struct xpv_user_pages {
public:
	xpv_user_pages() = default;
	/* No views may be left. */
	~xpv_user_pages()
	{
		for (UserPage &page : pages_) {
			page.listed = false;
			drop_if_unused(page);
		}
	}
	xpv_user_pages(const xpv_user_pages &) = delete;
	xpv_user_pages &operator=(const xpv_user_pages &) = delete;

	[[nodiscard]] Status allocate(const xpv_user_pages_request &request, uint64_t *index, xpv_gref *references);
	[[nodiscard]] Status free(uint64_t index, unsigned int count);
	[[nodiscard]] Status set_notify(uint64_t offset, const xpv_unmap_notify &notify);
	[[nodiscard]] Result<xpv_page_view *> view(uint64_t index, unsigned int count);
	void hold(xpv_page_view &view);
	void release(xpv_page_view &view);

private:
	/* Find the `count` pages of the file with consecutive indexes from `index` on; false if one is missing. */
	[[nodiscard]] bool find(uint64_t index, unsigned int count, UserPage **found) XPV_REQUIRES(mutex_);
	void drop_if_unused(UserPage &page) XPV_REQUIRES(mutex_);

	Mutex mutex_{ "xpv gnttab user pages"_lock };
	List<UserPage> pages_ XPV_GUARDED_BY(mutex_); /* sorted by index */
	uint64_t next_index_ XPV_GUARDED_BY(mutex_) = 0;
};

void xpv_user_pages::drop_if_unused(UserPage &page)
{
	if (page.listed || page.views != 0)
		return;
	page.unlink();
	destroy(&page);
	fetch_add(allocated, -1u);
}

bool xpv_user_pages::find(uint64_t index, unsigned int count, UserPage **found)
{
	unsigned int have = 0;
	for (UserPage &page : pages_) {
		if (have == count)
			break;
		if (page.listed && page.index == index + have)
			found[have++] = &page;
	}
	return count != 0 && have == count;
}

Status xpv_user_pages::allocate(const xpv_user_pages_request &request, uint64_t *index, xpv_gref *references)
{
	if (!take_allowance(request.count, request.limit))
		return Error(XEN_ENOSPC);
	List<UserPage> made;
	unsigned int count = 0;
	OnExit undo([&] {
		while (UserPage *page = made.pop_front())
			destroy(page);
		fetch_add(allocated, -request.count);
	});
	for (; count < request.count; count++) {
		auto page = XPV_TRY(make<UserPage>(XPV_MAY_SLEEP));
		page->page = XPV_TRY(Page::make(XPV_MAY_SLEEP));
		page->grant = XPV_TRY(Grant::make(request.remote, page->page.pfn(),
						  request.writable ? XPV_GRANT_READ_WRITE : XPV_GRANT_READ_ONLY,
						  XPV_MAY_SLEEP));
		page->listed = true;
		references[count] = page->grant.reference();
		made.push_back(*page.release());
	}
	undo.dismiss();
	MutexGuard guard(mutex_);
	*index = next_index_;
	for (UserPage &page : made)
		page.index = next_index_++;
	pages_.take_all(made);
	return {};
}

Status xpv_user_pages::free(uint64_t index, unsigned int count)
{
	/* Do not allocate memory for an impossible count. */
	if (count > read_once(allocated))
		return Error(XEN_EINVAL);
	auto found = XPV_TRY(Array<UserPage *>::make(count, XPV_MAY_SLEEP));
	MutexGuard guard(mutex_);
	if (!find(index, count, found.data()))
		return Error(XEN_EINVAL);
	for (UserPage *page : found) {
		page->listed = false;
		drop_if_unused(*page);
	}
	return {};
}

Status xpv_user_pages::set_notify(uint64_t offset, const xpv_unmap_notify &notify)
{
	UserPage *page;
	MutexGuard guard(mutex_);
	if (!find(offset / page_size, 1, &page))
		return Error(XEN_ENOENT);
	return page->notify.set(offset % page_size, notify);
}

Result<xpv_page_view *> xpv_user_pages::view(uint64_t index, unsigned int count)
{
	if (count > read_once(allocated))
		return Error(XEN_ENOENT);
	auto made = XPV_TRY(make<xpv_page_view>(XPV_MAY_SLEEP));
	made->pages = XPV_TRY(Array<UserPage *>::make(count, XPV_MAY_SLEEP));
	made->user = this;
	made->holders = 1;
	MutexGuard guard(mutex_);
	if (!find(index, count, made->pages.data()))
		return Error(XEN_ENOENT);
	for (UserPage *page : made->pages)
		page->views++;
	return made.release();
}

void xpv_user_pages::hold(xpv_page_view &view)
{
	MutexGuard guard(mutex_);
	view.holders++;
}

void xpv_user_pages::release(xpv_page_view &view)
{
	MutexGuard guard(mutex_);
	if (--view.holders != 0)
		return;
	for (UserPage *page : view.pages) {
		page->views--;
		drop_if_unused(*page);
	}
	destroy(&view);
}

int xpv_user_pages_open(xpv_user_pages **user)
{
	return hand_out(make<xpv_user_pages>(XPV_MAY_SLEEP), user);
}

void xpv_user_pages_close(xpv_user_pages *user)
{
	destroy(user);
}

int xpv_user_pages_allocate(xpv_user_pages *user, const xpv_user_pages_request *request, uint64_t *index,
			    xpv_gref *references)
{
	return user->allocate(*request, index, references).code();
}

int xpv_user_pages_free(xpv_user_pages *user, uint64_t index, unsigned int count)
{
	return user->free(index, count).code();
}

int xpv_user_pages_set_notify(xpv_user_pages *user, uint64_t offset, const xpv_unmap_notify *notify)
{
	return user->set_notify(offset, *notify).code();
}

int xpv_page_view_make(xpv_user_pages *user, uint64_t index, unsigned int count, xpv_page_view **view)
{
	return hand_out(user->view(index, count), view);
}

void *xpv_page_view_page(const xpv_page_view *view, unsigned int i)
{
	return view->pages[i]->page.get();
}

void xpv_page_view_hold(xpv_page_view *view)
{
	view->user->hold(*view);
}

void xpv_page_view_release(xpv_page_view *view)
{
	view->user->release(*view);
}
