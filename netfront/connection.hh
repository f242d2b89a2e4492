/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A connection to one backend: two rings and one or two event channels for each
 * queue, and the backend's features. Created at negotiate(), and ended with the
 * connection; the network interface outlives it.
 */
#pragma once

#include "gnttab/left_mapped.hh"
#include "lib/memory.hh"
#include "netfront/features.hh"
#include "netfront/queue.hh"

namespace xpv {

/*
 * The shared pages of earlier connections: a place for each of a connection with
 * the most queues, and for the two pages of its control ring.
 */
using LeftRings = LeftMapped<2 * XPV_NET_QUEUES_MAX + 2>;

class Rss;

/* The queues of a vif; owned by it. */
struct QueueArray {
	xpv_net_queue *const *queues;
	unsigned int count;

	xpv_net_queue *const *begin() const { return queues; }
	xpv_net_queue *const *end() const { return queues + count; }
	xpv_net_queue &operator[](unsigned int i) const { return *queues[i]; }
};

class Connection {
public:
	/*
	 * Allocate rings and channels for as many of the queues as the backend
	 * supports, or for fewer where memory or grant references are short. `xdp` as in
	 * xpv_vif_set_xdp(). `name` is the vif's. Sleeping context.
	 */
	[[nodiscard]] static Result<Owned<Connection>> make(const QueueArray &queues, Domid backend,
							    const BackendFeatures &features, bool xdp, const char *name);
	/* Only for make(), which does the part that can fail. */
	Connection(const QueueArray &queues, const BackendFeatures &features, bool xdp)
	    : queues_(queues), features_(features), xdp_(xdp)
	{
	}
	/* Call after end(), or if nothing was submitted. Parks pages that are still mapped. Sleeping context. */
	~Connection();
	Connection(const Connection &) = delete;
	Connection &operator=(const Connection &) = delete;

	/* Post pages to receive in, before publish(), as far as there are any. Sleeping context. */
	void post_pages();
	/*
	 * Publish rings and channels, and the control ring, if there is one; and switch
	 * to Connected: the last step of negotiate(). Sleeping context.
	 */
	[[nodiscard]] Status publish(xpv_device *device, const Rss &rss);
	[[nodiscard]] unsigned int queue_count() const { return queues_.count; }
	[[nodiscard]] const BackendFeatures &features() const { return features_; }
	[[nodiscard]] bool xdp() const { return xdp_; }

	/*
	 * Stop events, and drop the packets in flight. The interface must be
	 * disconnected. If `keep_lost`, the queues keep channels without a port.
	 * Sleeping context.
	 */
	void end(bool keep_lost);
	/*
	 * Retry, after end(), to drop what could not be dropped. Return how many pages
	 * of packets, or to stage in, the backend still maps. Sleeping context.
	 */
	[[nodiscard]] unsigned int still_mapped();
	/*
	 * Move the rings' shared pages to `left`. The last call. Return how many pages
	 * are parked, now or by the destructor. Sleeping context.
	 */
	[[nodiscard]] unsigned int leave(LeftRings &left);

private:
	struct Rings {
		TxRing *tx;
		RxRing *rx;
	};

	[[nodiscard]] Status open(Domid backend, const char *name);

	const QueueArray queues_;
	const BackendFeatures features_;
	const bool xdp_;
	Array<Rings> rings_; /* one for each queue */
	bool ended_ = false;
};

} // namespace xpv
