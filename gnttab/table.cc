// SPDX-License-Identifier: GPL-2.0-only
#include "gnttab/table.hh"

#include "lib/log.hh"

namespace xpv {

namespace {

constinit xpv_lock_class grow_mutex_class = {};
constinit xpv_lock_class list_lock_class = {};
constinit xpv_lock_class grow_work_class = {};

} // namespace

constinit Table *the_table = nullptr;

Result<Owned<Table>> Table::make()
{
	auto table = XPV_TRY(xpv::make<Table>(XPV_MAY_SLEEP));
	XPV_TRY(table->init());
	return table;
}

Status Table::init()
{
	grow_mutex_.init("xpv_gnttab_grow", grow_mutex_class);
	list_lock_.init("xpv_gnttab_list", list_lock_class);
	parking_.init();

	cpus_ = xpv_cpu_limit();
	magazine_memory_ = xpv_alloc_large(cpus_ * sizeof(Magazine) + alignof(Magazine));
	if (!magazine_memory_)
		return Error(XEN_ENOMEM);
	auto address = reinterpret_cast<uintptr_t>(magazine_memory_);
	address = (address + alignof(Magazine) - 1) & ~(alignof(Magazine) - 1);
	magazines_ = reinterpret_cast<Magazine *>(address);

	XPV_TRY(frames_.init());
	xpv_work_init(&grow_work_, grow_ahead, reinterpret_cast<xpv_work_context *>(this), "xpv_gnttab_grow_work",
		      &grow_work_class);
	grow_work_ready_ = true;
	/* Further frames come when they are needed; the first shows that it works. */
	MutexGuard guard(grow_mutex_);
	return grow();
}

Table::~Table()
{
	if (grow_work_ready_)
		xpv_work_cancel(&grow_work_);
	parking_.stop();
	clean();
	xpv_free(magazine_memory_);
}

/* Leave the entries as a new domain finds them, for whoever uses the table next. */
void Table::clean()
{
	unsigned int granted = 0;
	for (uint32_t i = GNTTAB_NR_RESERVED_ENTRIES; i < entry_count_; i++) {
		grant_entry_v1 &entry = frames_.entries()[i];
		if (read_once(entry.flags) != 0) {
			granted++;
			continue;
		}
		write_once(entry.frame, 0);
		write_once(entry.domid, 0);
	}
	if (granted != 0)
		XPV_ERR("%u references are still granted at unload", granted);
}

/* ---- The shared list ---- */

uint32_t Table::pop_locked()
{
	uint32_t reference = first_free_;
	first_free_ = frames_.entries()[reference].frame;
	free_--;
	return reference;
}

void Table::push_locked(uint32_t reference)
{
	frames_.entries()[reference].frame = first_free_;
	first_free_ = reference;
	free_++;
}

/* With grow_mutex_ held. */
Status Table::grow()
{
	auto added = frames_.add();
	if (!added.ok()) {
		if (added.error() == XEN_ENOSPC)
			XPV_ERR_LIMITED("the grant table is full, with the %u frames that Xen allows",
					frames_.limit());
		else
			XPV_ERR_LIMITED("cannot add frame %u to the grant table: %d", frames_.count(), added.code());
		return added;
	}

	uint32_t end = frames_.count() * TableFrames::entries_per_frame;
	uint32_t begin = end - TableFrames::entries_per_frame;
	if (begin < GNTTAB_NR_RESERVED_ENTRIES)
		begin = GNTTAB_NR_RESERVED_ENTRIES;
	unsigned int in_use = 0;
	{
		SpinGuard guard(list_lock_);
		/* Downwards, so that the lowest is taken first. */
		for (uint32_t reference = end; reference-- > begin;) {
			if (read_once(frames_.entries()[reference].flags) == 0)
				push_locked(reference);
			else
				in_use++;
		}
		store_release(entry_count_, end);
	}
	if (in_use != 0) {
		XPV_WARNING("%u references were granted by somebody before us: left alone", in_use);
		lost(in_use);
	}
	return {};
}

void Table::grow_ahead(xpv_work_context *context)
{
	auto *table = reinterpret_cast<Table *>(context);
	MutexGuard guard(table->grow_mutex_);
	if (read_once(table->free_) >= low_mark || table->frames_.count() == table->frames_.limit())
		return;
	ignore(table->grow()); /* logged there; tried again when the next reference is taken */
}

void Table::grow_ahead_if_low(unsigned int free)
{
	if (free < low_mark && read_once(entry_count_) < frames_.limit() * TableFrames::entries_per_frame)
		xpv_work_schedule(&grow_work_, 0);
}

/* ---- Single references ---- */

Result<Gref> Table::take()
{
	IrqsOffGuard irqs_off;
	Magazine &mine = magazine();
	if (mine.count == 0) {
		SpinGuard guard(list_lock_);
		while (mine.count < Magazine::batch && free_ != 0)
			mine.references[mine.count++] = pop_locked();
		grow_ahead_if_low(free_);
		if (mine.count == 0)
			return Error(XEN_ENOSPC);
	}
	return Gref{ mine.references[--mine.count] };
}

void Table::give_back(Gref reference)
{
	IrqsOffGuard irqs_off;
	Magazine &mine = magazine();
	if (mine.count == Magazine::capacity) {
		SpinGuard guard(list_lock_);
		for (unsigned int i = 0; i < Magazine::batch; i++)
			push_locked(mine.references[--mine.count]);
	}
	mine.references[mine.count++] = reference.value;
}

/* ---- Many references ---- */

Status Table::take_many(Gref *references, unsigned int count)
{
	MutexGuard growing(grow_mutex_);
	for (;;) {
		{
			SpinGuard guard(list_lock_);
			if (free_ >= count) {
				for (unsigned int i = 0; i < count; i++)
					references[i] = Gref{ pop_locked() };
				grow_ahead_if_low(free_);
				return {};
			}
		}
		/* Whatever the reason: there are not that many, and the log says why. */
		if (!grow().ok())
			return Error(XEN_ENOSPC);
	}
}

void Table::give_back_many(const Gref *references, unsigned int count)
{
	SpinGuard guard(list_lock_);
	for (unsigned int i = 0; i < count; i++)
		push_locked(references[i].value);
}

/* ---- Seeing ---- */

xpv_grant_counts Table::counts() const
{
	xpv_grant_counts counts = {};
	uint32_t entries = read_once(entry_count_);
	counts.frames = entries / TableFrames::entries_per_frame;
	counts.frames_limit = frames_.limit();
	counts.total = entries - GNTTAB_NR_RESERVED_ENTRIES;
	counts.free = read_once(free_);
	for (unsigned int cpu = 0; cpu < cpus_; cpu++)
		counts.free += read_once(magazines_[cpu].count);
	counts.pooled = static_cast<unsigned int>(read_once(pooled_));
	counts.parked = parking_.count();
	counts.lost = static_cast<unsigned int>(read_once(lost_));
	return counts;
}

} // namespace xpv
