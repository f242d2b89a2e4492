/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One queue of a vif. It exists as long as the vif, and has rings only during a
 * connection. Its event channels are closed with the connection, except after a
 * restore: then they get new ports, and keep their irqs and the irqs' affinity.
 *
 * The ring pointers change only while nothing can use them: after
 * xpv_netdev_disconnect() has returned, or before xpv_netdev_connect(). So the
 * data path takes no lock but Linux's own: the transmit lock and NAPI.
 *
 * A port stays masked from an event until the end of the poll that the event
 * caused. An event is spurious if no response was taken since the last event.
 */
#pragma once

#include "evtchn/evtchn.hh"
#include "lib/work.hh"
#include "netfront/rx_ring.hh"
#include "netfront/tx_ring.hh"

using xpv::operator""_lock;

struct xpv_net_queue {
public:
	xpv_net_queue(xpv_vif &vif, unsigned int index) : vif_(vif), index_(index) {}
	~xpv_net_queue() { close(false); }
	xpv_net_queue(const xpv_net_queue &) = delete;
	xpv_net_queue &operator=(const xpv_net_queue &) = delete;

	/* Set the C half. Call once, before open(). */
	void set_linux(xpv_netdev_queue *linux_queue) { linux_ = linux_queue; }
	[[nodiscard]] xpv_netdev_queue *linux_queue() const { return linux_; }
	[[nodiscard]] unsigned int index() const { return index_; }

	/*
	 * Open the channels to a backend: one for each direction if `split`, else
	 * one for both. `name` is the vif's. After an error call close(). Sleeping
	 * context.
	 */
	[[nodiscard]] xpv::Status open(xpv::Domid backend, const char *name, bool split);
	/*
	 * Close the event channels; or, if they are lost and `keep_lost`, keep them. No
	 * event comes after this returns. Sleeping context.
	 */
	void close(bool keep_lost);
	[[nodiscard]] bool split() const { return rx_channel_.is_open(); }
	/* Only when open. */
	[[nodiscard]] xpv::Port tx_port() const { return tx_channel_.port(); }
	[[nodiscard]] xpv::Port rx_port() const { return split() ? rx_channel_.port() : tx_port(); }

	/* Set the rings of a new connection; null at its end. Sleeping context. */
	void set_rings(xpv::TxRing *tx, xpv::RxRing *rx);

	/* As the functions of linux.h. */
	[[nodiscard]] int submit(const xpv_tx_packet &packet);
	void push();
	/* As TxRing::submit_filter(), and push(). Transmit lock. */
	[[nodiscard]] xpv::Status filter(bool add, const xpv_net_address &address);
	void collect_tx(unsigned int least, xpv_tx_done &done);
	[[nodiscard]] unsigned int tx_in_flight() const { return tx_ ? tx_->in_flight() : 0; }
	void collect_rx(unsigned int budget, xpv_rx_batch &batch);
	void refill();
	[[nodiscard]] bool arm();
	void end_of_interrupt();

	/* Poll the queue if there are responses, in case an event was lost. While connected. Any context but NMI. */
	void poll_if_pending();

private:
	void on_tx_event();
	void on_rx_event();
	void poll_again();
	void violated(const xpv::Violation &violation);
	void notify_tx();
	void notify_rx();

	xpv_vif &vif_;
	const unsigned int index_;
	xpv_netdev_queue *linux_ = nullptr;
	xpv::TxRing *tx_ = nullptr;
	xpv::RxRing *rx_ = nullptr;

	/* There is an event that awaits its EOI; responses were taken since the last event. */
	bool tx_event_ = false, rx_event_ = false;
	bool tx_progress_ = false, rx_progress_ = false;
	bool broken_ = false;

	xpv::Channel<&xpv_net_queue::on_tx_event> tx_channel_{ *this };
	xpv::Channel<&xpv_net_queue::on_rx_event> rx_channel_{ *this };
	xpv::Work<&xpv_net_queue::poll_again> retry_{ *this, XPV_WORK_WATCHDOG, "xpv netfront retry"_lock };
};
