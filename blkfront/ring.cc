// SPDX-License-Identifier: GPL-2.0-only
/* The ring's requests, from the block layer to the backend. */
#include "blkfront/ring.hh"

#include "lib/log.hh"

namespace xpv {

namespace {

unsigned int sectors_of(const xpv_block_segment &segment)
{
	return segment.last_sector - segment.first_sector + 1u;
}

} // namespace

Result<Owned<Ring>> Ring::make(const Parameters &parameters)
{
	if (parameters.segments_per_slot == 0 || parameters.segments_per_slot > BLKIF_MAX_SEGMENTS_PER_REQUEST)
		return Error(XEN_EINVAL);
	Parts parts;
	parts.page = XPV_TRY(GrantedPage::make(parameters.backend, XPV_MAY_SLEEP));
	parts.shared.init(parts.page.get(), page_size);
	unsigned int slots = parts.shared.size();
	unsigned int references = slots * parameters.segments_per_slot;
	parts.pool = XPV_TRY(GrantPool::make("blkfront", references));
	parts.slots = XPV_TRY(Slots<Shadow>::make(slots, XPV_MAY_SLEEP));
	parts.still_mapped = XPV_TRY(StillMapped::make(references));
	return xpv::make<Ring>(XPV_MAY_SLEEP, parameters, std::move(parts));
}

Ring::Ring(const Parameters &parameters, Parts &&parts)
    : parameters_(parameters), slot_count_(parts.slots.count()), restores_(xpv_restore_count()),
      page_(std::move(parts.page)), shared_(parts.shared), pool_(std::move(parts.pool)), slots_(std::move(parts.slots)),
      still_mapped_(std::move(parts.still_mapped))
{
}

/*
 * Return the BLKIF_OP_* for an operation. Only a barrier writes data to stable
 * storage. Without barriers a flush follows the write, if the backend has a
 * cache to flush.
 */
uint8_t Ring::operation_locked(xpv_block_operation operation) const
{
	bool barriers = flush_locked() == Flush::barrier;
	switch (operation) {
	case XPV_BLOCK_READ:
		return BLKIF_OP_READ;
	case XPV_BLOCK_WRITE:
		return BLKIF_OP_WRITE;
	case XPV_BLOCK_WRITE_THROUGH:
		return barriers ? BLKIF_OP_WRITE_BARRIER : BLKIF_OP_WRITE;
	case XPV_BLOCK_FLUSH:
		break;
	}
	return barriers ? BLKIF_OP_WRITE_BARRIER : BLKIF_OP_FLUSH_DISKCACHE;
}

/* Grant the segments, and add them to the slot's request. */
Status Ring::grant_locked(Shadow &shadow, const xpv_block_segment *segments, unsigned int count)
{
	if (count == 0)
		return {};
	Pfn frames[BLKIF_MAX_SEGMENTS_PER_REQUEST] = {};
	Gref references[BLKIF_MAX_SEGMENTS_PER_REQUEST];
	for (unsigned int i = 0; i < count; i++)
		frames[i] = segments[i].frame;
	/* The backend writes to the pages of a read, and to no others. */
	auto access = shadow.wire.operation == BLKIF_OP_READ ? XPV_GRANT_READ_WRITE : XPV_GRANT_READ_ONLY;
	XPV_TRY(pool_.issue(parameters_.backend, access, frames, count, references));
	for (unsigned int i = 0; i < count; i++) {
		shadow.wire.seg[i].gref = references[i].value;
		shadow.wire.seg[i].first_sect = segments[i].first_sector;
		shadow.wire.seg[i].last_sect = segments[i].last_sector;
	}
	shadow.wire.nr_segments = static_cast<uint8_t>(count);
	return {};
}

/* Append `id` to the circular list that begins with `first`. */
void Ring::link_locked(unsigned int id, unsigned int first)
{
	Shadow &shadow = slots_[id];
	shadow.next = shadow.previous = id;
	if (id == first)
		return;
	shadow.next = first;
	shadow.previous = slots_[first].previous;
	slots_[shadow.previous].next = id;
	slots_[first].previous = id;
}

/*
 * Take back slots that were not put into the ring. A hostile backend may have
 * guessed a reference and mapped it: park those.
 */
void Ring::cancel_locked(unsigned int first)
{
	unsigned int id = first;
	do {
		unsigned int next = slots_[id].next;
		Gref still_mapped[BLKIF_MAX_SEGMENTS_PER_REQUEST];
		if (unsigned int count = revoke_locked(slots_[id], still_mapped))
			xpv_grant_park(still_mapped, count);
		slots_.give_back(id);
		id = next;
	} while (id != first);
}

/*
 * Put a request into the ring: all of its slots or none. The ring is written only
 * when every slot has its grants, because what the backend may have seen cannot
 * be taken back.
 */
xpv_block_submit_result Ring::queue_locked(xpv_block_request &request)
{
	if (!open_)
		return XPV_BLOCK_DEAD;
	if (request.operation == XPV_BLOCK_FLUSH && flush_locked() == Flush::none)
		return XPV_BLOCK_DONE;
	unsigned int per_slot = parameters_.segments_per_slot;
	unsigned int slots_needed = request.segment_count ? (request.segment_count + per_slot - 1) / per_slot : 1;
	if (slots_needed > slots_.count())
		return XPV_BLOCK_DEAD;
	if (slots_needed > slots_.free() || slots_needed > shared_.free_requests() ||
	    request.segment_count > pool_.available())
		return XPV_BLOCK_BUSY;

	unsigned int first = 0;
	unsigned int placed = 0;
	uint64_t sector = request.sector;
	for (unsigned int n = 0; n < slots_needed; n++) {
		unsigned int id = slots_.take();
		if (n == 0)
			first = id;
		link_locked(id, first);
		Shadow &shadow = slots_[id];
		shadow.request = &request;
		shadow.flush_afterwards = request.operation == XPV_BLOCK_WRITE_THROUGH && flush_locked() == Flush::cache;
		shadow.wire.operation = operation_locked(request.operation);
		shadow.wire.handle = parameters_.handle;
		shadow.wire.id = id;
		shadow.wire.sector_number = sector;

		unsigned int left = request.segment_count - placed;
		unsigned int count = left < per_slot ? left : per_slot;
		auto granted = grant_locked(shadow, request.segments + placed, count);
		if (!granted.ok()) {
			XPV_ERR_LIMITED("%s: cannot grant pages of a request (%pe), failing it", parameters_.disk,
					err_ptr(granted.code()));
			cancel_locked(first);
			return XPV_BLOCK_DEAD;
		}
		for (unsigned int i = 0; i < count; i++)
			sector += sectors_of(request.segments[placed + i]);
		placed += count;
	}
	unsigned int id = first;
	do {
		shared_.put(slots_[id].wire);
		id = slots_[id].next;
	} while (id != first);
	in_flight_++;
	unpushed_ = true;
	return XPV_BLOCK_QUEUED;
}

bool Ring::push_locked()
{
	if (!unpushed_ || !open_)
		return false;
	unpushed_ = false;
	return shared_.push();
}

xpv_block_submit_result Ring::submit(xpv_block_request &request, bool last, bool &notify)
{
	SpinGuard guard(lock_);
	auto submitted = queue_locked(request);
	/* If the request was refused, push the rest: it may have been the last of a batch. */
	notify = last || submitted != XPV_BLOCK_QUEUED ? push_locked() : false;
	return submitted;
}

bool Ring::commit()
{
	SpinGuard guard(lock_);
	return push_locked();
}

void Ring::set_features(const Features &features)
{
	SpinGuard guard(lock_);
	features_ = features;
}

unsigned int Ring::in_flight()
{
	SpinGuard guard(lock_);
	return in_flight_;
}

} // namespace xpv
