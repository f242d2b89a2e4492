// SPDX-License-Identifier: GPL-2.0-only
#include "gnttab/pool.hh"

#include "lib/log.hh"

using namespace xpv;

Result<Owned<xpv_grant_pool>> xpv_grant_pool::make(Table &table, const char *name, unsigned int capacity)
{
	auto pool = XPV_TRY(xpv::make<xpv_grant_pool>(XPV_MAY_SLEEP, table));
	pool->free_ = XPV_TRY(Array<Gref>::make(capacity, XPV_MAY_SLEEP));
	XPV_TRY(table.take_many(pool->free_.data(), capacity));
	pool->available_ = pool->owned_ = capacity;
	xpv_format(pool->name_, sizeof(pool->name_), "%s", name);
	table.pooled(static_cast<int>(capacity));
	table.add(*pool);
	return pool;
}

xpv_grant_pool::~xpv_grant_pool()
{
	table_.remove(*this);
	table_.give_back_many(free_.data(), available_);
	table_.pooled(-static_cast<int>(owned_));
	unsigned int issued = owned_ - available_;
	if (issued != 0) {
		table_.lost(issued);
		XPV_ERR("pool %s goes with %u references issued: lost", name_, issued);
	}
}

void xpv_grant_pool::describe(xpv_gnttab_pool_line &line) const
{
	__builtin_memcpy(line.name, name_, sizeof(line.name));
	unsigned int available = read_once(available_);
	line.owned = read_once(owned_);
	line.issued = line.owned > available ? line.owned - available : 0;
}

Status xpv_grant_pool::issue(Domid remote, xpv_grant_access access, const Gfn *frames, unsigned int count,
			     Gref *references)
{
	if (count > available_)
		return Error(XEN_ENOSPC);
	const Entries entries = table_.entries();
	if (!all_grantable(entries, frames, count))
		return Error(XEN_ERANGE);

	for (unsigned int i = 0; i < count; i++) {
		references[i] = free_[--available_];
		entries.permit(references[i], remote, frames[i], access);
	}
	return {};
}

unsigned int xpv_grant_pool::revoke(Gref *references, unsigned int count)
{
	unsigned int still_mapped = 0;
	for (unsigned int i = 0; i < count; i++) {
		Gref reference = references[i];
		switch (table_.revoke(reference)) {
		case Revocation::Done:
			free_[available_++] = reference;
			break;
		case Revocation::StillMapped:
			references[still_mapped++] = reference;
			break;
		case Revocation::NoEntry:
			shrink(1);
			break;
		case Revocation::NothingGranted:
			/* Twice on the free list would be two users of one reference. */
			XPV_ERR_LIMITED("reference %u is revoked, but was not granted", reference.value);
			break;
		}
	}
	/* Counting is a locked operation: not on the way where all is well. */
	if (still_mapped != 0)
		shrink(still_mapped);
	return still_mapped;
}

void xpv_grant_pool::shrink(unsigned int count)
{
	owned_ -= count;
	table_.pooled(-static_cast<int>(count));
}
