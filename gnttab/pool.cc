// SPDX-License-Identifier: GPL-2.0-only
#include "gnttab/pool.hh"

#include "lib/log.hh"

using namespace xpv;

Result<Owned<xpv_grant_pool>> xpv_grant_pool::make(Table &table, unsigned int capacity)
{
	auto pool = XPV_TRY(xpv::make<xpv_grant_pool>(XPV_MAY_SLEEP, table));
	pool->free_ = XPV_TRY(Array<Gref>::make(capacity, XPV_MAY_SLEEP));
	XPV_TRY(table.take_many(pool->free_.data(), capacity));
	pool->available_ = pool->owned_ = capacity;
	table.pooled(static_cast<int>(capacity));
	return pool;
}

xpv_grant_pool::~xpv_grant_pool()
{
	table_.give_back_many(free_.data(), available_);
	table_.pooled(-static_cast<int>(owned_));
	unsigned int issued = owned_ - available_;
	if (issued != 0) {
		table_.lost(issued);
		XPV_ERR("a pool goes with %u references issued: lost", issued);
	}
}

Status xpv_grant_pool::issue(Domid remote, xpv_grant_access access, const Gfn *frames, unsigned int count,
			     Gref *references)
{
	if (count > available_)
		return Error(XEN_ENOSPC);
	uint64_t all = 0;
	for (unsigned int i = 0; i < count; i++)
		all |= frames[i].value;
	if (!grantable(Gfn{ all }))
		return Error(XEN_ERANGE);

	for (unsigned int i = 0; i < count; i++) {
		references[i] = free_[--available_];
		permit_access(table_.own_entry(references[i]), remote, frames[i], access);
	}
	return {};
}

unsigned int xpv_grant_pool::revoke(Gref *references, unsigned int count)
{
	unsigned int still_mapped = 0;
	for (unsigned int i = 0; i < count; i++) {
		Gref reference = references[i];
		grant_entry_v1 *entry = table_.entry(reference);
		switch (entry ? xpv::revoke(*entry) : Revocation::NothingGranted) {
		case Revocation::Done:
			free_[available_++] = reference;
			break;
		case Revocation::StillMapped:
			references[still_mapped++] = reference;
			break;
		case Revocation::NothingGranted:
			/* Twice on the free list would be two users of one reference. */
			XPV_ERR_LIMITED("reference %u is revoked, but was not granted", reference.value);
			break;
		}
	}
	/* Counting is a locked operation: not on the way where all is well. */
	if (still_mapped != 0) {
		owned_ -= still_mapped;
		table_.pooled(-static_cast<int>(still_mapped));
	}
	return still_mapped;
}
