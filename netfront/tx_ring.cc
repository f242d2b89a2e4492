// SPDX-License-Identifier: GPL-2.0-only
/* The transmit ring's packets, from Linux to the backend. */
#include "netfront/tx_ring.hh"

#include "lib/log.hh"

namespace xpv {

Result<Owned<TxRing>> TxRing::make(Domid backend)
{
	Parts parts;
	parts.page = XPV_TRY(GrantedPage::make(backend, XPV_MAY_SLEEP));
	parts.shared.init(parts.page.get(), page_size);
	unsigned int slots = parts.shared.size();
	/* A slot may be in use with a page of a packet's, while all pages to stage in are made. */
	parts.pool = XPV_TRY(GrantPool::make("netfront tx", 2 * slots));
	parts.slots = XPV_TRY(Slots<Shadow>::make(slots, XPV_MAY_SLEEP));
	parts.staging = XPV_TRY(Array<Staging>::make(slots, XPV_MAY_SLEEP));
	parts.free_staging = XPV_TRY(Array<unsigned int>::make(slots, XPV_MAY_SLEEP));
	parts.revoking = XPV_TRY(Array<Gref>::make(slots, XPV_MAY_SLEEP));
	parts.owners = XPV_TRY(Array<xpv_tx_owner *>::make(slots, XPV_MAY_SLEEP));
	return xpv::make<TxRing>(XPV_MAY_SLEEP, backend, std::move(parts));
}

TxRing::TxRing(Domid backend, Parts &&parts)
    : backend_(backend), restores_(xpv_restore_count()), page_(std::move(parts.page)), shared_(parts.shared),
      pool_(std::move(parts.pool)), slots_(std::move(parts.slots)), staging_(std::move(parts.staging)),
      free_staging_(std::move(parts.free_staging)), free_count_(static_cast<unsigned int>(free_staging_.size())),
      revoking_(std::move(parts.revoking)), owners_(std::move(parts.owners))
{
	/* The one that was used last is used next: its page is in the cache. */
	for (unsigned int i = 0; i < free_count_; i++)
		free_staging_[i] = free_count_ - 1 - i;
}

TxRing::~TxRing()
{
	drop_staging();
	for (Staging &staging : staging_)
		if (staging.page)
			xpv_grant_revoke_and_free(&staging.reference, 1, staging.page, 0);
}

unsigned int TxRing::room() const
{
	/* Every segment has an id and a slot of the ring, and a GSO packet a slot more. */
	unsigned int ids = slots_.free();
	unsigned int places = shared_.free_requests();
	return ids < places ? ids : places;
}

/*
 * Copy what is staged, each into a page at its place in free_staging_ from the top,
 * and grant the rest: references_, in the order of the segments.
 */
Status TxRing::prepare(const xpv_tx_packet &packet)
{
	unsigned int next = free_count_;
	unsigned int from = 0;
	unsigned int in_place = 0;
	for (unsigned int i = 0; i < packet.segment_count; i++) {
		const xpv_tx_segment &segment = packet.segments[i];
		if (segment.staged) {
			/* There are as many pages as ids. */
			Staging &staging = staging_[free_staging_[--next]];
			if (!staging.page) [[unlikely]]
				XPV_TRY(make_staging(staging));
			xpv_tx_copy(packet.owner, from, staging.page, segment.length);
		} else {
			frames_[in_place++] = segment.frame;
		}
		from += segment.length;
	}
	if (in_place == 0)
		return {};
	return pool_.issue(backend_, XPV_GRANT_READ_ONLY, frames_, in_place, references_);
}

Status TxRing::make_staging(Staging &staging)
{
	auto page = XPV_TRY(Page::make(XPV_ATOMIC));
	Pfn frame = page.pfn();
	if (!pool_.issue(backend_, XPV_GRANT_READ_ONLY, &frame, 1, &staging.reference).ok())
		return Error(XEN_ENOMEM);
	staging.page = page.release();
	return {};
}

void TxRing::put_gso(const xpv_tx_packet &packet)
{
	netif_extra_info extra = {};
	extra.type = XEN_NETIF_EXTRA_TYPE_GSO;
	extra.u.gso.size = packet.gso_size;
	extra.u.gso.type = packet.gso == XPV_NET_GSO_TCPV6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4;
	netif_tx_request slot = {};
	__builtin_memcpy(&slot, &extra, sizeof(extra));
	shared_.put(slot);
	extras_++;
}

Status TxRing::submit(const xpv_tx_packet &packet)
{
	if (!open_) [[unlikely]]
		return Error(XEN_ENODEV);
	unsigned int count = packet.segment_count;
	bool gso = packet.gso != XPV_NET_GSO_NONE;
	if (count == 0 || count > XPV_NET_SLOTS_MAX) [[unlikely]]
		return Error(XEN_EINVAL);
	if (room() < count + gso) [[unlikely]]
		return Error(XEN_EAGAIN);
	auto prepared = prepare(packet);
	if (!prepared.ok()) [[unlikely]] {
		/* No page to stage in. */
		if (prepared.error() == XEN_ENOMEM)
			return prepared;
		XPV_ERR_LIMITED("cannot grant memory of a packet (%pe)", err_ptr(prepared.code()));
		/* Some references may be lost to pages that a backend kept mapped. */
		return Error(prepared.error() == XEN_ENOSPC ? XEN_EAGAIN : XEN_ENOMEM);
	}

	const Gref *reference = references_;
	unsigned int first = 0;
	for (unsigned int i = 0; i < count; i++) {
		const xpv_tx_segment &segment = packet.segments[i];
		unsigned int id = slots_.take();
		Shadow &shadow = slots_[id];
		netif_tx_request request = {};
		if (segment.staged) {
			shadow.staging = free_staging_[--free_count_];
			request.gref = staging_[shadow.staging].reference.value;
		} else {
			shadow.staging = not_staged;
			shadow.reference = *reference++;
			request.gref = shadow.reference.value;
			request.offset = segment.offset;
		}
		request.id = static_cast<uint16_t>(id);
		request.flags = i + 1 < count ? NETTXF_more_data : 0;
		if (i == 0) {
			first = id;
			shadow.owner = packet.owner;
			shadow.missing = count;
			shadow.status = NETIF_RSP_OKAY;
			request.size = packet.length;
			if (packet.checksum_blank)
				request.flags |= NETTXF_csum_blank | NETTXF_data_validated;
			else if (packet.checksum_known_good)
				request.flags |= NETTXF_data_validated;
			if (gso)
				request.flags |= NETTXF_extra_info;
		} else {
			request.size = segment.length;
		}
		shadow.first = first;
		shared_.put(request);
		if (i == 0 && gso)
			put_gso(packet);
	}
	unpushed_ = true;
	return {};
}

Status TxRing::submit_filter(bool add, const xpv_net_address &address)
{
	if (!open_)
		return Error(XEN_ENODEV);
	if (room() < 2)
		return Error(XEN_EAGAIN);
	unsigned int id = slots_.take();
	Shadow &shadow = slots_[id];
	shadow.staging = no_data;
	shadow.first = id;
	shadow.missing = 1;
	shadow.status = NETIF_RSP_OKAY;
	netif_tx_request request = {};
	request.id = static_cast<uint16_t>(id);
	request.flags = NETTXF_extra_info;
	shared_.put(request);

	netif_extra_info extra = {};
	extra.type = add ? XEN_NETIF_EXTRA_TYPE_MCAST_ADD : XEN_NETIF_EXTRA_TYPE_MCAST_DEL;
	__builtin_memcpy(extra.u.mcast.addr, address.octets, sizeof(extra.u.mcast.addr));
	netif_tx_request slot = {};
	__builtin_memcpy(&slot, &extra, sizeof(extra));
	shared_.put(slot);
	extras_++;
	unpushed_ = true;
	return {};
}

bool TxRing::push()
{
	if (!unpushed_ || !open_)
		return false;
	unpushed_ = false;
	return shared_.push();
}

} // namespace xpv
