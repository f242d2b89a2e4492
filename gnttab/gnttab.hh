/* SPDX-License-Identifier: GPL-2.0-only */
/* Owners for what gnttab.h gives. */
#pragma once

#include <utility>

#include "gnttab/gnttab.h"
#include "lib/memory.hh"
#include "lib/result.hh"

namespace xpv {

/* Sole owner of one zeroed page that `remote` may use, read and write. */
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
		XPV_TRY(status(xpv_grant_page(remote, page.gfn(), XPV_GRANT_READ_WRITE, &granted.reference_)));
		granted.data_ = page.release();
		return granted;
	}

	[[nodiscard]] void *get() const { return data_; }
	[[nodiscard]] Gref reference() const { return reference_; }
	explicit operator bool() const { return data_ != nullptr; }
	/* The other end loses its access; the page is freed when it has let go. */
	void reset()
	{
		if (void *old = std::exchange(data_, nullptr))
			xpv_grant_revoke_and_free(&reference_, 1, old, 0);
	}

private:
	void *data_ = nullptr;
	Gref reference_ = {};
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

	[[nodiscard]] static Result<GrantPool> make(unsigned int capacity)
	{
		GrantPool pool;
		XPV_TRY(status(xpv_grant_pool_create(capacity, &pool.pool_)));
		return pool;
	}

	[[nodiscard]] unsigned int available() const { return xpv_grant_pool_available(pool_); }
	[[nodiscard]] Status issue(Domid remote, xpv_grant_access access, const Gfn *frames, unsigned int count,
				   Gref *references)
	{
		return status(xpv_grant_pool_issue(pool_, remote, access, frames, count, references));
	}
	/* How many, now first in `references`, must be parked. */
	[[nodiscard]] unsigned int revoke(Gref *references, unsigned int count)
	{
		return xpv_grant_pool_revoke(pool_, references, count);
	}

private:
	xpv_grant_pool *pool_ = nullptr;
};

} // namespace xpv
