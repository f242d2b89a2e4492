// SPDX-License-Identifier: GPL-2.0-only
/* The receive ring's pages: posted, recycled, taken back. */
#include "netfront/rx_ring.hh"

#include "lib/log.hh"

namespace xpv {

Result<Owned<RxRing>> RxRing::make(Domid backend, unsigned int copy_limit)
{
	Parts parts;
	parts.page = XPV_TRY(GrantedPage::make(backend, XPV_MAY_SLEEP));
	parts.shared.init(parts.page.get(), page_size);
	unsigned int slots = parts.shared.size();
	parts.pool = XPV_TRY(GrantPool::make("netfront rx", slots));
	parts.posted = XPV_TRY(Array<Buffer>::make(slots, XPV_MAY_SLEEP));
	parts.recycled = XPV_TRY(Array<Buffer>::make(slots, XPV_MAY_SLEEP));
	return xpv::make<RxRing>(XPV_MAY_SLEEP, backend, copy_limit, std::move(parts));
}

RxRing::RxRing(Domid backend, unsigned int copy_limit, Parts &&parts)
    : backend_(backend), copy_limit_(copy_limit), restores_(xpv_restore_count()), page_(std::move(parts.page)),
      shared_(parts.shared), pool_(std::move(parts.pool)), posted_(std::move(parts.posted)),
      recycled_(std::move(parts.recycled))
{
}

void RxRing::post(const Buffer &buffer)
{
	unsigned int slot = shared_.next_request_slot();
	posted_[slot] = buffer;
	shared_.put({ .id = static_cast<uint16_t>(slot), .pad = 0, .gref = buffer.reference.value });
}

RxRing::Refilled RxRing::refill(xpv_netdev_queue *linux_queue)
{
	Refilled refilled;
	if (!open_)
		return refilled;
	bool posted = recycled_count_ != 0;
	/* There is room: each came out of a slot. */
	while (recycled_count_ != 0)
		post(recycled_[--recycled_count_]);

	while (shared_.free_requests() >= refill_burst) {
		xpv_rx_page *pages[refill_burst];
		Pfn frames[refill_burst];
		Gref references[refill_burst];
		unsigned int wanted = pool_.available() < refill_burst ? pool_.available() : refill_burst;
		unsigned int count = wanted ? xpv_rx_pages_get(linux_queue, pages, frames, wanted) : 0;
		if (count == 0)
			break;
		auto granted = pool_.issue(backend_, XPV_GRANT_READ_WRITE, frames, count, references);
		if (!granted.ok()) [[unlikely]] {
			XPV_ERR_LIMITED("cannot grant pages to receive in (%pe)", err_ptr(granted.code()));
			for (unsigned int i = 0; i < count; i++)
				xpv_rx_page_put(linux_queue, pages[i]);
			break;
		}
		for (unsigned int i = 0; i < count; i++)
			post({ pages[i], references[i] });
		posted = true;
		if (count < wanted)
			break;
	}
	if (posted)
		refilled.notify = shared_.push();
	refilled.starving = shared_.outstanding() < starving_below;
	return refilled;
}

bool RxRing::pending() const
{
	if (!open_)
		return false;
	auto count = shared_.responses();
	return !count.ok() || count.value() != 0;
}

/* ---- The end of a ring ---- */

/* All pages are in one list then, in which those stay that are still mapped, with references that are not the pool's. */
void RxRing::end(xpv_netdev_queue *linux_queue)
{
	open_ = false;
	/* Clear the ring: a request taken late could name references that belong to another page by then. */
	shared_.clear();
	while (shared_.outstanding() != 0)
		recycle(take_buffer());
	unsigned int kept = 0;
	for (unsigned int i = 0; i < recycled_count_; i++) {
		Buffer buffer = recycled_[i];
		if (pool_.revoke(&buffer.reference, 1) != 0)
			recycled_[kept++] = buffer;
		else
			xpv_rx_page_put(linux_queue, buffer.page);
	}
	recycled_count_ = kept;
}

unsigned int RxRing::still_mapped(xpv_netdev_queue *linux_queue)
{
	unsigned int kept = 0;
	for (unsigned int i = 0; i < recycled_count_; i++) {
		Buffer buffer = recycled_[i];
		if (xpv_grant_revoke_pages(&buffer.reference, 1) != 0)
			recycled_[kept++] = buffer;
		else
			xpv_rx_page_put(linux_queue, buffer.page);
	}
	recycled_count_ = kept;
	return kept;
}

void RxRing::release(xpv_netdev_queue *linux_queue)
{
	while (recycled_count_ != 0) {
		const Buffer &buffer = recycled_[--recycled_count_];
		xpv_grant_park(&buffer.reference, 1);
		xpv_rx_page_put(linux_queue, buffer.page);
	}
}

} // namespace xpv
