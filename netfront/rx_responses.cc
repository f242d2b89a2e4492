// SPDX-License-Identifier: GPL-2.0-only
/* The receive ring's responses: packets as the backend describes them, checked. */
#include "netfront/rx_ring.hh"

namespace xpv {

namespace {

constexpr unsigned int most_length = 65535;
/* The smallest payload that TCP's options leave of the smallest MSS. */
constexpr unsigned int least_gso_size = 8;
/* To Linux this size says something else (GSO_BY_FRAGS). */
constexpr unsigned int most_gso_size = 65534;

/* Of one response slot: status is the length then. */
bool carries_data(const netif_rx_response &response)
{
	return response.status > 0 &&
	       static_cast<unsigned int>(response.offset) + static_cast<unsigned int>(response.status) <= page_size;
}

} // namespace

/* The page of the next response, which is consumed whatever it says. */
RxRing::Buffer RxRing::take_buffer()
{
	Buffer buffer = posted_[shared_.next_response_slot()];
	[[maybe_unused]] auto unread = shared_.take();
	return buffer;
}

void RxRing::read_gso(const netif_extra_info &extra, Reading &reading)
{
	unsigned int size = extra.u.gso.size;
	switch (extra.u.gso.type) {
	case XEN_NETIF_GSO_TYPE_TCPV4:
		reading.packet.gso = XPV_NET_GSO_TCPV4;
		break;
	case XEN_NETIF_GSO_TYPE_TCPV6:
		reading.packet.gso = XPV_NET_GSO_TCPV6;
		break;
	default:
		reading.malformed = true;
		return;
	}
	if (size < least_gso_size || size > most_gso_size)
		reading.malformed = true;
	reading.packet.gso_size = static_cast<uint16_t>(size);
}

/*
 * A hash only chooses where the packet is processed, so any value is good. One that
 * is not of a kind that netif.h knows is none.
 */
void RxRing::read_hash(const netif_extra_info &extra, Reading &reading)
{
	if (extra.u.hash.algorithm != XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ)
		return;
	switch (extra.u.hash.type) {
	case _XEN_NETIF_CTRL_HASH_TYPE_IPV4:
	case _XEN_NETIF_CTRL_HASH_TYPE_IPV6:
		reading.packet.hash_kind = XPV_NET_HASH_L3;
		break;
	case _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP:
	case _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP:
		reading.packet.hash_kind = XPV_NET_HASH_L4;
		break;
	default:
		return;
	}
	__builtin_memcpy(&reading.packet.hash, extra.u.hash.value, sizeof(reading.packet.hash));
}

/* The details of a packet, which come behind its first slot; only GSO's and the hash mean anything to us. */
void RxRing::read_extras(Reading &reading)
{
	constexpr unsigned int extra_type_xdp = 5; /* Linux's netif.h; told only when asked for */
	netif_extra_info extra;
	do {
		if (reading.left == 0) {
			reading.malformed = true;
			return;
		}
		reading.left--;
		/* The page of the slot was not used. */
		recycle(posted_[shared_.next_response_slot()]);
		/* Every value is checked below, so that any is acceptable here. */
		netif_rx_response slot = shared_.take().validate([](const netif_rx_response &) { return true; }).take();
		__builtin_memcpy(&extra, &slot, sizeof(extra));
		if (extra.type == XEN_NETIF_EXTRA_TYPE_GSO)
			read_gso(extra, reading);
		else if (extra.type == XEN_NETIF_EXTRA_TYPE_HASH)
			read_hash(extra, reading);
		else if (extra.type == XEN_NETIF_EXTRA_TYPE_NONE || extra.type > extra_type_xdp)
			reading.malformed = true;
	} while (extra.flags & XEN_NETIF_EXTRA_FLAG_MORE);
}

/* The slots of one packet; reading.left is not 0. What is malformed is consumed, as far as it goes. */
Violation RxRing::read_packet(Reading &reading)
{
	for (bool first = true;; first = false) {
		if (reading.left == 0) {
			reading.malformed = true;
			return {};
		}
		reading.left--;
		unsigned int slot = shared_.next_response_slot();
		Buffer buffer = posted_[slot];
		netif_rx_response response = {};
		auto taken = shared_.take().validate([&](const netif_rx_response &copy) {
			response = copy;
			return copy.id == slot;
		});
		if (!taken.ok()) [[unlikely]] {
			recycle(buffer);
			return { "receive response to another slot's request, id", response.id };
		}
		if (first) {
			reading.packet.checksum_blank = response.flags & NETRXF_csum_blank;
			reading.packet.checksum_known_good = response.flags & NETRXF_data_validated;
		}
		unsigned int count = piece_count_ - reading.first_piece;
		if (!carries_data(response) || count == XPV_NET_SLOTS_MAX) [[unlikely]] {
			reading.malformed = true;
			recycle(buffer);
		} else {
			auto length = static_cast<uint16_t>(response.status);
			pieces_[piece_count_] = { buffer.page, response.offset, length };
			references_[piece_count_++] = buffer.reference;
			reading.packet.length += length;
		}
		if (first && (response.flags & NETRXF_extra_info))
			read_extras(reading);
		if (!(response.flags & NETRXF_more_data))
			return {};
	}
}

/* Of a packet that is not delivered: the pages are posted again. */
void RxRing::drop_pieces(unsigned int first)
{
	while (piece_count_ > first) {
		piece_count_--;
		recycle({ pieces_[piece_count_].page, references_[piece_count_] });
	}
}

/* Add the packet to the batch. */
void RxRing::accept(Reading &reading)
{
	xpv_rx_packet &packet = reading.packet;
	packet.pieces = &pieces_[reading.first_piece];
	packet.piece_count = piece_count_ - reading.first_piece;
	packet.owned = packet.piece_count > 1 || packet.length > copy_limit_;
	if (!packet.owned) {
		/* Posted again by refill(), when the caller has copied the data. */
		recycle({ packet.pieces->page, references_[reading.first_piece] });
		references_[reading.first_piece] = {};
	}
	packets_[packet_count_++] = packet;
}

/*
 * The backend loses its access to the pages that Linux gets. Returns how many
 * it still maps; then Linux gets no packet of the batch, as the backend could
 * change it.
 */
unsigned int RxRing::revoke_batch()
{
	Gref references[batch_pieces];
	unsigned int count = 0;
	for (unsigned int i = 0; i < packet_count_; i++) {
		const xpv_rx_packet &packet = packets_[i];
		if (!packet.owned)
			continue;
		auto first = static_cast<unsigned int>(packet.pieces - pieces_);
		for (unsigned int k = 0; k < packet.piece_count; k++)
			references[count++] = references_[first + k];
	}
	if (count == 0)
		return 0;
	unsigned int mapped = pool_.revoke(references, count);
	if (mapped != 0) [[unlikely]]
		xpv_grant_park(references, mapped);
	return mapped;
}

RxRing::Collected RxRing::collect(unsigned int budget, xpv_netdev_queue *linux_queue)
{
	Collected collected;
	packet_count_ = piece_count_ = 0;
	/* After a restore the responses do not count: the ring's page may be newer than the pages with the data. */
	if (!open_ || xpv_restore_count() != restores_)
		return collected;
	auto available = shared_.responses();
	if (!available.ok()) [[unlikely]] {
		open_ = false;
		collected.violation = { "illegal number of receive responses", 0 };
		return collected;
	}
	collected.progress = available.value() != 0;
	unsigned int left = available.value();
	unsigned int most = budget < batch_packets ? budget : batch_packets;
	while (left != 0 && packet_count_ + collected.batch.errors < most &&
	       piece_count_ + XPV_NET_SLOTS_MAX <= batch_pieces) {
		Reading reading = { .left = left, .first_piece = piece_count_, .packet = {}, .malformed = false };
		Violation violation = read_packet(reading);
		left = reading.left;
		if (violation) [[unlikely]] {
			drop_pieces(reading.first_piece);
			collected.violation = violation;
			break;
		}
		if (reading.malformed || reading.packet.length > most_length) [[unlikely]] {
			drop_pieces(reading.first_piece);
			collected.batch.errors++;
			continue;
		}
		accept(reading);
	}
	if (unsigned int mapped = revoke_batch()) [[unlikely]] {
		if (!collected.violation)
			collected.violation = { "pages of a received packet are still mapped:", mapped };
		/* Parked with their references, or Linux's again. */
		for (unsigned int i = 0; i < packet_count_; i++)
			for (unsigned int k = 0; packets_[i].owned && k < packets_[i].piece_count; k++)
				xpv_rx_page_put(linux_queue, packets_[i].pieces[k].page);
		packet_count_ = 0;
	}
	if (collected.violation)
		open_ = false;
	collected.batch.packets = packets_;
	collected.batch.count = packet_count_;
	return collected;
}

} // namespace xpv
