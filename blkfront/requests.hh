/* SPDX-License-Identifier: GPL-2.0-only */
/* Lists of block layer requests. The links are in the requests, so adding one cannot fail. */
#pragma once

#include <utility>

#include "blkfront/linux.h"

namespace xpv {

/* A list in the order of add(). No locking. */
class RequestList {
public:
	RequestList() = default;
	RequestList(RequestList &&other) : first_(other.first_), last_(other.last_), count_(other.count_)
	{
		other.clear();
	}
	RequestList &operator=(RequestList &&) = delete;
	RequestList(const RequestList &) = delete;
	RequestList &operator=(const RequestList &) = delete;

	[[nodiscard]] unsigned int count() const { return count_; }
	[[nodiscard]] bool empty() const { return count_ == 0; }

	/* Append a request and set its `error`: 0 or a negative errno. */
	void add(xpv_block_request &request, int error)
	{
		request.error = error;
		request.next = nullptr;
		(last_ ? last_->next : first_) = &request;
		last_ = &request;
		count_++;
	}
	void fail_all(int error)
	{
		for (xpv_block_request *request = first_; request; request = request->next)
			request->error = error;
	}
	/* Empty the list. Returns the first request; the others are linked by `next`. */
	[[nodiscard]] xpv_block_request *take_all()
	{
		xpv_block_request *first = first_;
		clear();
		return first;
	}

private:
	void clear()
	{
		first_ = last_ = nullptr;
		count_ = 0;
	}

	xpv_block_request *first_ = nullptr;
	xpv_block_request *last_ = nullptr;
	unsigned int count_ = 0;
};

} // namespace xpv
