// SPDX-License-Identifier: GPL-2.0-only
#include "blkfront/ring.hh"

#include "lib/log.hh"

namespace xpv {

namespace {

constinit xpv_lock_class lock_class = {};

const char *name_of(uint8_t operation)
{
	switch (operation) {
	case BLKIF_OP_READ:
		return "read";
	case BLKIF_OP_WRITE:
		return "write";
	case BLKIF_OP_WRITE_BARRIER:
		return "barrier";
	case BLKIF_OP_FLUSH_DISKCACHE:
		return "flush";
	default:
		return "unknown";
	}
}

} // namespace

Result<Owned<Ring>> Ring::make(Domid backend, uint16_t handle)
{
	auto ring = XPV_TRY(xpv::make<Ring>(XPV_MAY_SLEEP, backend, handle));
	ring->lock_.init("xpv_blkfront_ring", lock_class);
	ring->page_ = XPV_TRY(GrantedPage::make(backend, XPV_MAY_SLEEP));
	ring->shared_.init(ring->page_.get(), page_size);
	if (ring->shared_.size() != slots)
		return Error(XEN_EINVAL);
	ring->pool_ = XPV_TRY(GrantPool::make("blkfront", slots * XPV_BLOCK_SEGMENTS));
	for (unsigned int id = 0; id < slots; id++)
		ring->free_ids_[id] = static_cast<uint8_t>(slots - 1 - id);
	ring->free_count_ = slots;
	ring->open_ = true;
	return ring;
}

/* ---- Requests ---- */

Ring::Encoded Ring::encode_locked(xpv_block_operation operation) const
{
	switch (operation) {
	case XPV_BLOCK_READ:
		return { BLKIF_OP_READ, true };
	case XPV_BLOCK_WRITE:
		return { BLKIF_OP_WRITE, true };
	case XPV_BLOCK_WRITE_THROUGH:
		/*
		 * Only barriers carry data to stable storage, and without them Linux asks for no such
		 * write. But one may have been under way when the backend became one that has none.
		 */
		return { flush_ == Flush::Barrier ? uint8_t{ BLKIF_OP_WRITE_BARRIER } : uint8_t{ BLKIF_OP_WRITE }, true };
	case XPV_BLOCK_FLUSH:
		break;
	}
	switch (flush_) {
	case Flush::Cache:
		return { BLKIF_OP_FLUSH_DISKCACHE, true };
	case Flush::Barrier:
		return { BLKIF_OP_WRITE_BARRIER, true };
	case Flush::None:
		break;
	}
	return { BLKIF_OP_FLUSH_DISKCACHE, false };
}

xpv_block_submitted Ring::submit_locked(request *owner, xpv_block_operation operation, uint64_t sector,
					const xpv_block_segments &segments)
{
	if (!open_)
		return XPV_BLOCK_DEAD;
	Encoded encoded = encode_locked(operation);
	if (!encoded.needed)
		return XPV_BLOCK_DONE;
	if (segments.count > XPV_BLOCK_SEGMENTS)
		return XPV_BLOCK_DEAD;
	if (free_count_ == 0 || shared_.full())
		return XPV_BLOCK_BUSY;

	Gref references[XPV_BLOCK_SEGMENTS];
	/* The backend writes into what we read, and only then. */
	auto access = operation == XPV_BLOCK_READ ? XPV_GRANT_READ_WRITE : XPV_GRANT_READ_ONLY;
	auto issued = pool_.issue(backend_, access, segments.frames, segments.count, references);
	if (!issued.ok()) {
		if (issued.error() == XEN_ENOSPC)
			return XPV_BLOCK_BUSY;
		XPV_ERR_LIMITED("cannot grant memory of a request: %d", issued.code());
		return XPV_BLOCK_DEAD;
	}

	uint8_t id = free_ids_[--free_count_];
	Shadow &shadow = shadows_[id];
	shadow.owner = owner;
	shadow.flush_afterwards = operation == XPV_BLOCK_WRITE_THROUGH && flush_ == Flush::Cache;
	shadow.wire.operation = encoded.operation;
	shadow.wire.nr_segments = static_cast<uint8_t>(segments.count);
	shadow.wire.handle = handle_;
	shadow.wire.id = id;
	shadow.wire.sector_number = sector;
	for (unsigned int i = 0; i < segments.count; i++) {
		shadow.wire.seg[i].gref = references[i].value;
		shadow.wire.seg[i].first_sect = segments.first_sector[i];
		shadow.wire.seg[i].last_sect = segments.last_sector[i];
	}
	shared_.put(shadow.wire);
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

xpv_block_submitted Ring::submit(request *owner, xpv_block_operation operation, uint64_t sector,
				 const xpv_block_segments &segments, bool last, bool &notify)
{
	SpinGuard guard(lock_);
	auto submitted = submit_locked(owner, operation, sector, segments);
	/* A request that is refused may have been meant to push those before it. */
	notify = last || submitted != XPV_BLOCK_QUEUED ? push_locked() : false;
	return submitted;
}

bool Ring::commit()
{
	SpinGuard guard(lock_);
	return push_locked();
}

/* ---- Responses ---- */

Ring::Violation Ring::objection_locked(const blkif_response &response) const
{
	if (response.id >= slots)
		return { "response with an id that was never used", response.id };
	const Shadow &shadow = shadows_[response.id];
	if (!shadow.owner)
		return { "response to no request in flight, id", response.id };
	if (response.operation != shadow.wire.operation)
		return { "response with another operation than asked for", response.operation };
	return {};
}

/* 0 or a negative errno, of a status that may be anything. */
int Ring::judge_locked(const Shadow &shadow, int status)
{
	if (status == BLKIF_RSP_OKAY)
		return 0;
	uint8_t operation = shadow.wire.operation;
	bool flushes = operation == BLKIF_OP_FLUSH_DISKCACHE || operation == BLKIF_OP_WRITE_BARRIER;
	bool carries_data = shadow.wire.nr_segments != 0;
	/* Backends may say only now that they cannot; and old ones call a barrier without data an error. */
	bool unsupported = flushes && (status == BLKIF_RSP_EOPNOTSUPP || (operation == BLKIF_OP_WRITE_BARRIER &&
									  !carries_data && status == BLKIF_RSP_ERROR));
	if (!unsupported)
		return -XEN_EIO;
	if (flush_ != Flush::None)
		XPV_WARNING("the backend supports no %s any more: writes are not flushed", name_of(operation));
	flush_ = Flush::None;
	/* Nothing to flush to is no error of an empty flush; data that was not written is one. */
	return carries_data ? -XEN_EIO : 0;
}

/*
 * How many pages the backend still maps. Their owners will have them back, so
 * they are parked before: the memory stays out of use until the backend lets go.
 */
unsigned int Ring::revoke_locked(const Shadow &shadow)
{
	Gref references[XPV_BLOCK_SEGMENTS];
	unsigned int count = shadow.wire.nr_segments;
	for (unsigned int i = 0; i < count; i++)
		references[i] = Gref{ shadow.wire.seg[i].gref };
	unsigned int still_mapped = pool_.revoke(references, count);
	if (still_mapped != 0)
		xpv_grant_park(references, still_mapped);
	return still_mapped;
}

/* The data is written, its pages are revoked; what is left is the flush. Its slot in the ring is free again. */
void Ring::go_on_locked(unsigned int id, Completions &completions)
{
	Shadow &shadow = shadows_[id];
	shadow.flush_afterwards = false;
	shadow.wire.operation = BLKIF_OP_FLUSH_DISKCACHE;
	shadow.wire.nr_segments = 0;
	shadow.wire.sector_number = 0;
	shared_.put(shadow.wire);
	unpushed_ = true;
	completions.went_on = true;
}

void Ring::finish_locked(unsigned int id, int error, Completions &completions)
{
	Shadow &shadow = shadows_[id];
	completions.items[completions.count++] = { .request = shadow.owner, .error = error };
	shadow.owner = nullptr;
	free_ids_[free_count_++] = static_cast<uint8_t>(id);
}

/*
 * Bounded: a response is taken only for a request in flight. None is added
 * while we have the lock but the second step of one, which is its last.
 */
Ring::Violation Ring::collect_locked(Completions &completions)
{
	for (;;) {
		auto count = shared_.responses();
		if (!count.ok())
			return { "illegal number of responses", 0 };
		for (unsigned int i = 0; i < count.value(); i++) {
			Violation violation;
			auto response = shared_.take().validate([&](const blkif_response &copy) {
				violation = objection_locked(copy);
				return !violation;
			});
			if (!response.ok())
				return violation;

			auto id = static_cast<unsigned int>(response.value().id);
			Shadow &shadow = shadows_[id];
			int error = judge_locked(shadow, response.value().status);
			unsigned int still_mapped = revoke_locked(shadow);
			if (shadow.flush_afterwards && error == 0 && still_mapped == 0)
				go_on_locked(id, completions);
			else
				/* It can still change the data: they are not to be relied on. */
				finish_locked(id, still_mapped != 0 ? -XEN_EIO : error, completions);
			if (still_mapped != 0)
				return { "pages of a finished request are still mapped:", still_mapped };
		}
		auto more = shared_.more_after_asking();
		if (!more.ok())
			return { "illegal number of responses", 0 };
		if (!more.value())
			return {};
	}
}

Ring::Violation Ring::collect(Completions &completions)
{
	SpinGuard guard(lock_);
	if (!open_)
		return {};
	Violation violation = collect_locked(completions);
	if (violation)
		open_ = false;
	return violation;
}

unsigned int Ring::in_flight()
{
	SpinGuard guard(lock_);
	unsigned int count = 0;
	for (const Shadow &shadow : shadows_)
		count += shadow.owner != nullptr;
	return count;
}

void Ring::shut()
{
	SpinGuard guard(lock_);
	open_ = false;
}

void Ring::abort(Completions &completions)
{
	SpinGuard guard(lock_);
	for (unsigned int id = 0; id < slots; id++) {
		if (!shadows_[id].owner)
			continue;
		/* However many are mapped: the answer is an error already. */
		static_cast<void>(revoke_locked(shadows_[id]));
		finish_locked(id, -XEN_EIO, completions);
	}
}

void Ring::lose(Completions &unfinished)
{
	SpinGuard guard(lock_);
	open_ = false;
	for (unsigned int id = 0; id < slots; id++) {
		if (!shadows_[id].owner)
			continue;
		/* Nobody can have them mapped: the references are free again. */
		static_cast<void>(revoke_locked(shadows_[id]));
		finish_locked(id, 0, unfinished);
	}
}

Status Ring::restart(Domid backend)
{
	constexpr unsigned int references = slots * XPV_BLOCK_SEGMENTS;
	/* It may have been restarted before, for nothing; nobody may look at the old page now. */
	shut();
	auto page = XPV_TRY(GrantedPage::make(backend, XPV_MAY_SLEEP));
	/* Fewer, if this machine's grant table is smaller: others then, or none. */
	if (pool_.available() < references) {
		pool_ = GrantPool();
		pool_ = XPV_TRY(GrantPool::make("blkfront", references));
	}
	page_ = static_cast<GrantedPage &&>(page);
	SpinGuard guard(lock_);
	backend_ = backend;
	shared_.init(page_.get(), page_size);
	flush_ = Flush::None;
	unpushed_ = false;
	open_ = true;
	return {};
}

} // namespace xpv
