/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One queue of a disk. It lives as long as the vbd, but has a ring only during a
 * connection. Its event channel is closed with the connection too, except after
 * a restore: then it gets a new port, and keeps its irq and the irq's affinity.
 *
 * The ring pointer changes only while nothing can use it: the disk is stopped or
 * does not exist (submit, commit), the channel is closed or synchronised
 * (events), and poll() is excluded by the lock. So the data path takes only the
 * ring's own lock.
 */
#pragma once

#include "blkfront/ring.hh"
#include "evtchn/evtchn.hh"

using xpv::operator""_lock;

struct xpv_block_queue : private xpv_event_context {
public:
	explicit xpv_block_queue(xpv_vbd &vbd) : vbd_(vbd) {}
	/* Call after close_channel(). */
	~xpv_block_queue() = default;
	xpv_block_queue(const xpv_block_queue &) = delete;
	xpv_block_queue &operator=(const xpv_block_queue &) = delete;

	/* As xpv_block_submit(). */
	[[nodiscard]] xpv_block_submit_result submit(xpv_block_request &request, bool last)
	{
		if (!ring_)
			return XPV_BLOCK_DEAD;
		bool wanted = false;
		auto submitted = ring_->submit(request, last, wanted);
		if (wanted)
			notify();
		return submitted;
	}
	/* As xpv_block_commit(). */
	void commit()
	{
		if (ring_ && ring_->commit())
			notify();
	}
	/* As xpv_block_poll(). */
	void poll();
	/* Return the number of requests in the ring, a snapshot. Any context but NMI. */
	[[nodiscard]] unsigned int in_flight();

	/* Set the ring of a new connection; null at its end. Sleeping context. */
	void set_ring(xpv::Ring *ring);
	/* Open the event channel. Events may come before this returns. Sleeping context. */
	[[nodiscard]] xpv::Status open_channel(xpv::Domid backend, const char *name);
	[[nodiscard]] xpv::Port port() const { return xpv_event_channel_port(channel_); }
	/*
	 * Close the event channel; or, if it is lost and `keep_lost`, keep it. No
	 * event comes after this returns. Sleeping context.
	 */
	void close_channel(bool keep_lost);
	/* Complete requests whose responses have arrived. False if there were no responses. Any context but NMI. */
	[[nodiscard]] bool respond();

private:
	static void on_event(xpv_event_context *context);
	void notify();

	xpv_vbd &vbd_;
	xpv::Spinlock poll_lock_{ "xpv blkfront poll"_lock }; /* held by poll(), and to write ring_ and channel_ */
	xpv::Ring *ring_ = nullptr;
	xpv_event_channel *channel_ = nullptr;
};
