// SPDX-License-Identifier: GPL-2.0-only
#include "netfront/connection.hh"

#include "lib/log.hh"

namespace xpv {

namespace {

void drop_all(std::span<xpv_tx_owner *const> owners)
{
	for (xpv_tx_owner *owner : owners)
		xpv_tx_drop(owner);
}

} // namespace

Result<Owned<Connection>> Connection::make(const QueueArray &queues, Domid backend, const BackendFeatures &features,
					   bool xdp, const char *name)
{
	unsigned int count = queues.count < features.max_queues ? queues.count : features.max_queues;
	for (;;) {
		QueueArray used = { queues.queues, count };
		auto connection = XPV_TRY(xpv::make<Connection>(XPV_MAY_SLEEP, used, features, xdp));
		auto opened = connection->open(backend, name);
		if (opened.ok())
			return connection;
		if (count == 1 || !(opened.error() == XEN_ENOSPC || opened.error() == XEN_ENOMEM))
			return opened.error();
		XPV_WARNING_LIMITED("%s: no resources for %u queues (%pe), trying fewer", name, count,
				    err_ptr(opened.code()));
		count /= 2;
	}
}

Status Connection::open(Domid backend, const char *name)
{
	/* A program needs a copy of the packet: then the page can stay granted. */
	unsigned int copy_limit = xdp_ ? static_cast<unsigned int>(page_size) : XPV_RX_COPY_LIMIT;
	rings_ = XPV_TRY(Array<Rings>::make(queues_.count, XPV_MAY_SLEEP));
	for (unsigned int i = 0; i < queues_.count; i++) {
		auto tx = XPV_TRY(TxRing::make(backend));
		auto rx = XPV_TRY(RxRing::make(backend, copy_limit));
		rings_[i] = { tx.release(), rx.release() };
		queues_[i].set_rings(rings_[i].tx, rings_[i].rx);
		XPV_TRY(queues_[i].open(backend, name, features_.split_event_channels));
	}
	return {};
}

Connection::~Connection()
{
	/* It may be made in part. Once it has ended, the queues may be the next connection's. */
	if (!ended_ && rings_.size() != 0)
		end(true);
	for (unsigned int i = 0; i < rings_.size(); i++) {
		Owned<TxRing> tx(rings_[i].tx);
		Owned<RxRing> rx(rings_[i].rx);
		if (tx)
			drop_all(tx->release());
		if (rx)
			rx->release(queues_[i].linux_queue());
	}
}

/* No poll runs before xpv_netdev_connect(). */
void Connection::post_pages()
{
	for (xpv_net_queue *queue : queues_)
		queue->refill();
}

void Connection::end(bool keep_lost)
{
	ended_ = true;
	for (unsigned int i = 0; i < rings_.size(); i++) {
		xpv_net_queue &queue = queues_[i];
		queue.close(keep_lost);
		queue.set_rings(nullptr, nullptr);
		if (rings_[i].tx)
			drop_all(rings_[i].tx->end());
		if (rings_[i].rx)
			rings_[i].rx->end(queue.linux_queue());
	}
}

unsigned int Connection::still_mapped()
{
	unsigned int count = 0;
	for (unsigned int i = 0; i < rings_.size(); i++) {
		drop_all(rings_[i].tx->end());
		count += rings_[i].tx->still_mapped();
		count += rings_[i].rx->still_mapped(queues_[i].linux_queue());
	}
	return count;
}

unsigned int Connection::leave(LeftRings &left)
{
	unsigned int parked = still_mapped(); /* the destructor parks these */
	for (const Rings &rings : rings_)
		parked += left.keep(rings.tx->take_page()) + left.keep(rings.rx->take_page());
	return parked;
}

} // namespace xpv
