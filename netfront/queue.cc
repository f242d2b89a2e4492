// SPDX-License-Identifier: GPL-2.0-only
#include "netfront/queue.hh"

#include "lib/log.hh"
#include "netfront/vif.hh"

using namespace xpv;

namespace {

/* Until pages are there again. */
constexpr unsigned int retry_ms = 50;

/* A channel that a restore took the port from gets another, another one is opened. */
template <typename SomeChannel>
Status open_channel(SomeChannel &channel, Domid backend, const char *vif, unsigned int index, const char *suffix)
{
	if (channel.is_open()) {
		XPV_TRY(channel.rebind_unbound(backend));
		/* The restore may have come between an event and its EOI. */
		channel.eoi();
		return {};
	}
	char name[48];
	xpv_format(name, sizeof(name), "%s-q%u%s", vif, index, suffix);
	return channel.alloc_unbound(backend, name, XPV_EVENT_EXPLICIT_EOI);
}

template <typename SomeChannel>
void close_channel(SomeChannel &channel, bool keep_lost)
{
	if (!channel.is_open())
		return;
	if (keep_lost && channel.lost())
		channel.synchronize();
	else
		channel.close();
}

} // namespace

/* ---- A connection ---- */

Status xpv_net_queue::open(Domid backend, const char *name, bool split)
{
	/* What a lost connection left has its name. */
	if (split != rx_channel_.is_open())
		close(false);
	write_once(tx_event_, false);
	write_once(rx_event_, false);
	tx_progress_ = rx_progress_ = false;
	write_once(broken_, false);
	XPV_TRY(open_channel(tx_channel_, backend, name, index_, split ? "-tx" : ""));
	if (split)
		XPV_TRY(open_channel(rx_channel_, backend, name, index_, "-rx"));
	return {};
}

void xpv_net_queue::close(bool keep_lost)
{
	close_channel(rx_channel_, keep_lost);
	close_channel(tx_channel_, keep_lost);
	retry_.cancel();
}

void xpv_net_queue::set_rings(TxRing *tx, RxRing *rx)
{
	write_once(tx_, tx);
	write_once(rx_, rx);
}

/* ---- Events ---- */

void xpv_net_queue::on_tx_event()
{
	write_once(tx_event_, true);
	xpv_netdev_poll(linux_);
}

void xpv_net_queue::on_rx_event()
{
	write_once(rx_event_, true);
	xpv_netdev_poll(linux_);
}

void xpv_net_queue::poll_again()
{
	xpv_netdev_poll(linux_);
}

void xpv_net_queue::poll_if_pending()
{
	if (rx_->pending() || tx_->pending())
		xpv_netdev_poll(linux_);
}

void xpv_net_queue::end_of_interrupt()
{
	/* Of a broken queue the port stays masked: no event can do any good. */
	if (read_once(broken_))
		return;
	bool shared = !split();
	if (read_once(tx_event_) && exchange(tx_event_, false)) {
		bool progress = read_once(tx_progress_) || (shared && read_once(rx_progress_));
		write_once(tx_progress_, false);
		if (shared)
			write_once(rx_progress_, false);
		tx_channel_.eoi(progress ? 0 : XPV_EOI_SPURIOUS);
	}
	if (!shared && read_once(rx_event_) && exchange(rx_event_, false)) {
		bool progress = read_once(rx_progress_);
		write_once(rx_progress_, false);
		rx_channel_.eoi(progress ? 0 : XPV_EOI_SPURIOUS);
	}
}

void xpv_net_queue::notify_tx()
{
	auto sent = tx_channel_.notify();
	if (!sent.ok() && !(sent.error() == XEN_ENOTCONN)) [[unlikely]]
		XPV_ERR_LIMITED("%s: cannot notify the backend (%pe)", vif_.name(), err_ptr(sent.code()));
}

void xpv_net_queue::notify_rx()
{
	if (!split()) {
		notify_tx();
		return;
	}
	auto sent = rx_channel_.notify();
	if (!sent.ok() && !(sent.error() == XEN_ENOTCONN)) [[unlikely]]
		XPV_ERR_LIMITED("%s: cannot notify the backend (%pe)", vif_.name(), err_ptr(sent.code()));
}

/* The bus calls disconnect() soon. */
void xpv_net_queue::violated(const Violation &violation)
{
	write_once(broken_, true);
	vif_.fail(violation);
}

/* ---- Transmit ---- */

int xpv_net_queue::submit(const xpv_tx_packet &packet)
{
	if (!tx_) [[unlikely]]
		return -XEN_ENODEV;
	auto submitted = tx_->submit(packet);
	return submitted.ok() ? static_cast<int>(tx_->room()) : submitted.code();
}

Status xpv_net_queue::filter(bool add, const xpv_net_address &address)
{
	if (!tx_)
		return Error(XEN_ENODEV);
	XPV_TRY(tx_->submit_filter(add, address));
	push();
	return {};
}

void xpv_net_queue::push()
{
	if (tx_ && tx_->push())
		notify_tx();
}

void xpv_net_queue::collect_tx(unsigned int least, xpv_tx_done &done)
{
	done = {};
	if (!tx_)
		return;
	auto collected = tx_->collect(least);
	if (collected.progress)
		write_once(tx_progress_, true);
	if (collected.violation) [[unlikely]]
		violated(collected.violation);
	if (collected.filter_refused) [[unlikely]]
		vif_.filter_refused();
	done.owners = collected.owners.data();
	done.count = static_cast<unsigned int>(collected.owners.size());
	done.dropped = collected.dropped;
	done.errors = collected.errors;
	done.room = tx_->room();
}

/* ---- Receive ---- */

void xpv_net_queue::collect_rx(unsigned int budget, xpv_rx_batch &batch)
{
	batch = {};
	if (!rx_)
		return;
	auto collected = rx_->collect(budget, linux_);
	if (collected.progress)
		write_once(rx_progress_, true);
	if (collected.violation) [[unlikely]]
		violated(collected.violation);
	batch = collected.batch;
}

void xpv_net_queue::refill()
{
	if (!rx_)
		return;
	auto refilled = rx_->refill(linux_);
	if (refilled.notify)
		notify_rx();
	if (refilled.starving) [[unlikely]]
		retry_.schedule(retry_ms);
}

bool xpv_net_queue::arm()
{
	if (!rx_)
		return false;
	auto more = rx_->more_after_asking();
	if (!more.ok()) [[unlikely]] {
		violated({ "illegal number of receive responses", 0 });
		return false;
	}
	return more.value();
}

/* ---- For the C files ---- */

int xpv_tx_submit(xpv_net_queue *queue, const xpv_tx_packet *packet)
{
	return queue->submit(*packet);
}

void xpv_tx_push(xpv_net_queue *queue)
{
	queue->push();
}

void xpv_tx_collect(xpv_net_queue *queue, unsigned int least, xpv_tx_done *done)
{
	queue->collect_tx(least, *done);
}

unsigned int xpv_tx_in_flight(const xpv_net_queue *queue)
{
	return queue->tx_in_flight();
}

void xpv_rx_collect(xpv_net_queue *queue, unsigned int budget, xpv_rx_batch *batch)
{
	queue->collect_rx(budget, *batch);
}

void xpv_rx_refill(xpv_net_queue *queue)
{
	queue->refill();
}

bool xpv_rx_arm(xpv_net_queue *queue)
{
	return queue->arm();
}

void xpv_net_queue_end_of_interrupt(xpv_net_queue *queue)
{
	queue->end_of_interrupt();
}
