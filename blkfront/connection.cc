// SPDX-License-Identifier: GPL-2.0-only
/* Create a ring and open a channel for each queue, publish the first queue's, and end all: channels before rings. */
#include "blkfront/connection.hh"

#include "xenbus/xenbus.h"

namespace xpv {

Result<Owned<Connection>> Connection::make(const QueueArray &queues, Domid backend, uint16_t handle, const char *name)
{
	auto connection = XPV_TRY(xpv::make<Connection>(XPV_MAY_SLEEP, queues));
	connection->rings_ = XPV_TRY(Array<Ring *>::make(queues.count, XPV_MAY_SLEEP));
	for (unsigned int i = 0; i < queues.count; i++) {
		auto ring = XPV_TRY(Ring::make({ .backend = backend, .handle = handle, .disk = name }));
		connection->rings_[i] = ring.release();
		queues.queues[i]->set_ring(connection->rings_[i]);
		XPV_TRY(queues.queues[i]->open_channel(backend, name));
	}
	return connection;
}

Connection::~Connection()
{
	/* May be partly constructed. After end() the queues may belong to the next connection. */
	if (!ended_ && rings_.size() != 0) {
		RequestList none;
		end(none, true);
	}
	for (Ring *ring : rings_)
		Owned<Ring> freed_here(ring);
}

Status Connection::publish(xpv_device *device)
{
	char reference[16];
	char port[16];
	xpv_format(reference, sizeof(reference), "%u", rings_[0]->reference().value);
	xpv_format(port, sizeof(port), "%u", queues_.queues[0]->port().value);
	xpv_store_write_item items[] = {
		{ .path = "ring-ref", .value = reference, .result = 0 },
		{ .path = "event-channel", .value = port, .result = 0 },
		{ .path = "protocol", .value = "x86_64-abi", .result = 0 },
	};
	return status(xpv_device_initialised(device, items, sizeof(items) / sizeof(items[0])));
}

void Connection::set_features(const BackendParameters &backend)
{
	for (Ring *ring : rings_)
		ring->set_features({ .flush = backend.flush, .read_only = backend.read_only });
}

void Connection::end(RequestList &unfinished, bool keep_lost)
{
	ended_ = true;
	for (xpv_block_queue *queue : queues_) {
		queue->close_channel(keep_lost);
		ignore(queue->respond());
		queue->set_ring(nullptr);
	}
	for (Ring *ring : rings_)
		if (ring)
			ring->end(unfinished);
}

unsigned int Connection::retry_revoke()
{
	unsigned int count = 0;
	for (Ring *ring : rings_)
		count += ring->retry_revoke();
	return count;
}

unsigned int Connection::leave(LeftRings &left)
{
	unsigned int parked = retry_revoke(); /* the destructors park these */
	for (Ring *ring : rings_)
		parked += left.keep(ring->take_page());
	return parked;
}

} // namespace xpv
