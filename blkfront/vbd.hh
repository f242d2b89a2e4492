/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One vbd from probe to removal: the disk that Linux sees, and its present
 * connection to a backend, if any.
 *
 * The bus calls one function of a device at a time. Requests and events may come
 * at any time; they only use queues and rings (queue.hh).
 */
#pragma once

#include "blkfront/connection.hh"
#include "blkfront/disk.hh"
#include "blkfront/vdev.hh"
#include "lib/list.hh"
#include "lib/wait.hh"
#include "xenbus/frontend_driver.hh"

struct xpv_vbd : xpv_device_context, xpv::ListLink<> {
public:
	/* Create a vbd from the device's directory in xenstore; ENODEV if it is not a disk for this driver. */
	[[nodiscard]] static xpv::Result<xpv::Owned<xpv_vbd>> probe(xpv_device *device);
	/* Allocate a vbd with its queues. */
	[[nodiscard]] static xpv::Result<xpv::Owned<xpv_vbd>> make(xpv_device *device, const xpv::DiskIdentity &identity);
	/* Only for make(), which does the part that can fail. */
	xpv_vbd(xpv_device *device, const xpv::DiskIdentity &identity) : device_(device), identity_(identity) {}
	~xpv_vbd();
	xpv_vbd(const xpv_vbd &) = delete;
	xpv_vbd &operator=(const xpv_vbd &) = delete;

	/* As the functions of struct xpv_frontend_driver. */
	[[nodiscard]] xpv::Status negotiate();
	[[nodiscard]] xpv::Status connect();
	void backend_changed();
	void connection_lost();
	void retire();
	void disconnect();
	void hold();
	[[nodiscard]] xpv::Status drain(uint64_t deadline_ms);
	void go_on(xpv_resume_kind kind);

	/* For the queues. Any context but NMI. */
	void requests_completed();
	void fail(const xpv::Ring::Violation &violation);
	[[nodiscard]] const char *name() const { return identity_.name; }

	/* For the work items of the disk. */
	void add_failed(int error);
	void retired();

	/* Print this vbd's line of the table. Any context but NMI. */
	void show(xpv_debug_sink *sink) const;

private:
	[[nodiscard]] unsigned int in_flight() const;
	[[nodiscard]] xpv::QueueArray queues() const
	{
		return { queues_.data(), static_cast<unsigned int>(queues_.size()) };
	}
	void end_connection(bool final);
	void drop_lost_connection();
	void report_parked(unsigned int pages);

	xpv_device *const device_;
	const xpv::DiskIdentity identity_;

	xpv::Array<xpv_block_queue *> queues_;
	xpv::Owned<xpv::Connection> connection_;
	xpv::Owned<xpv::Connection> lost_; /* the last connection, while its backend still maps pages of requests */
	xpv::LeftRings left_mapped_; /* ring pages of earlier connections that a backend may still map */
	xpv::Owned<xpv::Disk> disk_;

	xpv::WaitQueue drained_{ "xpv blkfront drained"_lock };
	bool draining_ = false;

	/* For show(). */
	const char *state_ = "-";
	uint64_t sectors_ = 0;
};
