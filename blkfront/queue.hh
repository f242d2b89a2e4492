/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One queue of a disk. It lives as long as the vbd; a ring it has only while
 * there is a connection. Its event channel goes with the connection too, but
 * after a restore gets a new port and keeps its irq with its affinity.
 *
 * The ring changes when nothing can use it: the disk is stopped or not there
 * (submit, commit), the channel is closed or has been synchronised (events),
 * and poll() has the lock. So the data path takes only the ring's own lock.
 */
#pragma once

#include "blkfront/ring.hh"
#include "evtchn/evtchn.hh"

using xpv::operator""_lock;

struct xpv_block_queue : private xpv_event_context {
public:
	explicit xpv_block_queue(xpv_vbd &vbd) : vbd_(vbd) {}
	/* After close_channel(). */
	~xpv_block_queue() = default;
	xpv_block_queue(const xpv_block_queue &) = delete;
	xpv_block_queue &operator=(const xpv_block_queue &) = delete;

	/* As the functions of linux.h. */
	[[nodiscard]] xpv_block_submitted submit(xpv_block_request &request, bool last)
	{
		if (!ring_)
			return XPV_BLOCK_DEAD;
		bool wanted = false;
		auto submitted = ring_->submit(request, last, wanted);
		if (wanted)
			notify();
		return submitted;
	}
	void commit()
	{
		if (ring_ && ring_->commit())
			notify();
	}
	void poll();
	/* Requests in the ring; a snapshot. Any context but NMI. */
	[[nodiscard]] unsigned int in_flight();

	/* The ring of a new connection, or null at its end. Sleeping context. */
	void set_ring(xpv::Ring *ring);
	/* Events come from now on, maybe before this returns. Sleeping context. */
	[[nodiscard]] xpv::Status open_channel(xpv::Domid backend, const char *name);
	[[nodiscard]] xpv::Port port() const { return xpv_event_channel_port(channel_); }
	/* No event comes any more. The channel stays only if it is lost and `keep_lost`. Sleeping context. */
	void close_channel(bool keep_lost);
	/* Take the responses that are there and pass them on. False: there was none. Any context but NMI. */
	[[nodiscard]] bool respond();

private:
	static void on_event(xpv_event_context *context);
	void notify();

	xpv_vbd &vbd_;
	xpv::Spinlock poll_lock_{ "xpv_blkfront_poll"_lock }; /* held by poll(), and to change what follows */
	xpv::Ring *ring_ = nullptr;
	xpv_event_channel *channel_ = nullptr;
};
