// SPDX-License-Identifier: GPL-2.0-only
/* The ring's responses, from the backend to the block layer. docs/hostile-backends.md lists what may be wrong in them. */
#include "blkfront/ring.hh"

#include "lib/log.hh"

namespace xpv {

namespace {

const char *name_of(uint8_t operation)
{
	return operation == BLKIF_OP_WRITE_BARRIER ? "barrier" : "flush";
}

} // namespace

/* Check a response against our copy of its request. */
Ring::Violation Ring::check_locked(const blkif_response &response) const
{
	if (response.id >= slots_.count())
		return { "response with an invalid id", response.id };
	const Shadow *shadow = slots_.find(response.id);
	if (!shadow)
		return { "response to no request in flight, id", response.id };
	if (response.operation != shadow->wire.operation)
		return { "response with another operation than its request, operation", response.operation };
	return {};
}

/*
 * Return whether the status of a refused flush or barrier means that the backend
 * does not support them. A backend may find that out only on the first request.
 * Old backends refuse a barrier without data with BLKIF_RSP_ERROR. That means
 * "not supported" for the first one of a connection; later it is an I/O error.
 */
bool Ring::refused_as_unsupported_locked(const Shadow &shadow, int status, bool first_empty_barrier) const
{
	if (status == BLKIF_RSP_EOPNOTSUPP)
		return true;
	bool empty_barrier = shadow.wire.operation == BLKIF_OP_WRITE_BARRIER && shadow.wire.nr_segments == 0;
	return empty_barrier && status == BLKIF_RSP_ERROR && (first_empty_barrier || flush_withdrawn_);
}

/*
 * Convert a status from the backend, which may have any value, to 0 or a negative
 * errno. Stop flushing if the backend does not support it.
 */
int Ring::take_status_locked(const Shadow &shadow, int status)
{
	uint8_t operation = shadow.wire.operation;
	bool carries_data = shadow.wire.nr_segments != 0;
	bool first_empty_barrier = false;
	if (operation == BLKIF_OP_WRITE_BARRIER && !carries_data)
		first_empty_barrier = !std::exchange(empty_barrier_answered_, true);
	if (status == BLKIF_RSP_OKAY)
		return 0;
	if (operation != BLKIF_OP_FLUSH_DISKCACHE && operation != BLKIF_OP_WRITE_BARRIER)
		return -XEN_EIO;
	/* blkback refuses to flush a disk that it exports read-only, and there is nothing to flush. */
	if (features_.read_only && !carries_data && status == BLKIF_RSP_ERROR)
		return 0;
	if (!refused_as_unsupported_locked(shadow, status, first_empty_barrier))
		return -XEN_EIO;
	if (!std::exchange(flush_withdrawn_, true))
		XPV_WARNING_LIMITED("%s: backend withdrew %s support, writes are not flushed any more",
				    parameters_.disk, name_of(operation));
	/* Without a cache there is nothing to flush: success. A barrier's data was not written: an error. */
	return carries_data ? -XEN_EIO : 0;
}

/*
 * Revoke a slot's grants. Returns how many pages the backend still maps, with
 * their references in `still_mapped`; the pool does not own these any more.
 */
unsigned int Ring::revoke_locked(const Shadow &shadow, Gref *still_mapped)
{
	unsigned int count = shadow.wire.nr_segments;
	for (unsigned int i = 0; i < count; i++)
		still_mapped[i] = Gref{ shadow.wire.seg[i].gref };
	return pool_.revoke(still_mapped, count);
}

/*
 * Queue a flush in the slot of a completed write, whose grants are revoked. The
 * ring has room: the response freed an entry.
 */
void Ring::flush_afterwards_locked(Shadow &shadow)
{
	shadow.flush_afterwards = false;
	shadow.wire.operation = BLKIF_OP_FLUSH_DISKCACHE;
	shadow.wire.nr_segments = 0;
	shadow.wire.sector_number = 0;
	shared_.put(shadow.wire);
	unpushed_ = true;
}

/*
 * Finish a slot. The last slot of a request completes it, unless a flush has to
 * follow: then queue the flush and return false.
 */
bool Ring::finish_slot_locked(unsigned int id, int error, RequestList &done)
{
	Shadow &shadow = slots_[id];
	if (error != 0)
		shadow.error = error;
	if (shadow.next != id) {
		Shadow &next = slots_[shadow.next];
		next.previous = shadow.previous;
		slots_[shadow.previous].next = shadow.next;
		if (shadow.error != 0)
			next.error = shadow.error;
		slots_.give_back(id);
		return true;
	}
	if (shadow.flush_afterwards && shadow.error == 0) {
		flush_afterwards_locked(shadow);
		return false;
	}
	done.add(*shadow.request, shadow.error);
	slots_.give_back(id);
	in_flight_--;
	return true;
}

/*
 * Take all responses. The loop is bounded: a response is accepted only for a slot
 * in use, no slot is allocated while the lock is held, and each slot is flushed
 * at most once.
 */
Ring::Violation Ring::collect_locked(RequestList &done, Collected &collected)
{
	for (;;) {
		auto count = shared_.responses();
		if (!count.ok())
			return { "illegal rsp_prod, requests in flight:", in_flight_ };
		for (unsigned int i = 0; i < count.value(); i++) {
			Violation violation;
			/* clang's analysis does not know that the lock is held in this lambda. */
			auto response = shared_.take().validate([&](const blkif_response &copy) XPV_NO_THREAD_SAFETY_ANALYSIS {
				violation = check_locked(copy);
				return !violation;
			});
			if (!response.ok())
				return violation;

			collected.progress = true;
			auto id = static_cast<unsigned int>(response.value().id);
			int error = take_status_locked(slots_[id], response.value().status);
			Gref still_mapped[BLKIF_MAX_SEGMENTS_PER_REQUEST];
			unsigned int mapped = revoke_locked(slots_[id], still_mapped);
			if (mapped != 0) {
				/*
				 * The backend can still write to these pages. Park them before the
				 * request completes and its owner frees them, so that they are not
				 * reused until the backend has unmapped them.
				 */
				xpv_grant_park(still_mapped, mapped);
				error = -XEN_EIO;
			}
			if (!finish_slot_locked(id, error, done))
				collected.notify = true;
			if (mapped != 0)
				return { "backend still maps pages of a finished request, pages:", mapped };
		}
		auto more = shared_.more_after_asking();
		if (!more.ok())
			return { "illegal rsp_prod, requests in flight:", in_flight_ };
		if (!more.value())
			return {};
	}
}

Ring::Collected Ring::collect(RequestList &done)
{
	SpinGuard guard(lock_);
	Collected collected;
	if (!open_ || xpv_restore_count() != restores_)
		return collected;
	collected.violation = collect_locked(done, collected);
	if (collected.violation)
		open_ = false;
	if (collected.notify)
		collected.notify = push_locked();
	return collected;
}

void Ring::end(RequestList &unfinished)
{
	SpinGuard guard(lock_);
	open_ = false;
	/* Clear the ring: a request taken late could name references that belong to another request by then. */
	shared_.clear();
	for (unsigned int id = 0; id < slots_.count(); id++) {
		Shadow *shadow = slots_.find(id);
		if (!shadow)
			continue;
		Gref still_mapped[BLKIF_MAX_SEGMENTS_PER_REQUEST];
		still_mapped_.add(still_mapped, revoke_locked(*shadow, still_mapped));
		shadow->flush_afterwards = false;
		/* It finishes the slot: no flush can follow. */
		ignore(finish_slot_locked(id, 0, unfinished));
	}
}

unsigned int Ring::retry_revoke()
{
	SpinGuard guard(lock_);
	return still_mapped_.revoke();
}

} // namespace xpv
