/* SPDX-License-Identifier: GPL-2.0-only */
/* The other end of a control ring, well-behaved or not, as a test wants it. */
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "lib/xen.hh"
#include "tests/host/netfront_backend.hh"

namespace xpv_test {

class ControlBackend {
public:
	explicit ControlBackend(xpv_domid domain) : rings_(domain) {}

	/* Map the ring. It stays mapped until release(). */
	void attach(xpv_gref reference)
	{
		reference_ = reference;
		ring_ = static_cast<xen_netif_ctrl_sring *>(rings_.map(reference, true));
		ASSERT_NE(ring_, nullptr);
		consumed_ = 0;
	}
	void release()
	{
		if (std::exchange(ring_, nullptr))
			rings_.unmap(reference_);
	}
	[[nodiscard]] bool attached() const { return ring_; }
	[[nodiscard]] xen_netif_ctrl_sring &ring() { return *ring_; }

	/* The next request that was pushed. */
	std::optional<xen_netif_ctrl_request> next()
	{
		if (consumed_ == __atomic_load_n(&ring_->req_prod, __ATOMIC_ACQUIRE))
			return std::nullopt;
		auto request = ring_->ring[consumed_++ & 127].req;
		ring_->req_event = consumed_ + 1;
		return request;
	}
	/* What is in the page of a request, as netback copies it. */
	std::string read(const xen_netif_ctrl_request &request, unsigned int length)
	{
		void *page = rings_.map({ request.data[0] }, false);
		EXPECT_NE(page, nullptr);
		std::string data = page ? std::string(static_cast<char *>(page), length) : "";
		if (page)
			rings_.unmap({ request.data[0] });
		return data;
	}
	void respond(unsigned int id, unsigned int type, uint32_t status = XEN_NETIF_CTRL_STATUS_SUCCESS,
		     uint32_t data = 0)
	{
		xen_netif_ctrl_response &response = ring_->ring[ring_->rsp_prod & 127].rsp;
		response.id = static_cast<uint16_t>(id);
		response.type = static_cast<uint16_t>(type);
		response.status = status;
		response.data = data;
		__atomic_store_n(&ring_->rsp_prod, ring_->rsp_prod + 1, __ATOMIC_RELEASE);
	}

	/* ---- As netback's hash.c, with what a test may change of it ---- */

	struct Settings {
		uint32_t algorithm = 0, types = 0;
		std::string key;
		std::vector<uint32_t> mapping;
	};
	Settings settings;
	uint32_t most_entries = 128, known_types = 15, queue_count = 1;
	/* Refuse requests of this type. */
	uint32_t refused_type = XEN_NETIF_CTRL_TYPE_INVALID, refused_status = 0;
	std::vector<uint32_t> served; /* their types */

	/* Serve what is in the ring. Return whether there was anything. */
	bool serve()
	{
		bool any = false;
		while (auto request = next()) {
			any = true;
			served.push_back(request->type);
			uint32_t data = 0;
			uint32_t status = request->type == refused_type ? refused_status : run(*request, data);
			respond(request->id, request->type, status, data);
		}
		return any;
	}

private:
	uint32_t run(const xen_netif_ctrl_request &request, uint32_t &data)
	{
		const uint32_t *in = request.data;
		switch (request.type) {
		case XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM:
			if (in[0] > XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ)
				return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
			settings.algorithm = in[0];
			return XEN_NETIF_CTRL_STATUS_SUCCESS;
		case XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS:
			if (settings.algorithm == XEN_NETIF_CTRL_HASH_ALGORITHM_NONE)
				return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
			data = known_types;
			return XEN_NETIF_CTRL_STATUS_SUCCESS;
		case XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS:
			if (settings.algorithm == XEN_NETIF_CTRL_HASH_ALGORITHM_NONE || (in[0] & ~known_types))
				return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
			settings.types = in[0];
			return XEN_NETIF_CTRL_STATUS_SUCCESS;
		case XEN_NETIF_CTRL_TYPE_SET_HASH_KEY:
			if (in[1] > 40)
				return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
			settings.key = read(request, in[1]);
			return XEN_NETIF_CTRL_STATUS_SUCCESS;
		case XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE:
			data = most_entries;
			return XEN_NETIF_CTRL_STATUS_SUCCESS;
		case XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE:
			if (in[0] > most_entries)
				return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
			settings.mapping.assign(in[0], 0);
			return XEN_NETIF_CTRL_STATUS_SUCCESS;
		case XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING: {
			if (in[1] + in[2] > settings.mapping.size())
				return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
			std::string table = read(request, in[1] * 4);
			std::memcpy(settings.mapping.data() + in[2], table.data(), table.size());
			for (uint32_t queue : settings.mapping)
				if (queue >= queue_count)
					return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
			return XEN_NETIF_CTRL_STATUS_SUCCESS;
		}
		default:
			return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
		}
	}

	NetBackend rings_;
	xpv_gref reference_ = {};
	xen_netif_ctrl_sring *ring_ = nullptr;
	RING_IDX consumed_ = 0;
};

} // namespace xpv_test
