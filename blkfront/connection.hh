/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A connection to one backend: a ring and an event channel for each queue, and
 * the backend's features. Created at negotiate(), and ended with the connection;
 * the disk outlives it.
 */
#pragma once

#include "blkfront/backend_parameters.hh"
#include "blkfront/queue.hh"
#include "blkfront/requests.hh"
#include "gnttab/left_mapped.hh"
#include "lib/memory.hh"

namespace xpv {

/* The shared pages of earlier connections: places for some. */
using LeftRings = LeftMapped<8>;

/* The queues of a vbd; owned by it. */
struct QueueArray {
	xpv_block_queue *const *queues;
	unsigned int count;

	xpv_block_queue *const *begin() const { return queues; }
	xpv_block_queue *const *end() const { return queues + count; }
};

class Connection {
public:
	/* Allocate a ring and a channel for each queue. The queues must not have rings. Sleeping context. */
	[[nodiscard]] static Result<Owned<Connection>> make(const QueueArray &queues, Domid backend, uint16_t handle,
							    const char *name);
	/* Only for make(), which does the part that can fail. */
	explicit Connection(const QueueArray &queues) : queues_(queues) {}
	/* Call after end(), or if no request was submitted. Sleeping context. */
	~Connection();
	Connection(const Connection &) = delete;
	Connection &operator=(const Connection &) = delete;

	/* Publish rings and channels, and switch to Initialised: the last step of negotiate(). Sleeping context. */
	[[nodiscard]] Status publish(xpv_device *device);
	/* Set the backend's features. Call before the first request. */
	void set_features(const BackendParameters &backend);
	/* Return how many requests one queue can have in flight. */
	[[nodiscard]] unsigned int depth() const { return rings_[0]->slots(); }

	/*
	 * Stop events, complete the requests whose responses have arrived, and add
	 * the rest to `unfinished`. The disk must be stopped. If `keep_lost`, the
	 * queues keep channels without a port. Sleeping context.
	 */
	void end(RequestList &unfinished, bool keep_lost);
	/*
	 * Retry, after end(), to revoke grants that were still mapped. Returns how
	 * many pages of requests the backend still maps.
	 */
	[[nodiscard]] unsigned int retry_revoke();
	/*
	 * Move the rings' shared pages to `left`. The last call. Returns how many
	 * pages are parked, now or by the destructor.
	 */
	[[nodiscard]] unsigned int leave(LeftRings &left);

private:
	const QueueArray queues_;
	Array<Ring *> rings_; /* one for each queue */
	bool ended_ = false;
};

} // namespace xpv
