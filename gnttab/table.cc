// SPDX-License-Identifier: GPL-2.0-only
/* Hand out references from a magazine, else from the shared list, else by growth of the table; take them back. */
#include "gnttab/table.hh"

#include "gnttab/foreign.hh"
#include "gnttab/pool.hh"
#include "lib/address.hh"
#include "lib/log.hh"

namespace xpv {

constinit Table *the_table = nullptr;

namespace {

void report_full(unsigned int frames, unsigned int limit, unsigned int entries)
{
	XPV_ERR_LIMITED("grant table: full, %u references in %u frames, Xen's maximum is %u frames", entries, frames,
			limit);
}

} // namespace

Result<Owned<Table>> Table::make()
{
	auto table = XPV_TRY(xpv::make<Table>(XPV_MAY_SLEEP));
	XPV_TRY(table->init());
	return table;
}

Status Table::init()
{
	cpus_ = xpv_cpu_limit();
	/* The allocator aligns to 8 bytes. */
	magazine_memory_ = XPV_TRY(Array<char>::make((cpus_ + 1) * sizeof(Magazine), XPV_MAY_SLEEP));
	size_t past = address_of(magazine_memory_.data()) % alignof(Magazine);
	magazines_ = value_at<Magazine>(magazine_memory_.data(), alignof(Magazine) - past);
	for (unsigned int cpu = 0; cpu < cpus_; cpu++)
		xpv_gnttab_set_magazine(cpu, &magazines_[cpu]);

	return {};
}

Status Table::start()
{
	for (;;) {
		wait_until_settled();
		MutexGuard growing(grow_mutex_);
		if (!suspending_)
			return start_growing();
	}
}

Status Table::start_growing()
{
	XPV_TRY(frames_.init());
	free_bits_ = XPV_TRY(Array<unsigned long>::make((most_entries() + 63) / 64, XPV_MAY_SLEEP));
	/* Add the first frame, to check that this works; further frames are added when needed. */
	return grow();
}

Table::~Table()
{
	waiters_.stop();
	grow_work_.cancel();
	parking_.stop();
	clean();
}

/* Reset the entries to what they are in a new domain, for the next user of the table. */
void Table::clean()
{
	unsigned int granted = 0;
	for (uint32_t i = GNTTAB_NR_RESERVED_ENTRIES; i < entry_count_; i++) {
		if (entries().idle(i))
			entries().clean(i);
		else
			granted++;
	}
	if (granted != 0)
		XPV_ERR("grant table: %u references are still granted at unload", granted);
}

/* ---- The shared list ---- */

uint32_t Table::pop_locked()
{
	uint32_t reference = first_free_;
	first_free_ = entries().link(reference);
	free_--;
	return reference;
}

void Table::push_locked(uint32_t reference)
{
	entries().set_link(reference, first_free_);
	first_free_ = reference;
	free_++;
}

Status Table::grow()
{
	if (suspending_)
		return Error(XEN_EAGAIN); /* retried by settle() */
	auto added = frames_.add();
	if (!added.ok()) {
		XPV_ERR_LIMITED("grant table: cannot add frame %u of %u (%pe)", frames_.count(), frames_.limit(),
				err_ptr(added.code()));
		return added;
	}

	uint32_t end = frames_.count() * frames_.entries_per_frame();
	uint32_t begin = end - frames_.entries_per_frame();
	if (begin < GNTTAB_NR_RESERVED_ENTRIES)
		begin = GNTTAB_NR_RESERVED_ENTRIES;
	unsigned int in_use = 0;
	{
		RawSpinGuard guard(list_lock_);
		/* In descending order, so that the lowest is taken first. */
		for (uint32_t reference = end; reference-- > begin;) {
			if (entries().idle(reference))
				push_locked(reference);
			else
				in_use++;
		}
		store_release(entry_count_, end);
	}
	waiters_.free_now(read_once(free_));
	if (in_use != 0) {
		XPV_WARNING("grant table: %u references are in use by an earlier user of the table, not using them",
			    in_use);
		lost(in_use);
	}
	return {};
}

void Table::grow_ahead()
{
	unsigned int wanted = exchange(wanted_, 0u);
	grow_for(wanted < low_mark ? low_mark : wanted);
}

/* Grow until `wanted` references are on the shared list. ENOSPC at Xen's maximum. */
Status Table::grow_to(unsigned int wanted)
{
	while (read_once(free_) < wanted) {
		if (frames_.count() == frames_.limit())
			return Error(XEN_ENOSPC);
		XPV_TRY(grow());
	}
	return {};
}

void Table::grow_for(unsigned int wanted)
{
	MutexGuard guard(grow_mutex_);
	ignore(grow_to(wanted)); /* retried when the next reference is taken */
}

void Table::grow_ahead_if_low(unsigned int free)
{
	if (free < low_mark && read_once(entry_count_) < most_entries())
		grow_work_.schedule();
}

/* ---- Single references ---- */

Status Table::take_slowly(Gref *references, unsigned int count, xpv_allocation how)
{
	{
		IrqsOffGuard irqs_off;
		Status taken = take_from_list(magazine(), references, count);
		if (taken.ok())
			return taken;
	}
	if (how != XPV_ATOMIC)
		return take_many(references, count);
	refused(count);
	return Error(XEN_ENOSPC);
}

/* Take what the magazine has, the rest from the list, and refill the magazine for next time. Irqs off. */
Status Table::take_from_list(Magazine &mine, Gref *references, unsigned int count)
{
	RawSpinGuard guard(list_lock_);
	if (count > free_ + mine.count)
		return Error(XEN_ENOSPC);
	unsigned int taken = 0;
	while (taken < count && mine.count != 0)
		references[taken++] = Gref{ mine.references[--mine.count] };
	while (taken < count)
		references[taken++] = Gref{ pop_locked() };
	while (!waiters_.any() && mine.count < Magazine::batch && free_ != 0)
		mine.references[mine.count++] = pop_locked();
	grow_ahead_if_low(free_);
	return {};
}

void Table::refused(unsigned int count)
{
	uint32_t entries = read_once(entry_count_);
	if (entries >= most_entries()) {
		report_full(frames_.limit(), frames_.limit(), entries);
		return;
	}
	if (count > read_once(wanted_))
		write_once(wanted_, count); /* one of two concurrent updates may be lost; its caller retries */
	grow_work_.schedule();
}

void Table::give_back_slowly(Gref reference)
{
	IrqsOffGuard irqs_off;
	if (waiters_.any()) {
		give_back_many(&reference, 1);
		return;
	}
	Magazine &mine = magazine();
	if (mine.count == Magazine::capacity) {
		RawSpinGuard guard(list_lock_);
		for (unsigned int i = 0; i < Magazine::batch; i++)
			push_locked(mine.references[--mine.count]);
	}
	mine.references[mine.count++] = reference.value;
}

/* ---- Waiting for references ---- */

Status Table::wait(xpv_grant_waiter &waiter, unsigned int wanted)
{
	unsigned int most = most_entries();
	if (most < GNTTAB_NR_RESERVED_ENTRIES || wanted > most - GNTTAB_NR_RESERVED_ENTRIES)
		return Error(XEN_ENOSPC);
	return waiters_.add(waiter, wanted);
}

void Table::empty_magazine()
{
	IrqsOffGuard irqs_off;
	Magazine &mine = magazine();
	RawSpinGuard guard(list_lock_);
	while (mine.count != 0)
		push_locked(mine.references[--mine.count]);
}

void Table::empty_magazines()
{
	struct Call : xpv_gnttab_cpu_context {
		Table *table;
	} call;
	call.table = this;
	xpv_gnttab_on_each_cpu(
		[](xpv_gnttab_cpu_context *context) { static_cast<Call *>(context)->table->empty_magazine(); }, &call);
}

unsigned int Table::shared_free()
{
	RawSpinGuard guard(list_lock_);
	return free_;
}

/* ---- Many references ---- */

Status Table::take_many(Gref *references, unsigned int count)
{
	for (;;) {
		wait_until_settled();
		MutexGuard growing(grow_mutex_);
		if (!suspending_)
			return take_many_growing(references, count);
	}
}

Status Table::take_many_growing(Gref *references, unsigned int count)
{
	/* Others may take the new references first; the table's maximum ends this loop. */
	for (;;) {
		Status grown = grow_to(count);
		if (!grown.ok())
			empty_magazines();
		if (take_from_shared(references, count))
			return {};
		if (!grown.ok())
			break;
	}
	/* Any other error than the maximum is logged where it happened. */
	if (frames_.count() == frames_.limit())
		report_full(frames_.count(), frames_.limit(), entry_count_);
	return Error(XEN_ENOSPC);
}

bool Table::take_from_shared(Gref *references, unsigned int count)
{
	RawSpinGuard guard(list_lock_);
	if (free_ < count)
		return false;
	for (unsigned int i = 0; i < count; i++)
		references[i] = Gref{ pop_locked() };
	grow_ahead_if_low(free_);
	return true;
}

void Table::give_back_many(const Gref *references, unsigned int count)
{
	unsigned int free;
	{
		RawSpinGuard guard(list_lock_);
		for (unsigned int i = 0; i < count; i++)
			push_locked(references[i].value);
		free = free_;
	}
	waiters_.free_now(free);
}

/* ---- Statistics ---- */

void Table::add(xpv_grant_pool &pool)
{
	SpinGuard guard(pools_lock_);
	pools_.push_back(pool);
}

void Table::remove(xpv_grant_pool &pool)
{
	SpinGuard guard(pools_lock_);
	pool.unlink();
}

bool Table::describe_pool(unsigned int index, xpv_gnttab_pool_line &line)
{
	SpinGuard guard(pools_lock_);
	for (xpv_grant_pool &pool : pools_) {
		if (index-- == 0) {
			pool.describe(line);
			return true;
		}
	}
	return false;
}

xpv_grant_counts Table::counts() const
{
	xpv_grant_counts counts = {};
	uint32_t entries = read_once(entry_count_);
	counts.version = frames_.version();
	counts.frames = entries / frames_.entries_per_frame();
	counts.frames_limit = frames_.limit();
	counts.total = entries > GNTTAB_NR_RESERVED_ENTRIES ? entries - GNTTAB_NR_RESERVED_ENTRIES : 0;
	counts.free = read_once(free_);
	for (unsigned int cpu = 0; cpu < cpus_; cpu++)
		counts.free += read_once(magazines_[cpu].count);
	counts.pooled = static_cast<unsigned int>(read_once(pooled_));
	counts.parked = parking_.count();
	counts.lost = static_cast<unsigned int>(read_once(lost_));
	counts.waiters = waiters_.count();
	counts.foreign_mapped = foreign_mapped();
	counts.foreign_stuck = foreign_stuck();
	return counts;
}

} // namespace xpv
