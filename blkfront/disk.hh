/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The disk that Linux sees: it lives from the first connect() to disconnect(),
 * whatever becomes of its connections. Its limits are those of the backend that
 * it was made with; it follows later backends in size and permission to write.
 *
 * The bus calls one function of a device at a time, so nothing here is locked.
 */
#pragma once

#include "blkfront/connection.hh"
#include "blkfront/offer.hh"
#include "blkfront/requests.hh"
#include "blkfront/vdev.hh"
#include "lib/memory.hh"

namespace xpv {

class Disk {
public:
	/* Segments of a request: three slots of a ring of one page. */
	static constexpr unsigned int max_segments = 32;

	/* Why the disk is stopped; it is while there is a reason. */
	enum class Reason : unsigned int {
		Suspend = 1 << 0,
		ConnectionLost = 1 << 1,
	};

	/* Not yet there for user space; add() is the next step. Errors as of xpv_disk_create(). Sleeping context. */
	[[nodiscard]] static Result<Owned<Disk>> make(xpv_device *device, xpv_vbd *vbd, const DiskIdentity &identity,
						      const QueueArray &queues, unsigned int depth, const Offer &offer);
	/* For make(), which does the part that can fail. */
	Disk(const DiskIdentity &identity, const Offer &offer);
	/* After remove(), or before add(). */
	~Disk();
	Disk(const Disk &) = delete;
	Disk &operator=(const Disk &) = delete;

	/* As xpv_disk_add() and xpv_disk_retire(). */
	void add() { xpv_disk_add(disk_); }
	void retire() { xpv_disk_retire(disk_); }
	/*
	 * There is no backend and none will come: fail what was kept, and what Linux
	 * has waiting, and take the disk away. Sleeping context.
	 */
	void remove();

	/* Whether this disk can be served by that backend: EINVAL, and a line in the log, when its blocks are too large. */
	[[nodiscard]] Status check(const Offer &offer) const;
	/* Size, and permission to write, of the backend. Sleeping context. */
	void follow(const Offer &offer);
	void resize(uint64_t sectors);
	[[nodiscard]] uint64_t sectors() const { return sectors_; }

	/* A further reason to stop. Must not sleep; wait_stopped() makes sure. */
	void begin_stop(Reason reason);
	/* Sleeping context. */
	void wait_stopped();
	/* The reason is gone; the disk runs if it was the last. Sleeping context. */
	void start(Reason reason);

	/* While stopped: requests that a connection left unfinished. */
	[[nodiscard]] RequestList &kept() { return kept_; }
	/* While stopped: give them back to Linux, which submits them again after start(). Sleeping context. */
	void requeue_kept();

private:
	const DiskIdentity identity_;
	const unsigned int logical_block_size_;
	xpv_disk *disk_ = nullptr;
	uint64_t sectors_;
	bool read_only_;
	unsigned int reasons_ = 0;
	bool stopping_ = false; /* begun, and not waited for */
	RequestList kept_;
};

} // namespace xpv
