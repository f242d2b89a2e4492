// SPDX-License-Identifier: GPL-2.0-only
/* Open and close the queue's event channel; on an event read the ring's responses and complete their requests. */
#include "blkfront/queue.hh"

#include "blkfront/vbd.hh"
#include "lib/log.hh"

using namespace xpv;

void xpv_block_queue::set_ring(Ring *ring)
{
	SpinGuard guard(poll_lock_);
	ring_ = ring;
}

unsigned int xpv_block_queue::in_flight()
{
	SpinGuard guard(poll_lock_);
	return ring_ ? ring_->in_flight() : 0;
}

void xpv_block_queue::poll()
{
	SpinGuard guard(poll_lock_);
	if (ring_)
		ignore(respond());
}

/* ---- The event channel ---- */

Status xpv_block_queue::open_channel(Domid backend, const char *name)
{
	if (channel_)
		return status(xpv_event_channel_rebind_unbound(channel_, backend));
	xpv_event_channel *channel = nullptr;
	const xpv_event_channel_args args = { .name = name, .flags = XPV_EVENT_HARD, .handler = on_event, .context = this };
	XPV_TRY(status(xpv_event_channel_alloc_unbound(backend, &args, &channel)));
	SpinGuard guard(poll_lock_);
	write_once(channel_, channel);
	return {};
}

void xpv_block_queue::close_channel(bool keep_lost)
{
	if (!channel_)
		return;
	if (keep_lost && xpv_event_channel_lost(channel_)) {
		xpv_event_channel_synchronize(channel_);
		return;
	}
	xpv_event_channel *channel = channel_;
	{
		SpinGuard guard(poll_lock_);
		write_once(channel_, nullptr);
	}
	xpv_event_channel_close(channel);
}

/*
 * Notify the backend. The channel cannot be closed meanwhile, see queue.hh. At
 * the end of a connection there is no channel, or it has no port.
 */
void xpv_block_queue::notify()
{
	auto *channel = read_once(channel_);
	int code = channel ? xpv_event_channel_notify(channel) : 0;
	if (code < 0 && code != -XEN_ENOTCONN)
		XPV_ERR_LIMITED("%s: cannot notify the backend (%pe)", vbd_.name(), err_ptr(code));
}

void xpv_block_queue::on_event(xpv_event_context *context)
{
	auto *queue = static_cast<xpv_block_queue *>(context);
	xpv_event_channel *channel = read_once(queue->channel_);
	if (!queue->respond() && channel)
		xpv_event_channel_spurious(channel);
}

bool xpv_block_queue::respond()
{
	Ring *ring = ring_;
	if (!ring)
		return false;
	RequestList done;
	auto collected = ring->collect(done);
	if (collected.notify)
		notify();
	if (xpv_block_request *first = done.take_all()) {
		xpv_disk_complete(first);
		vbd_.requests_completed();
	}
	if (collected.violation) {
		vbd_.fail(collected.violation);
		/* The bus calls disconnect() soon. Mask the channel: further events would be useless. */
		if (auto *channel = read_once(channel_))
			xpv_event_channel_mask(channel);
	}
	return collected.progress || collected.violation;
}

/* ---- For the C files ---- */

xpv_block_submit_result xpv_block_submit(xpv_block_queue *queue, xpv_block_request *request, bool last)
{
	return queue->submit(*request, last);
}

void xpv_block_commit(xpv_block_queue *queue)
{
	queue->commit();
}

void xpv_block_poll(xpv_block_queue *queue)
{
	queue->poll();
}
