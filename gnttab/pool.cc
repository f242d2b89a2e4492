// SPDX-License-Identifier: GPL-2.0-only
/* Issue and revoke the pool's references; a reference that is still mapped leaves the pool. */
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
		XPV_ERR("pool %s: destroyed with %u grant references outstanding, leaking them", name_, issued);
	}
}

void xpv_grant_pool::describe(xpv_gnttab_pool_line &line) const
{
	__builtin_memcpy(line.name, name_, sizeof(line.name));
	unsigned int available = read_once(available_);
	line.owned = read_once(owned_);
	line.issued = line.owned > available ? line.owned - available : 0;
}

Status xpv_grant_pool::issue(Domid remote, xpv_grant_access access, const Pfn *frames, unsigned int count, Gref *references)
{
	if (count > available_)
		return Error(XEN_ENOSPC);
	return table_.entries().visit([&](auto entries) -> Status {
		if (!all_grantable(entries, frames, count))
			return Error(XEN_ERANGE);
		/*
		 * permit() contains a compiler barrier; keep the free list's
		 * position in a local so it is not reloaded each time.
		 */
		const Gref *free = free_.data() + available_;
		available_ -= count;
		for (unsigned int i = 0; i < count; i++) {
			Gref reference = *--free;
			references[i] = reference;
			entries.permit(reference, remote, gfn_of(frames[i]), access);
		}
		return {};
	});
}

bool xpv_grant_pool::issue_one(Domid remote, xpv_grant_access access, Pfn frame, Gref &reference)
{
	if (available_ == 0) [[unlikely]]
		return false;
	return table_.entries().visit([&](auto entries) {
		if (!entries.grantable(gfn_of(frame))) [[unlikely]]
			return false;
		Gref taken = free_[--available_];
		reference = taken;
		entries.permit(taken, remote, gfn_of(frame), access);
		return true;
	});
}

bool xpv_grant_pool::revoke_one(Gref reference)
{
	if (!table_.has(reference)) [[unlikely]]
		return false;
	Revocation revocation = table_.entries().visit([&](auto entries) { return entries.revoke(reference); });
	if (revocation != Revocation::done) [[unlikely]]
		return false;
	free_[available_++] = reference;
	return true;
}

unsigned int xpv_grant_pool::revoke(Gref *references, unsigned int count)
{
	unsigned int still_mapped = 0;
	table_.entries().visit([&](auto entries) {
		Gref *free = free_.data() + available_;
		for (unsigned int i = 0; i < count; i++) {
			Gref reference = references[i];
			Revocation revocation = table_.has(reference) ? entries.revoke(reference) :
									Revocation::nothing_granted;
			if (revocation == Revocation::nothing_granted) [[unlikely]]
				revocation = table_.revoke(reference); /* it handles restores too */
			if (revocation == Revocation::done) [[likely]] {
				*free++ = reference;
			} else if (revocation == Revocation::still_mapped) {
				references[still_mapped++] = reference;
			} else if (revocation == Revocation::no_entry) {
				shrink(1);
			} else {
				/* Putting it on the free list twice would give two users one reference. */
				XPV_ERR_LIMITED("pool %s: cannot revoke grant reference %u, it is not granted", name_,
						reference.value);
			}
		}
		available_ = static_cast<unsigned int>(free - free_.data());
	});
	/* Counting is a locked operation: skip it on the good path. */
	if (still_mapped != 0)
		shrink(still_mapped);
	return still_mapped;
}

void xpv_grant_pool::shrink(unsigned int count)
{
	owned_ -= count;
	table_.pooled(-static_cast<int>(count));
}

/* ---- The contract, here so that a single reference costs one call and no loop ---- */

int xpv_grant_pool_create(const char *name, unsigned int capacity, xpv_grant_pool **pool)
{
	return hand_out(xpv_grant_pool::make(*the_table, name, capacity), pool);
}

void xpv_grant_pool_destroy(xpv_grant_pool *pool)
{
	destroy(pool);
}

unsigned int xpv_grant_pool_available(const xpv_grant_pool *pool)
{
	return pool->available();
}

int xpv_grant_pool_issue(xpv_grant_pool *pool, xpv_domid remote, xpv_grant_access access, const xpv_pfn *frames,
			 unsigned int count, xpv_gref *references)
{
	if (count == 1 && pool->issue_one(remote, access, *frames, *references)) [[likely]]
		return 0;
	return pool->issue(remote, access, frames, count, references).code();
}

unsigned int xpv_grant_pool_revoke(xpv_grant_pool *pool, xpv_gref *references, unsigned int count)
{
	if (count == 1 && pool->revoke_one(*references)) [[likely]]
		return 0;
	return pool->revoke(references, count);
}
