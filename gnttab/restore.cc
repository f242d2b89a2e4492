// SPDX-License-Identifier: GPL-2.0-only
/* The table after a restore in another domain: the table is empty, while references are still issued. */
#include "gnttab/foreign.hh"
#include "gnttab/linux.h"
#include "gnttab/pool.hh"
#include "gnttab/table.hh"
#include "hypervisor/suspend_part.h"
#include "lib/log.hh"

using namespace xpv;

namespace xpv {

/* Stop growth: a frame added during the suspend would exist in the old domain only. */
void Table::prepare()
{
	MutexGuard guard(grow_mutex_);
	suspending_ = true;
}

void Table::settle()
{
	{
		MutexGuard guard(grow_mutex_);
		suspending_ = false;
	}
	settled_.wake_all();
	grow_work_.schedule();
	waiters_.look_again();
	parking_.retry_soon();
}

void Table::wait_until_settled()
{
	constexpr unsigned int slice_ms = 1000;
	while (!settled_.wait_ms(slice_ms, [this] { return !read_once(suspending_); })) {
	}
}

/* Record the shared list in a bitmap: its links are in the entries, which the new table does not have. */
void Table::save_free_list()
{
	for (unsigned long &word : free_bits_)
		word = 0;
	for (uint32_t reference = first_free_; reference != end_of_list; reference = entries().link(reference))
		set_bit(reference, free_bits_.data());
}

Status Table::restore()
{
	uint32_t before = entry_count_;
	Status restored = frames_.restore();
	entry_count_ = frames_.count() * frames_.entries_per_frame();
	if (entry_count_ < before)
		lost_end_ = before > lost_end_ ? before : lost_end_;

	first_free_ = end_of_list;
	free_ = 0;
	for (uint32_t reference = entry_count_; reference-- > GNTTAB_NR_RESERVED_ENTRIES;) {
		if (was_free(reference))
			push_locked(reference);
		else
			entries().set_withdrawn(reference);
	}
	/* Free references in magazines and pools were not granted either. */
	for (unsigned int cpu = 0; cpu < cpus_; cpu++) {
		Magazine &magazine = magazines_[cpu];
		unsigned int kept = 0;
		for (unsigned int i = 0; i < magazine.count; i++) {
			if (!has(Gref{ magazine.references[i] }))
				continue;
			entries().clear_withdrawn(magazine.references[i]);
			magazine.references[kept++] = magazine.references[i];
		}
		magazine.count = kept;
	}
	for (xpv_grant_pool &pool : pools_)
		pool.restore();

	if (entry_count_ < before)
		XPV_ERR("grant table: only %u frames on this host, grant references from %u on are lost (%pe)",
			frames_.count(), entry_count_, err_ptr(restored.code()));
	return restored;
}

namespace {

int prepare(uint64_t)
{
	the_table->prepare();
	return 0;
}

void abandon()
{
	the_table->settle();
}

void suspend_early()
{
	the_table->save_free_list();
}

int resume_early(xpv_resume_kind kind)
{
	if (kind != XPV_RESUME_RESTORED)
		return 0;
	foreign_restore();
	return the_table->restore().code();
}

void resume_late(xpv_resume_kind)
{
	the_table->settle();
}

} // namespace

} // namespace xpv

constinit xpv_suspend_part xpv_gnttab_suspend_part = {
	.name = "grant table",
	.layer = XPV_SUSPEND_GNTTAB,
	.prepare = prepare,
	.abandon = abandon,
	.suspend_early = suspend_early,
	.resume_early = resume_early,
	.resume_cpu = nullptr,
	.resume_late = resume_late,
	.next = nullptr,
	.prepared = false,
};

void xpv_grant_pool::restore()
{
	unsigned int kept = 0;
	for (unsigned int i = 0; i < available_; i++) {
		if (!table_.has(free_[i]))
			continue;
		table_.entries().clear_withdrawn(free_[i].value);
		free_[kept++] = free_[i];
	}
	shrink(available_ - kept);
	available_ = kept;
}
