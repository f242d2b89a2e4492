/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The disk that Linux sees, from the first connect() to disconnect(); it
 * outlives its connections. Its limits are those of the backend that it was
 * created with; size and write permission follow later backends.
 *
 * No locks: the bus calls one function of a device at a time.
 */
#pragma once

#include "blkfront/connection.hh"
#include "blkfront/backend_parameters.hh"
#include "blkfront/requests.hh"
#include "blkfront/vdev.hh"
#include "lib/memory.hh"

namespace xpv {

class Disk {
public:
	/* Most segments of a request: three slots of a one-page ring. */
	static constexpr unsigned int max_segments = 32;

	/* Why the disk is stopped. It stays stopped while any reason is set. */
	enum class Reason : unsigned int {
		suspend = 1 << 0,
		connection_lost = 1 << 1,
	};

	/* Create a disk, not visible to user space until add(). Errors as xpv_disk_create(). Sleeping context. */
	[[nodiscard]] static Result<Owned<Disk>> make(xpv_device *device, xpv_vbd *vbd, const DiskIdentity &identity,
						      const QueueArray &queues, unsigned int depth,
						      const BackendParameters &backend);
	/* Only for make(), which does the part that can fail. */
	Disk(const DiskIdentity &identity, const BackendParameters &backend);
	/* Call after remove(), or before add(). */
	~Disk();
	Disk(const Disk &) = delete;
	Disk &operator=(const Disk &) = delete;

	/* As xpv_disk_add(). */
	void add() { xpv_disk_add(disk_); }
	/* As xpv_disk_retire(). */
	void retire() { xpv_disk_retire(disk_); }
	/*
	 * Remove the disk when no backend will connect any more. Fails the kept
	 * requests and those waiting in Linux. Sleeping context.
	 */
	void remove();

	/* Return whether that backend can serve this disk: EINVAL, with a log line, if its sectors are too large. */
	[[nodiscard]] Status check(const BackendParameters &backend) const;
	/* Take over the backend's size and write permission. Sleeping context. */
	void follow(const BackendParameters &backend);
	/* Set the size. Sleeping context. */
	void resize(uint64_t sectors);
	[[nodiscard]] uint64_t sectors() const { return sectors_; }

	/* Add a reason to stop, and begin to stop. Does not sleep; call wait_stopped() to complete the stop. */
	void begin_stop(Reason reason);
	/* Wait until the disk has stopped. Sleeping context. */
	void wait_stopped();
	/* Remove a reason; restart the disk if it was the last one. Sleeping context. */
	void start(Reason reason);

	/* Return the requests that a connection left unfinished. Only while stopped. */
	[[nodiscard]] RequestList &kept() { return kept_; }
	/* Requeue them in Linux, which submits them again after start(). Only while stopped. Sleeping context. */
	void requeue_kept();

private:
	const DiskIdentity identity_;
	const unsigned int logical_block_size_;
	xpv_disk *disk_ = nullptr;
	uint64_t sectors_;
	bool read_only_;
	unsigned int reasons_ = 0;
	bool stopping_ = false; /* begin_stop() was called, wait_stopped() was not */
	RequestList kept_;
};

} // namespace xpv
