/* SPDX-License-Identifier: GPL-2.0-only */
/* The other end of a block ring, well-behaved or not, as a test wants it. */
#pragma once

#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "blkfront/linux.h"
#include "lib/result.hh"
#include "lib/xen.hh"
#include "tests/fake/fake_hypervisor.h"

#include <xen/io/blkif.h>

namespace xpv_test {

class Backend {
public:
	explicit Backend(xpv_domid domain) : domain_(domain) {}

	/* Map the ring page. It stays mapped until release(). */
	void attach(xpv_gref reference)
	{
		xpv_gfn frame;
		ASSERT_EQ(xpv_fake_map_grant(domain_, reference, true, &frame), 0);
		reference_ = reference;
		/* The fake shim's frame numbers are addresses. */
		shared_ = reinterpret_cast<blkif_sring *>(frame.value << 12);
		consumed_ = 0;
	}
	void release()
	{
		if (shared_)
			xpv_fake_unmap_grant(reference_);
		shared_ = nullptr;
	}
	[[nodiscard]] blkif_sring &shared() { return *shared_; }

	/* The next request, if one was pushed. */
	std::optional<blkif_request> next()
	{
		if (consumed_ == __atomic_load_n(&shared_->req_prod, __ATOMIC_ACQUIRE))
			return std::nullopt;
		return shared_->ring[consumed_++ & 31].req;
	}
	/* Ask to be notified of the next request. */
	void sleep() { shared_->req_event = consumed_ + 1; }

	void respond(uint64_t id, uint8_t operation, int16_t status = BLKIF_RSP_OKAY)
	{
		blkif_response &response = shared_->ring[shared_->rsp_prod & 31].rsp;
		response.id = id;
		response.operation = operation;
		response.status = status;
		__atomic_store_n(&shared_->rsp_prod, shared_->rsp_prod + 1, __ATOMIC_RELEASE);
	}
	void respond(const blkif_request &request, int16_t status = BLKIF_RSP_OKAY)
	{
		respond(request.id, request.operation, status);
	}

	/* Map the i-th page of a request, as it would for the operation. */
	void map(const blkif_request &request, unsigned int i)
	{
		xpv_gfn frame;
		ASSERT_EQ(xpv_fake_map_grant(domain_, { request.seg[i].gref }, request.operation == BLKIF_OP_READ, &frame),
			  0);
	}
	void unmap(const blkif_request &request, unsigned int i) { xpv_fake_unmap_grant({ request.seg[i].gref }); }

private:
	xpv_domid domain_;
	xpv_gref reference_ = {};
	blkif_sring *shared_ = nullptr;
	RING_IDX consumed_ = 0;
};

/* A request of the block layer, with its segments. */
struct BlockRequest : xpv_block_request {
	BlockRequest(xpv_block_operation what, uint64_t where, unsigned int pages, unsigned int first_frame = 0x1000)
	    : xpv_block_request{}
	{
		operation = what;
		sector = where;
		for (unsigned int i = 0; i < pages; i++)
			storage.push_back({ { uint64_t{ first_frame } + i }, 0, 7 });
		segment_count = pages;
		segments = storage.data();
	}

	std::vector<xpv_block_segment> storage;
};

} // namespace xpv_test
