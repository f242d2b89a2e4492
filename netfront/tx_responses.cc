// SPDX-License-Identifier: GPL-2.0-only
/* The transmit ring's responses, from the backend to Linux, and the end of a ring. */
#include "netfront/tx_ring.hh"

namespace xpv {

/*
 * Whose response the next event is for: half of what is in flight. So many come
 * back with few events, and none waits for packets that are submitted later. (A
 * later one would hold up TCP, which has two packets in flight in a queue.)
 */
unsigned int TxRing::event_distance() const
{
	unsigned int outstanding = shared_.outstanding();
	return outstanding < 2 ? 1 : outstanding - outstanding / 2;
}

/* A segment has come back, or never will. */
void TxRing::finish(unsigned int id, int16_t status, Collected &collected)
{
	Shadow &shadow = slots_[id];
	Shadow &first = slots_[shadow.first];
	if (shadow.staging < no_data)
		free_staging_[free_count_++] = shadow.staging;
	if (status != NETIF_RSP_OKAY && first.status != NETIF_RSP_ERROR)
		first.status = status == NETIF_RSP_DROPPED ? NETIF_RSP_DROPPED : NETIF_RSP_ERROR;
	unsigned int first_id = shadow.first;
	/* The first id keeps what is the packet's until the last one is back. */
	if (id != first_id)
		slots_.give_back(id);
	if (--first.missing != 0)
		return;
	if (first.owner) {
		owners_[owner_count_++] = first.owner;
		collected.dropped += first.status == NETIF_RSP_DROPPED;
		collected.errors += first.status == NETIF_RSP_ERROR;
	} else if (first.status != NETIF_RSP_OKAY) {
		collected.filter_refused = true;
	}
	slots_.give_back(first_id);
}

Violation TxRing::take_responses(unsigned int count, Collected &collected)
{
	for (unsigned int i = 0; i < count; i++) {
		Violation violation;
		auto response = shared_.take().validate([&](const netif_tx_response &copy) {
			if (copy.status == NETIF_RSP_NULL) {
				if (extras_ == 0)
					violation = { "response to no extra info, id", copy.id };
			} else if (copy.id >= slots_.count()) {
				violation = { "transmit response with an id that was never used", copy.id };
			} else if (const Shadow *shadow = slots_.find(copy.id); !shadow || shadow->answered) {
				violation = { "response to no packet in flight, id", copy.id };
			}
			return !violation;
		});
		if (!response.ok()) [[unlikely]]
			return violation;
		collected.progress = true;
		if (response.value().status == NETIF_RSP_NULL) {
			extras_--;
			continue;
		}
		unsigned int id = response.value().id;
		Shadow &shadow = slots_[id];
		shadow.answered = true;
		if (shadow.staging == not_staged)
			revoking_[revoking_count_++] = shadow.reference;
		finish(id, response.value().status, collected);
	}
	return {};
}

/* Their owners will have the pages back, so what is still mapped is parked before. */
Violation TxRing::revoke_done()
{
	unsigned int count = std::exchange(revoking_count_, 0);
	if (count == 0)
		return {};
	unsigned int mapped = pool_.revoke(revoking_.data(), count);
	if (mapped == 0) [[likely]]
		return {};
	xpv_grant_park(revoking_.data(), mapped);
	return { "pages of a transmitted packet are still mapped:", mapped };
}

/* Bounded: a response is taken only for what is outstanding, and nothing is submitted meanwhile. */
Violation TxRing::take_all(Collected &collected)
{
	for (;;) {
		auto count = shared_.responses();
		if (!count.ok()) [[unlikely]]
			return { "illegal number of transmit responses", 0 };
		if (Violation violation = take_responses(count.value(), collected)) [[unlikely]]
			return violation;
		auto more = shared_.more_after_asking(event_distance());
		if (!more.ok()) [[unlikely]]
			return { "illegal number of transmit responses", 0 };
		if (!more.value())
			return {};
	}
}

TxRing::Collected TxRing::collect(unsigned int least)
{
	Collected collected;
	owner_count_ = 0;
	if (!open_ || xpv_restore_count() != restores_)
		return collected;
	/* Nothing is asked for then: the event that was asked for before comes. */
	if (least != 0) {
		auto count = shared_.responses();
		if (count.ok() && count.value() < least)
			return collected;
	}
	collected.violation = take_all(collected);
	Violation mapped = revoke_done();
	if (!collected.violation)
		collected.violation = mapped;
	if (collected.violation)
		open_ = false;
	collected.owners = { owners_.data(), owner_count_ };
	return collected;
}

bool TxRing::pending() const
{
	if (!open_)
		return false;
	auto count = shared_.responses();
	return !count.ok() || count.value() != 0;
}

/* ---- The end of a ring ---- */

/* Free the pages to stage in, except those that are still mapped. */
void TxRing::drop_staging()
{
	for (Staging &staging : staging_) {
		if (!staging.page)
			continue;
		unsigned int mapped = staging.lost ? xpv_grant_revoke_pages(&staging.reference, 1) :
						     pool_.revoke(&staging.reference, 1);
		staging.lost = mapped != 0;
		if (mapped == 0)
			xpv_pages_free(std::exchange(staging.page, nullptr), 0);
	}
}

std::span<xpv_tx_owner *const> TxRing::end()
{
	open_ = false;
	owner_count_ = 0;
	/* Clear the ring: a request taken late could name references that belong to another packet by then. */
	if (!std::exchange(ended_, true))
		shared_.clear();
	Collected unused;
	for (unsigned int id = 0; id < slots_.count(); id++) {
		Shadow *shadow = slots_.find(id);
		if (!shadow || shadow->answered)
			continue;
		/* Not by the pool, from which a reference that is still mapped would go. */
		if (shadow->staging == not_staged) {
			Gref reference = shadow->reference;
			if (shadow->lost) {
				if (xpv_grant_revoke_pages(&reference, 1) != 0)
					continue;
			} else if (pool_.revoke(&reference, 1) != 0) {
				shadow->lost = true;
				continue;
			}
		}
		shadow->answered = true;
		finish(id, NETIF_RSP_DROPPED, unused);
	}
	drop_staging();
	return { owners_.data(), owner_count_ };
}

unsigned int TxRing::still_mapped() const
{
	unsigned int count = 0;
	for (const Staging &staging : staging_)
		count += staging.page != nullptr;
	for (unsigned int id = 0; id < slots_.count(); id++) {
		const Shadow *shadow = slots_.find(id);
		count += shadow && !shadow->answered;
	}
	return count;
}

std::span<xpv_tx_owner *const> TxRing::release()
{
	/* What can be revoked by now; the others are added. */
	[[maybe_unused]] auto returned_below = end();
	Collected unused;
	for (unsigned int id = 0; id < slots_.count(); id++) {
		Shadow *shadow = slots_.find(id);
		if (!shadow || shadow->answered)
			continue;
		xpv_grant_park(&shadow->reference, 1);
		shadow->answered = true;
		finish(id, NETIF_RSP_DROPPED, unused);
	}
	return { owners_.data(), owner_count_ };
}

} // namespace xpv
