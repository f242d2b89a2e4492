// SPDX-License-Identifier: GPL-2.0-only
#include "netfront/vif.hh"

#include "lib/deadline.hh"
#include "lib/guard.hh"
#include "lib/log.hh"
#include "netfront/registry.hh"

using namespace xpv;

namespace {

/*
 * When neighbours are told of a connection that is not the first: at once, and after these intervals, a second in
 * all. Some of it may be lost on the way: a bridge may not pass on packets yet.
 */
constexpr unsigned int announcement_intervals_ms[] = { 25, 75, 150, 250, 500 };
constexpr unsigned int announcement_count = 1 + sizeof(announcement_intervals_ms) / sizeof(unsigned int);
/* How long the carrier stays after a restore, until the new backend is Connected. */
constexpr unsigned int carrier_kept_ms = 2000;
/* An event that a backend forgot to send is missed for so long at most. */
constexpr unsigned int watchdog_ms = 2000;
/* Until the ring has room again, and until xenstore may have recovered. */
constexpr unsigned int filter_retry_ms = 20;
constexpr unsigned int filter_store_retry_ms = 5000;
/* What is on its way to the backend when a suspend begins is lost if it takes longer. */
constexpr unsigned int drain_ms = 20;

} // namespace

/* ---- Life ---- */

xpv_vif::xpv_vif(xpv_device *device, const VifIdentity &identity) : device_(device), identity_(identity)
{
	xpv_format(name_, sizeof(name_), "vif%s", xpv_device_id(device));
}

Result<Owned<xpv_vif>> xpv_vif::probe(xpv_device *device)
{
	auto identity = XPV_TRY(read_identity(device));
	auto vif = XPV_TRY(xpv::make<xpv_vif>(XPV_MAY_SLEEP, device, identity));
	XPV_TRY(vif->make_queues());
	return vif;
}

Status xpv_vif::make_queues()
{
	queues_ = XPV_TRY(Array<xpv_net_queue *>::make(xpv_net_max_queues(), XPV_MAY_SLEEP));
	for (unsigned int i = 0; i < queues_.size(); i++)
		queues_[i] = XPV_TRY(xpv::make<xpv_net_queue>(XPV_MAY_SLEEP, *this, i)).release();
	queues_wanted_ = queues().count;
	return {};
}

Status xpv_vif::make_netdev()
{
	if (netdev_)
		return {};
	xpv_netdev_parameters parameters = {};
	__builtin_memcpy(parameters.mac, identity_.mac, sizeof(parameters.mac));
	parameters.mtu = identity_.mtu;
	parameters.queues = queues_.data();
	parameters.queue_count = queues().count;
	parameters.vif = this;
	XPV_TRY(status(xpv_netdev_create(xpv_device_linux(device_), &parameters, &netdev_)));
	for (xpv_net_queue *queue : queues_)
		queue->set_linux(xpv_netdev_get_queue(netdev_, queue->index()));
	registry_add(*this);
	return {};
}

xpv_vif::~xpv_vif()
{
	disconnect();
	for (xpv_net_queue *queue : queues_)
		Owned<xpv_net_queue> freed_here(queue);
}

/* ---- Handshake ---- */

Status xpv_vif::negotiate()
{
	if (lost_) {
		unsigned int count = lost_->still_mapped();
		if (count != 0) {
			XPV_ERR_LIMITED("%s: backend of the lost connection still maps %u pages, not reconnecting yet",
					name(), count);
			return Error(XEN_EBUSY);
		}
		drop_lost_connection();
	}
	left_mapped_.retry();
	XPV_TRY(make_netdev());
	auto features = XPV_TRY(read_features(device_));
	trusted_ = XPV_TRY(read_trusted(device_)) && xpv_net_trusted();
	/* A change of these wishes from here on makes the bus connect again. */
	connection_ = XPV_TRY(Connection::make(wanted_queues(), xpv_device_backend_domain(device_), features,
					       read_once(xdp_wanted_), name()));
	restored_ = false;
	open_control_ring();
	/*
	 * netback's interface has a carrier, and is forwarded to by its bridge, once all queues have pages to receive
	 * in. So it has when it says Connected.
	 */
	if (xpv_netdev_prepare(netdev_, !trusted_))
		connection_->post_pages();
	auto published = connection_->publish(device_, rss_);
	/* The backend may have seen it all the same. */
	if (!published.ok())
		end_connection(false, false);
	return published;
}

/* It may be done without, if the backend has none, or there is no memory. */
void xpv_vif::open_control_ring()
{
	if (!connection_->features().control_ring || !xpv_net_receive_hash())
		return;
	auto opened = rss_.open(xpv_device_backend_domain(device_), name());
	if (!opened.ok())
		XPV_WARNING_LIMITED("%s: cannot make the control ring (%pe), not using receive hashing", name(),
				    err_ptr(opened.code()));
}

Status xpv_vif::connect()
{
	auto link = XPV_TRY(read_link(device_));
	const BackendFeatures &backend = connection_->features();
	const xpv_netdev_features features = {
		.scatter_gather = backend.scatter_gather,
		.checksum_ipv4 = backend.checksum_ipv4,
		.checksum_ipv6 = backend.checksum_ipv6,
		.gso_tcpv4 = backend.gso_tcpv4,
		.gso_tcpv6 = backend.gso_tcpv6,
		.receive_hash = rss_.is_open(),
		.stage_all = !trusted_,
	};
	XPV_TRY(status(xpv_netdev_connect(netdev_, connection_->queue_count(), &features)));
	if (!registered_) {
		auto added = status(xpv_netdev_register(netdev_));
		if (!added.ok()) {
			/* The bus calls disconnect(), as for any error. */
			XPV_ERR("%s: cannot add the network interface (%pe)", name(), err_ptr(added.code()));
			return added;
		}
	}
	carrier_work_.cancel();
	xpv_netdev_set_link(netdev_, link.carrier, link.speed);
	watch_link(link);
	/* The backend may have unmapped the last connection's rings only when it connected to this one. */
	left_mapped_.retry();

	char interface[32];
	xpv_netdev_name(netdev_, interface, sizeof(interface));
	XPV_NOTICE_LIMITED("%s: %s %s, %u queues%s%s%s", xpv_device_path(device_), interface,
			   registered_ ? "connected again" : "connected", connection_->queue_count(),
			   backend.split_event_channels ? "" : ", one event channel each",
			   trusted_ ? "" : ", backend not trusted", connection_->xdp() ? ", XDP" : "");
	/* The first time Linux itself does that when the interface gets an address. */
	if (registered_) {
		announcements_ = 0;
		announce_work_.schedule();
	}
	registered_ = true;
	write_once(queues_used_, connection_->queue_count());
	write_once(state_, "connected");
	watchdog_.schedule(watchdog_ms);
	filter_.reset();
	filtering_ = false;
	write_once(filter_refused_, false);
	write_once(filter_held_, false);
	write_once(can_filter_, backend.multicast_filter);
	multicast_changed();
	rss_.start(connection_->queue_count());
	return {};
}

/* Only some backends have a carrier of their own. */
void xpv_vif::watch_link(const BackendLink &link)
{
	if (!link.has_carrier || link_watch_.started())
		return;
	char path[288];
	xpv_format(path, sizeof(path), "%s/carrier", xpv_device_backend_path(device_));
	auto watching = link_watch_.start(path);
	if (!watching.ok())
		XPV_WARNING_LIMITED("%s: cannot watch the backend's carrier (%pe)", name(), err_ptr(watching.code()));
}

void xpv_vif::backend_changed()
{
	if (connection_ && registered_)
		follow(read_link(device_));
}

/* In the watch thread, while there is a connection. */
void xpv_vif::link_changed()
{
	follow(read_link_at(xpv_device_backend_path(device_)));
}

void xpv_vif::follow(Result<BackendLink> link)
{
	/* The toolstack may be writing it just now: all stays as it is. */
	if (link.ok())
		xpv_netdev_set_link(netdev_, link.value().carrier, link.value().speed);
}

void xpv_vif::end_connection(bool final, bool keep_carrier)
{
	carrier_work_.cancel();
	link_watch_.stop();
	write_once(can_filter_, false);
	filter_work_.cancel();
	announce_work_.cancel();
	watchdog_.cancel();
	report_parked(rss_.close(left_mapped_));
	if (!connection_)
		return;
	xpv_netdev_disconnect(netdev_, keep_carrier);
	if (keep_carrier)
		carrier_work_.schedule(carrier_kept_ms);
	connection_->end(!final);
	lost_ = std::move(connection_);
	write_once(queues_used_, 0);
	if (final || lost_->still_mapped() == 0)
		drop_lost_connection();
}

void xpv_vif::drop_lost_connection()
{
	if (!lost_)
		return;
	report_parked(lost_->leave(left_mapped_));
	lost_.reset();
}

void xpv_vif::report_parked(unsigned int pages)
{
	if (pages != 0)
		xpv_device_parked(device_, pages);
}

void xpv_vif::connection_lost()
{
	/*
	 * On the new host the network is most likely as near. Without a carrier Linux would forget its neighbours, and
	 * others on top their addresses.
	 */
	end_connection(false, std::exchange(restored_, false));
	write_once(state_, "stopped");
	if (registered_)
		XPV_NOTICE_LIMITED("%s: connection lost", name());
}

void xpv_vif::disconnect()
{
	end_connection(true, false);
	drop_lost_connection();
	report_parked(left_mapped_.park());
	for (xpv_net_queue *queue : queues_)
		if (queue)
			queue->close(false);
	write_once(state_, "-");
	if (!netdev_)
		return;
	/* show() asks for the name. */
	registry_remove(*this);
	if (registered_)
		xpv_netdev_unregister(netdev_);
	registered_ = false;
	xpv_netdev_destroy(std::exchange(netdev_, nullptr));
}

/* ---- Suspend ---- */

void xpv_vif::hold()
{
	write_once(filter_held_, true);
	rss_.hold();
	if (netdev_)
		xpv_netdev_begin_hold(netdev_);
}

Status xpv_vif::drain(uint64_t deadline_ms)
{
	if (!netdev_)
		return {};
	watchdog_.cancel();
	filter_work_.cancel();
	rss_.wait_held();
	/* What the backend does not take soon is lost, if this ends in another domain, as on any network. */
	ignore(poll_until(Deadline::after(drain_ms).earlier_of(Deadline::at(deadline_ms)),
			  [this] { return in_flight() == 0; }));
	xpv_netdev_wait_held(netdev_);
	return {};
}

void xpv_vif::go_on(xpv_resume_kind kind)
{
	/* connection_lost() follows, where there is a connection; until then nothing goes to a backend of another domain. */
	if (!netdev_)
		return;
	if (kind == XPV_RESUME_RESTORED && connection_) {
		restored_ = true;
		return;
	}
	xpv_netdev_release(netdev_);
	write_once(filter_held_, false);
	rss_.go_on();
	if (!connection_)
		return;
	watchdog_.schedule(watchdog_ms);
	multicast_changed();
}

/* ---- Queues and works ---- */

unsigned int xpv_vif::in_flight() const
{
	unsigned int count = 0;
	for (const xpv_net_queue *queue : queues_)
		count += queue->tx_in_flight();
	return count;
}

/* connect() and end_connection() cancel it. */
void xpv_vif::drop_carrier()
{
	xpv_netdev_set_link(netdev_, false, 0);
}

/* While there is a connection: end_connection() cancels before it touches one. */
void xpv_vif::find_lost_events()
{
	for (unsigned int i = 0; i < read_once(queues_used_); i++)
		queues_[i]->poll_if_pending();
	watchdog_.schedule(watchdog_ms);
}

/*
 * An address is in the backend's list before the list is in force. Where it
 * cannot be what Linux wants, the backend sends all multicast packets.
 */
void xpv_vif::update_filter()
{
	/* drain() waits for this while all disks are held. */
	NoIoScope no_io;
	if (!read_once(can_filter_) || read_once(filter_held_))
		return;
	Status updated = read_once(filter_refused_) ? Status(Error(XEN_E2BIG)) : filter_.update(netdev_, *queues_[0]);
	if (!updated.ok() && updated.error() == XEN_EAGAIN) {
		filter_work_.schedule(filter_retry_ms);
		return;
	}
	bool filtering = updated.ok();
	if (filtering == filtering_)
		return;
	xpv_store_write_item item = { .path = "request-multicast-control", .value = filtering ? "1" : "0", .result = 0 };
	auto written = status(xpv_device_publish(device_, &item, 1));
	if (written.ok())
		filtering_ = filtering;
	else
		filter_work_.schedule(filter_store_retry_ms);
}

void xpv_vif::multicast_changed()
{
	if (read_once(can_filter_))
		filter_work_.schedule();
}

void xpv_vif::filter_refused()
{
	write_once(filter_refused_, true);
	multicast_changed();
}

void xpv_vif::announce()
{
	xpv_netdev_announce(netdev_);
	if (++announcements_ < announcement_count)
		announce_work_.schedule(announcement_intervals_ms[announcements_ - 1]);
}

void xpv_vif::set_queue_count(unsigned int count)
{
	if (count == read_once(queues_wanted_))
		return;
	write_once(queues_wanted_, count);
	xpv_device_reconnect(device_);
}

void xpv_vif::set_xdp(bool xdp)
{
	if (xdp == read_once(xdp_wanted_))
		return;
	write_once(xdp_wanted_, xdp);
	xpv_device_reconnect(device_);
}

void xpv_vif::fail(const Violation &violation)
{
	xpv_device_fail(device_, -XEN_EIO, "%s %llu", violation.what, static_cast<unsigned long long>(violation.number));
}

void xpv_vif_multicast_changed(xpv_vif *vif)
{
	vif->multicast_changed();
}

void xpv_vif_set_xdp(xpv_vif *vif, bool xdp)
{
	vif->set_xdp(xdp);
}

void xpv_vif_set_queue_count(xpv_vif *vif, unsigned int count)
{
	vif->set_queue_count(count);
}

void xpv_vif::show(xpv_debug_sink *sink) const
{
	char interface[32];
	xpv_netdev_name(netdev_, interface, sizeof(interface));
	xpv_debug_print(sink, "%-12s %-24s %-12s %6u %s\n", interface, xpv_device_path(device_), read_once(state_),
			read_once(queues_used_), rss_.state());
}
