/* SPDX-License-Identifier: GPL-2.0-only */
/* References that are reserved for one user. */
#pragma once

#include "gnttab/linux.h"
#include "gnttab/table.hh"

struct xpv_grant_pool : xpv::ListLink<> {
public:
	[[nodiscard]] static xpv::Result<xpv::Owned<xpv_grant_pool>> make(xpv::Table &table, const char *name,
									  unsigned int capacity);
	explicit xpv_grant_pool(xpv::Table &table) : table_(table) {}
	~xpv_grant_pool();
	xpv_grant_pool(const xpv_grant_pool &) = delete;
	xpv_grant_pool &operator=(const xpv_grant_pool &) = delete;

	[[nodiscard]] unsigned int available() const { return available_; }
	[[nodiscard]] xpv::Status issue(xpv::Domid remote, xpv_grant_access access, const xpv::Pfn *frames,
					unsigned int count, xpv::Gref *references);
	[[nodiscard]] unsigned int revoke(xpv::Gref *references, unsigned int count);
	/* Issue one reference on the fast path. If false, nothing was done: call issue(). */
	[[nodiscard, gnu::always_inline]] inline bool issue_one(xpv::Domid remote, xpv_grant_access access,
								xpv::Pfn frame, xpv::Gref &reference);
	/*
	 * Revoke one reference on the fast path. If false, nothing was done
	 * that revoke() would not do: call revoke().
	 */
	[[nodiscard, gnu::always_inline]] inline bool revoke_one(xpv::Gref reference);

	/* Drop the free references whose entries are gone in a new domain. On the only CPU that runs. */
	void restore();

	/* Describe the pool for debugfs, while the owner may issue and revoke. */
	void describe(xpv_gnttab_pool_line &line) const;

private:
	void shrink(unsigned int count);

	xpv::Table &table_;
	xpv::Array<xpv::Gref> free_; /* the first available_ are free */
	unsigned int available_ = 0;
	unsigned int owned_ = 0; /* available or issued */
	char name_[XPV_GRANT_POOL_NAME] = {};
};
