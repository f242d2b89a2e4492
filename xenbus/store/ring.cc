// SPDX-License-Identifier: GPL-2.0-only
/* Copy bytes into and out of the ring, check xenstored's indices, and order the accesses by barriers. */
#include "xenbus/store/ring.hh"

#include "lib/ordering.hh"

namespace xpv {

namespace {

constexpr size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

} // namespace

Status StoreRing::attach(xenstore_domain_interface *shared)
{
	shared_ = shared;
	request_produced_ = read_once(shared_->req_prod);
	response_consumed_ = read_once(shared_->rsp_cons);
	if (request_produced_ - read_once(shared_->req_cons) > XENSTORE_RING_SIZE)
		return Error(XEN_EIO);
	if (read_once(shared_->rsp_prod) - response_consumed_ > XENSTORE_RING_SIZE)
		return Error(XEN_EIO);
	return {};
}

bool StoreRing::quiescent() const
{
	return requests_taken() && read_once(shared_->rsp_prod) == response_consumed_;
}

bool StoreRing::requests_taken() const
{
	return read_once(shared_->req_cons) == request_produced_;
}

void StoreRing::discard_responses()
{
	response_consumed_ = read_once(shared_->rsp_prod);
	virt_mb();
	write_once(shared_->rsp_cons, response_consumed_);
}

Result<size_t> StoreRing::write(const void *bytes, size_t size)
{
	XENSTORE_RING_IDX used = request_produced_ - read_once(shared_->req_cons);
	if (used > XENSTORE_RING_SIZE)
		return Error(XEN_EIO);
	/* Write to the free space only after reading the index that freed it. */
	virt_mb();

	size_t count = smaller(size, XENSTORE_RING_SIZE - used);
	size_t at = MASK_XENSTORE_IDX(request_produced_);
	size_t to_end = smaller(count, XENSTORE_RING_SIZE - at);
	__builtin_memcpy(shared_->req + at, bytes, to_end);
	__builtin_memcpy(shared_->req, static_cast<const char *>(bytes) + to_end, count - to_end);

	request_produced_ += static_cast<XENSTORE_RING_IDX>(count);
	store_release(shared_->req_prod, request_produced_);
	return count;
}

Result<StoreRing::Taken> StoreRing::read(void *bytes, size_t size)
{
	XENSTORE_RING_IDX before = response_consumed_;
	XENSTORE_RING_IDX available = load_acquire(shared_->rsp_prod) - before;
	if (available > XENSTORE_RING_SIZE)
		return Error(XEN_EIO);

	size_t count = smaller(size, available);
	size_t at = MASK_XENSTORE_IDX(before);
	size_t to_end = smaller(count, XENSTORE_RING_SIZE - at);
	__builtin_memcpy(bytes, shared_->rsp + at, to_end);
	__builtin_memcpy(static_cast<char *>(bytes) + to_end, shared_->rsp, count - to_end);
	if (count == 0)
		return Taken{ 0, false };

	response_consumed_ += static_cast<XENSTORE_RING_IDX>(count);
	virt_mb();
	write_once(shared_->rsp_cons, response_consumed_);
	/*
	 * Either xenstored sees the new index when it checks for room, or we see here
	 * that it had filled the ring, measured from the old index as xenstored does.
	 */
	virt_mb();
	return Taken{ count, read_once(shared_->rsp_prod) - before >= XENSTORE_RING_SIZE };
}

StoreRing::Snapshot StoreRing::snapshot() const
{
	return { read_once(shared_->req_cons),
		 request_produced_,
		 response_consumed_,
		 read_once(shared_->rsp_prod),
		 read_once(shared_->server_features),
		 read_once(shared_->connection),
		 read_once(shared_->error) };
}

uint32_t StoreRing::progress() const
{
	return read_once(shared_->req_cons) + read_once(shared_->rsp_prod);
}

uint32_t StoreRing::error() const
{
	return read_once(shared_->error);
}

bool StoreRing::can_reconnect() const
{
	return read_once(shared_->server_features) & XENSTORE_SERVER_FEATURE_RECONNECTION;
}

void StoreRing::request_reconnect()
{
	write_once(shared_->connection, XENSTORE_RECONNECT);
}

bool StoreRing::reconnecting() const
{
	return read_once(shared_->connection) == XENSTORE_RECONNECT;
}

} // namespace xpv
