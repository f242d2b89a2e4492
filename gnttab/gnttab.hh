/* SPDX-License-Identifier: GPL-2.0-only */
/* RAII owners for the objects of gnttab.h. */
#pragma once

#include <utility>

#include "gnttab/gnttab.h"
#include "lib/memory.hh"
#include "lib/result.hh"

namespace xpv {

/* Sole owner of one zeroed page that is granted to `remote`, read and write. */
class GrantedPage {
public:
	GrantedPage() = default;
	GrantedPage(GrantedPage &&other) : data_(std::exchange(other.data_, nullptr)), reference_(other.reference_) {}
	GrantedPage &operator=(GrantedPage &&other)
	{
		if (this != &other) {
			reset();
			data_ = std::exchange(other.data_, nullptr);
			reference_ = other.reference_;
		}
		return *this;
	}
	GrantedPage(const GrantedPage &) = delete;
	GrantedPage &operator=(const GrantedPage &) = delete;
	~GrantedPage() { reset(); }

	[[nodiscard]] static Result<GrantedPage> make(Domid remote, xpv_allocation how)
	{
		auto page = XPV_TRY(Page::make(how));
		GrantedPage granted;
		XPV_TRY(status(xpv_grant_page(remote, page.pfn(), XPV_GRANT_READ_WRITE, how, &granted.reference_)));
		granted.data_ = page.release();
		return granted;
	}

	[[nodiscard]] void *get() const { return data_; }
	[[nodiscard]] Gref reference() const { return reference_; }
	explicit operator bool() const { return data_ != nullptr; }
	/*
	 * Revoke the grant and free the page. EBUSY: the other end still maps
	 * it, and it stays granted. Any context but NMI.
	 */
	[[nodiscard]] Status try_reset()
	{
		if (!data_)
			return {};
		XPV_TRY(status(xpv_grant_try_revoke(reference_)));
		xpv_pages_free(std::exchange(data_, nullptr), 0);
		return {};
	}
	/* Revoke the grant and free the page; while the other end still maps it, both are parked instead. */
	void reset()
	{
		if (void *old = std::exchange(data_, nullptr))
			xpv_grant_revoke_and_free(&reference_, 1, old, 0);
	}

private:
	void *data_ = nullptr;
	Gref reference_ = {};
};

/*
 * Sole owner of the grant of one page to another domain. The page belongs to
 * the caller, must be freed after the grant is dropped, and must not be slab
 * memory. If the other end still maps the page when the grant is dropped, both
 * are parked.
 */
class [[nodiscard]] Grant {
public:
	Grant() = default;
	Grant(Grant &&other) : reference_(other.reference_), granted_(std::exchange(other.granted_, false)) {}
	Grant &operator=(Grant &&other)
	{
		if (this != &other) {
			reset();
			reference_ = other.reference_;
			granted_ = std::exchange(other.granted_, false);
		}
		return *this;
	}
	Grant(const Grant &) = delete;
	Grant &operator=(const Grant &) = delete;
	~Grant() { reset(); }

	[[nodiscard]] static Result<Grant> make(Domid remote, Pfn frame, xpv_grant_access access, xpv_allocation how)
	{
		Grant grant;
		XPV_TRY(status(xpv_grant_page(remote, frame, access, how, &grant.reference_)));
		grant.granted_ = true;
		return grant;
	}

	[[nodiscard]] Gref reference() const { return reference_; }
	explicit operator bool() const { return granted_; }
	/*
	 * Revoke the grant. EBUSY: still mapped, and still granted. For callers
	 * that must know whether the other end has unmapped it.
	 */
	[[nodiscard]] Status try_revoke()
	{
		if (!granted_)
			return {};
		Status revoked = status(xpv_grant_try_revoke(reference_));
		granted_ = !revoked.ok();
		return revoked;
	}
	void reset()
	{
		if (!try_revoke().ok() && std::exchange(granted_, false))
			xpv_grant_park(&reference_, 1);
	}

private:
	Gref reference_ = {};
	bool granted_ = false;
};

/* Sole owner of a window on another domain's pages. */
class [[nodiscard]] ForeignWindow {
public:
	ForeignWindow() = default;
	ForeignWindow(ForeignWindow &&other) : window_(std::exchange(other.window_, nullptr)) {}
	ForeignWindow &operator=(ForeignWindow &&other)
	{
		if (this != &other) {
			reset();
			window_ = std::exchange(other.window_, nullptr);
		}
		return *this;
	}
	ForeignWindow(const ForeignWindow &) = delete;
	ForeignWindow &operator=(const ForeignWindow &) = delete;
	~ForeignWindow() { reset(); }

	/* Map the grants. Sleeping context, as for all functions of this class but get(). */
	[[nodiscard]] static Result<ForeignWindow> make(Domid domain, const Gref *references, unsigned int count,
							xpv_grant_access access)
	{
		ForeignWindow window;
		XPV_TRY(status(xpv_grant_map_window(domain, references, count, access, &window.window_)));
		return window;
	}

	/*
	 * Return the address of the first page. The contents may change at any
	 * moment: read them through Untrusted.
	 */
	[[nodiscard]] void *get() const { return window_ ? xpv_grant_window_address(window_) : nullptr; }
	explicit operator bool() const { return window_ != nullptr; }
	void reset() { xpv_grant_unmap_window(std::exchange(window_, nullptr)); }

private:
	xpv_grant_window *window_ = nullptr;
};

/* Sole owner of a pool. Not locked. */
class GrantPool {
public:
	GrantPool() = default;
	GrantPool(GrantPool &&other) : pool_(std::exchange(other.pool_, nullptr)) {}
	GrantPool &operator=(GrantPool &&other)
	{
		if (this != &other) {
			xpv_grant_pool_destroy(pool_);
			pool_ = std::exchange(other.pool_, nullptr);
		}
		return *this;
	}
	GrantPool(const GrantPool &) = delete;
	GrantPool &operator=(const GrantPool &) = delete;
	~GrantPool() { xpv_grant_pool_destroy(pool_); }

	/* Create a pool; `name` names the owner in debugfs. */
	[[nodiscard]] static Result<GrantPool> make(const char *name, unsigned int capacity)
	{
		GrantPool pool;
		XPV_TRY(status(xpv_grant_pool_create(name, capacity, &pool.pool_)));
		return pool;
	}

	[[nodiscard]] unsigned int available() const { return xpv_grant_pool_available(pool_); }
	[[nodiscard]] Status issue(Domid remote, xpv_grant_access access, const Pfn *frames, unsigned int count,
				   Gref *references)
	{
		return status(xpv_grant_pool_issue(pool_, remote, access, frames, count, references));
	}
	/* Revoke `count` references. Return how many must be parked; they are now first in `references`. */
	[[nodiscard]] unsigned int revoke(Gref *references, unsigned int count)
	{
		return xpv_grant_pool_revoke(pool_, references, count);
	}

private:
	xpv_grant_pool *pool_ = nullptr;
};

} // namespace xpv
