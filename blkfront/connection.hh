/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A connection to one backend: a ring and an event channel for each queue, and
 * what the backend supports. Made when the handshake begins, and gone when it
 * ends; the disk outlives it.
 */
#pragma once

#include "blkfront/offer.hh"
#include "blkfront/queue.hh"
#include "blkfront/requests.hh"
#include "gnttab/left_mapped.hh"
#include "lib/memory.hh"

namespace xpv {

/* The queues of a vbd; owned by it. */
struct QueueArray {
	xpv_block_queue *const *queues;
	unsigned int count;

	xpv_block_queue *const *begin() const { return queues; }
	xpv_block_queue *const *end() const { return queues + count; }
};

class Connection {
public:
	/* Rings and channels for the queues, which have none. Sleeping context. */
	[[nodiscard]] static Result<Owned<Connection>> make(const QueueArray &queues, Domid backend, uint16_t handle,
							    const char *name);
	/* For make(), which does the part that can fail. */
	explicit Connection(const QueueArray &queues) : queues_(queues) {}
	/* After end(), or when nothing was submitted. Sleeping context. */
	~Connection();
	Connection(const Connection &) = delete;
	Connection &operator=(const Connection &) = delete;

	/* Tell the backend, and become Initialised: the last step of negotiate(). Sleeping context. */
	[[nodiscard]] Status publish(xpv_device *device);
	/* What the backend offers, before the first request. */
	void set_features(const Offer &offer);
	/* Requests that the backend can be given at the same time, by one queue. */
	[[nodiscard]] unsigned int depth() const { return rings_[0]->slots(); }

	/*
	 * With the disk stopped: end the events, take the responses that are there
	 * and pass them on, and add what is left to `unfinished`. Channels without a
	 * port stay with the queues if `keep_lost`. Sleeping context.
	 */
	void end(RequestList &unfinished, bool keep_lost);
	/* After end(): revoke what could not be revoked then; how many pages of requests the backend still maps. */
	[[nodiscard]] unsigned int still_mapped();
	/* The last call: pass on the rings; return how many pages are parked, now or by the destructor. */
	[[nodiscard]] unsigned int leave(LeftMapped &left);

private:
	const QueueArray queues_;
	Array<Ring *> rings_; /* one for each queue */
	bool ended_ = false;
};

} // namespace xpv
