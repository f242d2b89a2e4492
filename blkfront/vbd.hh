/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One vbd from probe to removal: what the bus tells us becomes a ring, an
 * event channel and a disk, and goes again.
 *
 * The bus calls one function of a device at a time. Requests and events come
 * at any moment between; they reach only the ring, which has a lock of its
 * own, and which lives until the disk and the channel are gone.
 */
#pragma once

#include "blkfront/ring.hh"
#include "blkfront/vdev.hh"
#include "evtchn/evtchn.h"
#include "lib/list.hh"

struct xpv_vbd : xpv::ListLink<> {
public:
	xpv_vbd(xpv_device *device, const xpv::DiskIdentity &identity, uint16_t handle)
		: device_(device), identity_(identity), handle_(handle)
	{
	}
	~xpv_vbd();
	xpv_vbd(const xpv_vbd &) = delete;
	xpv_vbd &operator=(const xpv_vbd &) = delete;

	/* Each as the bus has it. */
	[[nodiscard]] xpv::Status negotiate();
	[[nodiscard]] xpv::Status connect();
	void backend_changed();
	void disconnect();
	void connection_lost();

	/*
	 * The domain is about to be suspended: nothing is to be submitted; and again. With the list's
	 * mutex held; if true, also until xpv_disks_wait_stopped() has returned: whoever finds the disk
	 * stopped relies on that.
	 */
	[[nodiscard]] bool hold_locked() { return begin_stop_locked(Stopped::Suspend); }
	void go_on_locked() { start_disk_locked(Stopped::Suspend); }

	[[nodiscard]] xpv_block_submitted submit(request *owner, xpv_block_operation operation, uint64_t sector,
						 const xpv_block_segments &segments, bool last);
	void commit();
	/* The backend may have responded: false when it has not. Any context but NMI. */
	[[nodiscard]] bool respond();
	void add_failed(int error);
	[[nodiscard]] xpv_vbd_state state() const;

private:
	/* Why the disk is stopped; it is while there is any reason. */
	enum class Stopped : unsigned int {
		Suspend = 1 << 0,
		Lost = 1 << 1, /* there is no backend to submit to */
	};
	[[nodiscard]] bool begin_stop_locked(Stopped reason); /* whether it has to be waited for */
	void stop_disk_locked(Stopped reason);
	void start_disk_locked(Stopped reason);
	[[nodiscard]] xpv::Status make_channel();
	[[nodiscard]] xpv::Status connect_again(const xpv::Offer &offer);
	void set_disk(xpv_disk *disk);
	void set_ring(xpv::Owned<xpv::Ring> ring);
	[[nodiscard]] xpv::Status publish();
	static void on_event(xpv_event_context *context);
	void notify();

	xpv_device *const device_;
	const xpv::DiskIdentity identity_;
	const uint16_t handle_;

	xpv::Owned<xpv::Ring> ring_; /* changes with the list's mutex held, for state() */
	xpv_event_channel *channel_ = nullptr;
	xpv_disk *disk_ = nullptr; /* changes with the list's mutex held */
	unsigned int stopped_ = 0; /* the list's mutex */
	unsigned int sector_size_ = 0;
	uint64_t sectors_ = 0;
};
