/* SPDX-License-Identifier: GPL-2.0-only */
/* The other end of a queue's rings, well-behaved or not, as a test wants it. */
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "hypervisor/suspend_part.h"
#include "lib/xen.hh"
#include "tests/fake/fake_hypervisor.h"

#include <xen/io/netif.h>

namespace xpv_test {

/* The domain is saved and restored as another, in which the grant table is empty. */
inline void restore_domain()
{
	const char *refused = nullptr;
	xpv_suspend_parts_lock();
	ASSERT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), 0);
	xpv_suspend_parts_suspend_early();
	xpv_fake_restore();
	xpv_suspend_parts_resume_early(XPV_RESUME_RESTORED);
	xpv_suspend_parts_resume_late(XPV_RESUME_RESTORED);
	xpv_suspend_parts_unlock();
}

class NetBackend {
public:
	explicit NetBackend(xpv_domid domain) : domain_(domain) {}

	/* Map the pages of both rings, or of one. They stay mapped until release(). */
	void attach_tx(xpv_gref reference)
	{
		tx_reference_ = reference;
		tx_ = static_cast<netif_tx_sring *>(map(reference, true));
		ASSERT_NE(tx_, nullptr);
		tx_consumed_ = 0;
	}
	void attach_rx(xpv_gref reference)
	{
		rx_reference_ = reference;
		rx_ = static_cast<netif_rx_sring *>(map(reference, true));
		ASSERT_NE(rx_, nullptr);
		rx_consumed_ = 0;
	}
	void release()
	{
		if (std::exchange(tx_, nullptr))
			unmap(tx_reference_);
		if (std::exchange(rx_, nullptr))
			unmap(rx_reference_);
	}
	[[nodiscard]] netif_tx_sring &tx() { return *tx_; }
	[[nodiscard]] netif_rx_sring &rx() { return *rx_; }

	/* The page of a grant; null when it permits no such access. Mapped until unmap(). */
	[[nodiscard]] void *map(xpv_gref reference, bool writable)
	{
		xpv_gfn frame;
		if (xpv_fake_map_grant(domain_, reference, writable, &frame) != 0)
			return nullptr;
		/* The fake shim's frame numbers are addresses. */
		return reinterpret_cast<void *>(frame.value << 12);
	}
	void unmap(xpv_gref reference) { xpv_fake_unmap_grant(reference); }
	[[nodiscard]] bool permitted(xpv_gref reference, bool writable)
	{
		if (!map(reference, writable))
			return false;
		unmap(reference);
		return true;
	}

	/* ---- Transmit ---- */

	/* The next slot that was pushed. */
	std::optional<netif_tx_request> next_tx()
	{
		if (tx_consumed_ == __atomic_load_n(&tx_->req_prod, __ATOMIC_ACQUIRE))
			return std::nullopt;
		return tx_->ring[tx_consumed_++ & 255].req;
	}
	[[nodiscard]] static netif_extra_info extra_of(const netif_tx_request &slot)
	{
		netif_extra_info extra;
		std::memcpy(&extra, &slot, sizeof(extra));
		return extra;
	}
	/* What is in a segment. */
	std::string read(const netif_tx_request &request, unsigned int length)
	{
		void *page = map({ request.gref }, false);
		EXPECT_NE(page, nullptr);
		std::string data = page ? std::string(static_cast<char *>(page) + request.offset, length) : "";
		if (page)
			unmap({ request.gref });
		return data;
	}
	void respond_tx(unsigned int id, int status = NETIF_RSP_OKAY)
	{
		netif_tx_response &response = tx_->ring[tx_->rsp_prod & 255].rsp;
		response.id = static_cast<uint16_t>(id);
		response.status = static_cast<int16_t>(status);
		__atomic_store_n(&tx_->rsp_prod, tx_->rsp_prod + 1, __ATOMIC_RELEASE);
	}
	/* Ask to be notified of the next packet. */
	void sleep_tx() { tx_->req_event = tx_consumed_ + 1; }

	/* ---- Receive ---- */

	/* The next page to copy into. */
	std::optional<netif_rx_request> next_rx()
	{
		if (rx_consumed_ == __atomic_load_n(&rx_->req_prod, __ATOMIC_ACQUIRE))
			return std::nullopt;
		return rx_->ring[rx_consumed_++ & 255].req;
	}
	/* As netback: copy, if there is anything to copy, and say so. Returns the request, or nothing when there is none. */
	std::optional<netif_rx_request> deliver(const std::string &data, unsigned int flags = 0, unsigned int offset = 0)
	{
		auto request = next_rx();
		if (!request)
			return request;
		if (!data.empty()) {
			void *page = map({ request->gref }, true);
			EXPECT_NE(page, nullptr);
			if (page) {
				std::memcpy(static_cast<char *>(page) + offset, data.data(), data.size());
				unmap({ request->gref });
			}
		}
		respond_rx(request->id, offset, flags, static_cast<int>(data.size()));
		return request;
	}
	void deliver_extra(const netif_extra_info &extra)
	{
		ASSERT_TRUE(next_rx());
		std::memcpy(&rx_->ring[rx_->rsp_prod & 255].rsp, &extra, sizeof(extra));
		__atomic_store_n(&rx_->rsp_prod, rx_->rsp_prod + 1, __ATOMIC_RELEASE);
	}
	void respond_rx(unsigned int id, unsigned int offset, unsigned int flags, int status)
	{
		netif_rx_response &response = rx_->ring[rx_->rsp_prod & 255].rsp;
		response.id = static_cast<uint16_t>(id);
		response.offset = static_cast<uint16_t>(offset);
		response.flags = static_cast<uint16_t>(flags);
		response.status = static_cast<int16_t>(status);
		__atomic_store_n(&rx_->rsp_prod, rx_->rsp_prod + 1, __ATOMIC_RELEASE);
	}
	[[nodiscard]] static netif_extra_info gso(unsigned int size, unsigned int type = XEN_NETIF_GSO_TYPE_TCPV4,
						  bool more = false)
	{
		netif_extra_info extra = {};
		extra.type = XEN_NETIF_EXTRA_TYPE_GSO;
		extra.flags = more ? XEN_NETIF_EXTRA_FLAG_MORE : 0;
		extra.u.gso.size = static_cast<uint16_t>(size);
		extra.u.gso.type = static_cast<uint8_t>(type);
		return extra;
	}
	[[nodiscard]] static netif_extra_info hash(uint32_t value, unsigned int type, unsigned int algorithm = 1)
	{
		netif_extra_info extra = {};
		extra.type = XEN_NETIF_EXTRA_TYPE_HASH;
		extra.u.hash.type = static_cast<uint8_t>(type);
		extra.u.hash.algorithm = static_cast<uint8_t>(algorithm);
		for (unsigned int i = 0; i < 4; i++)
			extra.u.hash.value[i] = static_cast<uint8_t>(value >> 8 * i);
		return extra;
	}
	[[nodiscard]] static netif_extra_info extra(unsigned int type, bool more = false)
	{
		netif_extra_info info = {};
		info.type = static_cast<uint8_t>(type);
		info.flags = more ? XEN_NETIF_EXTRA_FLAG_MORE : 0;
		return info;
	}
	/* Pages that were posted and not used. */
	[[nodiscard]] unsigned int posted() { return rx_->req_prod - rx_consumed_; }

private:
	xpv_domid domain_;
	xpv_gref tx_reference_ = {}, rx_reference_ = {};
	netif_tx_sring *tx_ = nullptr;
	netif_rx_sring *rx_ = nullptr;
	RING_IDX tx_consumed_ = 0, rx_consumed_ = 0;
};

} // namespace xpv_test
