// SPDX-License-Identifier: GPL-2.0-only
/* Retry to revoke a set's references, at intervals that double, and free its pages after the last is revoked. */
#include "gnttab/parking.hh"

#include "gnttab/linux.h"
#include "gnttab/table.hh"
#include "lib/log.hh"

namespace xpv {

void Parking::park(const Gref *references, unsigned int count, ParkedPages pages)
{
	if (count == 0)
		return;

	/* Before anything can fail: these pages must not be reused even when they cannot be tracked. */
	if (!pages.pages) {
		for (unsigned int i = 0; i < count; i++)
			xpv_gnttab_hold_frame(pfn_of(table_.entries().frame(references[i])));
	}

	auto new_set = make<Set>(XPV_ATOMIC);
	auto entries = Array<Parked>::make(count, XPV_ATOMIC);
	if (!new_set.ok() || !entries.ok()) {
		table_.lost(count);
		XPV_ERR_LIMITED("no memory to track %u grant references that the other domain still maps, leaking them",
				count);
		return;
	}
	Set *set = new_set.value().release();
	set->entries = entries.take();
	for (unsigned int i = 0; i < count; i++)
		set->entries[i] = { references[i], pfn_of(table_.entries().frame(references[i])) };
	set->waiting = count;
	set->pages = pages;
	set->interval_ms = first_interval_ms;
	set->due_ms = xpv_now_ms() + first_interval_ms;

	fetch_add(count_, count);
	SpinGuard guard(lock_);
	sets_.push_back(*set);
	if (!holds_module_) {
		holds_module_ = true;
		xpv_gnttab_hold_module();
	}
	retry_by_locked(set->due_ms);
}

/* Retry the references of the set; those that are still mapped stay in it. */
void Parking::retry(Set &set)
{
	unsigned int still_mapped = 0;
	for (unsigned int i = 0; i < set.waiting; i++) {
		Parked parked = set.entries[i];
		switch (table_.revoke(parked.reference)) {
		case Revocation::still_mapped:
			set.entries[still_mapped++] = parked;
			continue;
		case Revocation::nothing_granted:
			/* Other code revoked it, so giving it back is not up to us. */
			XPV_ERR_LIMITED("grant reference %u: revoked by other code while it was parked",
					parked.reference.value);
			break;
		case Revocation::done:
			table_.give_back(parked.reference);
			break;
		case Revocation::no_entry:
			break;
		}
		if (!set.pages.pages)
			xpv_gnttab_release_frame(parked.frame);
	}
	fetch_add(count_, still_mapped - set.waiting);
	set.waiting = still_mapped;
}

/* Schedule the retry; one that is due earlier is kept. */
void Parking::retry_by_locked(uint64_t due_ms)
{
	if (due_ms >= next_retry_ms_)
		return;
	next_retry_ms_ = due_ms;
	uint64_t now = xpv_now_ms();
	work_.reschedule(due_ms > now ? static_cast<unsigned int>(due_ms - now) : 0);
}

void Parking::retry_soon()
{
	SpinGuard guard(lock_);
	for (Set &set : sets_)
		set.due_ms = 0;
	retry_by_locked(0);
}

void Parking::retry_all()
{
	List<Set> sets;
	{
		SpinGuard guard(lock_);
		sets.take_all(sets_);
		next_retry_ms_ = none;
	}

	uint64_t now = xpv_now_ms();
	for (Set &set : sets) {
		if (set.due_ms > now)
			continue;
		retry(set);
		if (set.waiting != 0) {
			set.interval_ms = set.interval_ms * 2 < longest_interval_ms ? set.interval_ms * 2 :
										      longest_interval_ms;
			set.due_ms = now + set.interval_ms;
			continue;
		}
		set.unlink();
		if (set.pages.pages)
			xpv_pages_free(set.pages.pages, set.pages.order);
		destroy(&set);
	}

	bool release_module = false;
	{
		SpinGuard guard(lock_);
		sets_.take_all(sets);
		for (Set &set : sets_)
			retry_by_locked(set.due_ms);
		if (sets_.empty())
			release_module = std::exchange(holds_module_, false);
	}
	/* Module unload waits for this work to finish before the code is freed. */
	if (release_module)
		xpv_gnttab_release_module();
}

} // namespace xpv
