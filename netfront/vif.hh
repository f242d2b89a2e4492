/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One vif from probe to removal: the network interface that Linux sees, and its
 * present connection to a backend, if any.
 *
 * The bus calls one function of a device at a time. Packets and events may come
 * at any time; they only use queues and rings (queue.hh).
 */
#pragma once

#include "lib/list.hh"
#include "netfront/connection.hh"
#include "netfront/identity.hh"
#include "netfront/multicast.hh"
#include "netfront/rss.hh"
#include "xenbus/frontend_driver.hh"
#include "xenbus/store_watch.hh"

struct xpv_vif : xpv_device_context, xpv::ListLink<> {
public:
	/* netback reads nothing of ours before our state is Connected. */
	static constexpr bool connects_first = true;

	/* Create a vif from the device's directory in xenstore. */
	[[nodiscard]] static xpv::Result<xpv::Owned<xpv_vif>> probe(xpv_device *device);
	/* Only for probe(), which does the part that can fail. */
	xpv_vif(xpv_device *device, const xpv::VifIdentity &identity);
	~xpv_vif();
	xpv_vif(const xpv_vif &) = delete;
	xpv_vif &operator=(const xpv_vif &) = delete;

	/* As the functions of struct xpv_frontend_driver. */
	[[nodiscard]] xpv::Status negotiate();
	[[nodiscard]] xpv::Status connect();
	void backend_changed();
	void connection_lost();
	void disconnect();
	void hold();
	[[nodiscard]] xpv::Status drain(uint64_t deadline_ms);
	void go_on(xpv_resume_kind kind);

	/* As xpv_vif_set_queue_count(). */
	void set_queue_count(unsigned int count);

	/* As xpv_vif_set_xdp(). */
	void set_xdp(bool xdp);

	/* As xpv_vif_multicast_changed(). */
	void multicast_changed();

	/* For xpv_vif_get_rss() and xpv_vif_set_rss(). */
	[[nodiscard]] xpv::Rss &rss() { return rss_; }

	/* For the queues. Any context but NMI. */
	void filter_refused();
	void fail(const xpv::Violation &violation);
	/* Return "vif" and the device's id, as in the names of its irqs. */
	[[nodiscard]] const char *name() const { return name_; }

	/* Print this vif's line of the table. Any context but NMI. */
	void show(xpv_debug_sink *sink) const;

private:
	[[nodiscard]] xpv::Status make_queues();
	[[nodiscard]] xpv::Status make_netdev();
	[[nodiscard]] xpv::QueueArray queues() const
	{
		return { queues_.data(), static_cast<unsigned int>(queues_.size()) };
	}
	[[nodiscard]] xpv::QueueArray wanted_queues() const
	{
		return { queues_.data(), xpv::read_once(queues_wanted_) };
	}
	[[nodiscard]] unsigned int in_flight() const;
	void end_connection(bool final, bool keep_carrier);
	void drop_lost_connection();
	void report_parked(unsigned int pages);
	void open_control_ring();
	void watch_link(const xpv::BackendLink &link);
	void link_changed();
	void follow(xpv::Result<xpv::BackendLink> link);
	void update_filter();
	void announce();
	void drop_carrier();
	void find_lost_events();

	xpv_device *const device_;
	const xpv::VifIdentity identity_;
	char name_[32];

	xpv::Array<xpv_net_queue *> queues_; /* as many as a connection may use at most */
	xpv_netdev *netdev_ = nullptr; /* from the first negotiate() until disconnect() */
	xpv::Owned<xpv::Connection> connection_;
	xpv::Owned<xpv::Connection> lost_; /* the last one, while its backend still maps pages of packets */
	xpv::LeftRings left_mapped_; /* ring pages of earlier connections that a backend may still map */
	unsigned int queues_wanted_ = 0; /* of queues_ */
	bool xdp_wanted_ = false;
	bool trusted_ = true;
	bool registered_ = false;
	bool restored_ = false; /* since the connection was made */
	unsigned int announcements_ = 0; /* so far, of this connection */

	xpv::MulticastFilter filter_;
	bool can_filter_ = false; /* of this connection; false while there is none */
	bool filter_refused_ = false;
	bool filtering_ = false; /* what we wrote to xenstore */
	bool filter_held_ = false; /* by a suspend; after a restore until the next connection */

	xpv::Rss rss_{ *this };

	/* For show(). */
	const char *state_ = "-";
	unsigned int queues_used_ = 0;

	xpv::Work<&xpv_vif::drop_carrier> carrier_work_{ *this, XPV_WORK_RECOVERY, "xpv netfront carrier"_lock };
	xpv::Work<&xpv_vif::announce> announce_work_{ *this, XPV_WORK_RECOVERY, "xpv netfront announce"_lock };
	xpv::Work<&xpv_vif::update_filter> filter_work_{ *this, XPV_WORK_RECOVERY, "xpv netfront filter"_lock };
	xpv::Work<&xpv_vif::find_lost_events> watchdog_{ *this, XPV_WORK_WATCHDOG, "xpv netfront watchdog"_lock };
	xpv::StoreWatch<&xpv_vif::link_changed> link_watch_{ *this };
};
