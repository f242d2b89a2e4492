/* SPDX-License-Identifier: GPL-2.0-only */
/* References of one user's own. */
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
	/* One reference where nothing is in the way; if false, nothing was done but what the functions above then do. */
	[[nodiscard, gnu::always_inline]] inline bool issue_one(xpv::Domid remote, xpv_grant_access access,
								xpv::Pfn frame, xpv::Gref &reference);
	[[nodiscard, gnu::always_inline]] inline bool revoke_one(xpv::Gref reference);

	/* In a new domain, on the only CPU that runs: without those whose entries are gone. */
	void restore();

	/* For others than the owner, who meanwhile issues and revokes. */
	void describe(xpv_gnttab_pool_line &line) const;

private:
	void shrink(unsigned int count);

	xpv::Table &table_;
	xpv::Array<xpv::Gref> free_; /* the first available_ */
	unsigned int available_ = 0;
	unsigned int owned_ = 0; /* available or issued */
	char name_[XPV_GRANT_POOL_NAME] = {};
};
