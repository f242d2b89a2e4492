/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frontend of a request/response ring (xen/io/ring.h). The page has Xen's
 * layout. The frontend owns the requests, req_prod and rsp_event in it, and
 * trusts nothing that it reads.
 *
 * Not locked: the owner serialises its calls.
 */
#pragma once

#include <utility>

#include "lib/xen.hh"

#include <xen/io/ring.h>

#include "lib/ordering.hh"
#include "lib/result.hh"
#include "lib/untrusted.hh"

namespace xpv {

/* `Shared` is a struct from DEFINE_RING_TYPES, e.g. blkif_sring. */
template <typename Shared, typename Request, typename Response>
class FrontRing {
public:
	/* Format the page, which the caller has zeroed, for a ring of `bytes`. */
	void init(void *page, unsigned int bytes)
	{
		shared_ = static_cast<Shared *>(page);
		size_ = round_down_to_power_of_2((bytes - offset_of_entries()) / sizeof(shared_->ring[0]));
		request_produced_ = 0;
		request_pushed_ = 0;
		response_consumed_ = 0;
		write_once(shared_->req_prod, 0);
		write_once(shared_->rsp_prod, 0);
		write_once(shared_->req_event, 1);
		write_once(shared_->rsp_event, 1);
	}

	[[nodiscard]] unsigned int size() const { return size_; }
	[[nodiscard]] unsigned int free_requests() const { return size_ - (request_produced_ - response_consumed_); }
	[[nodiscard]] bool full() const { return free_requests() == 0; }
	/* Requests that were put, and whose responses were not consumed. */
	[[nodiscard]] unsigned int outstanding() const { return request_produced_ - response_consumed_; }
	/* Where the next request and the next response are, for rings whose responses come in the order of the requests. */
	[[nodiscard]] unsigned int next_request_slot() const { return request_produced_ & (size_ - 1); }
	[[nodiscard]] unsigned int next_response_slot() const { return response_consumed_ & (size_ - 1); }

	/* Write one request into the next slot; the other end sees it after push(). Only when not full(). */
	void put(const Request &request)
	{
		shared_->ring[request_produced_ & (size_ - 1)].req = request;
		request_produced_++;
	}

	/* Publish the requests that were put. Return true when the other end asked to be notified. */
	[[nodiscard]] bool push()
	{
		RING_IDX old = std::exchange(request_pushed_, request_produced_);
		store_release(shared_->req_prod, request_produced_);
		/*
		 * Make the requests visible before reading req_event: otherwise the
		 * other end can go to sleep without seeing them or being notified.
		 */
		virt_mb();
		return request_produced_ - read_once(shared_->req_event) < request_produced_ - old;
	}

	/*
	 * Return the number of responses to consume. EBADMSG when the other end's index
	 * is beyond the requests that were sent, or went backwards.
	 */
	[[nodiscard]] Result<unsigned int> responses() const
	{
		RING_IDX produced = read_once(shared_->rsp_prod);
		virt_rmb();
		RING_IDX count = produced - response_consumed_;
		if (count > request_produced_ - response_consumed_)
			return Error(XEN_EBADMSG);
		return static_cast<unsigned int>(count);
	}

	/* Consume the next response, as a copy. At most as often as responses() returned. */
	[[nodiscard]] Untrusted<Response> take()
	{
		auto response = Untrusted<Response>::copy_from(shared_->ring[response_consumed_ & (size_ - 1)].rsp);
		response_consumed_++;
		return response;
	}

	/*
	 * Ask to be notified of the `ahead`-th next response (1: the next one). Return
	 * whether it is already there, in which case no event may come. An `ahead`
	 * larger than outstanding() is never reached.
	 */
	[[nodiscard]] Result<bool> more_after_asking(unsigned int ahead = 1)
	{
		write_once(shared_->rsp_event, response_consumed_ + ahead);
		virt_mb();
		auto count = responses();
		if (!count.ok())
			return count.error();
		return count.value() >= ahead;
	}

	/*
	 * Zero all entries, so that no further request is served: the other end
	 * finds zeroes in place of requests that it has not consumed yet.
	 */
	void clear()
	{
		__builtin_memset(shared_->ring, 0, size_ * sizeof(shared_->ring[0]));
		virt_wmb();
	}

private:
	static constexpr unsigned int offset_of_entries()
	{
		return static_cast<unsigned int>(__builtin_offsetof(Shared, ring));
	}
	static constexpr unsigned int round_down_to_power_of_2(unsigned int n)
	{
		return n ? 1u << (31 - __builtin_clz(n)) : 0;
	}

	Shared *shared_ = nullptr;
	unsigned int size_ = 0;
	/* Private indices: the other end may write to the shared ones. */
	RING_IDX request_produced_ = 0;
	RING_IDX request_pushed_ = 0; /* req_prod */
	RING_IDX response_consumed_ = 0;
};

} // namespace xpv
