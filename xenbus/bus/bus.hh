/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Discovery: xenstore's directory device/, and the list of devices made from it.
 *
 * Only one thread scans the directory and changes the list. mutex_ guards the
 * list for all other readers, and is never held across a request to xenstored.
 */
#pragma once

#include "lib/thread.hh"
#include "lib/wait.hh"
#include "xenbus/bus/device.hh"
#include "xenbus/store/watch.hh"

namespace xpv {

class Bus : private xpv_store_watch_context {
public:
	/* More devices than any toolstack gives a domain. Bounds memory and requests. */
	static constexpr unsigned int devices_limit = 1024;

	Bus() = default;
	~Bus();
	Bus(const Bus &) = delete;
	Bus &operator=(const Bus &) = delete;

	/* Sleeping context. */
	[[nodiscard]] Status start();
	/* As the functions of linux.h. */
	[[nodiscard]] Status hold(uint64_t deadline_ms);
	void go_on();
	void restored();
	void rescan();
	void prepare_unregister(const xpv_frontend_driver &driver);

private:
	struct Found;

	void run();
	[[nodiscard]] bool has_work();
	[[nodiscard]] Status scan();
	[[nodiscard]] Status list_type(std::string_view type, Array<Found> &found);
	[[nodiscard]] Status scan_devices(Array<Found> &found);
	[[nodiscard]] Status relocate_restored();
	void consider(const DeviceIdentity &identity, const Found &found);
	void add(const DeviceIdentity &identity);
	[[nodiscard]] Device *find(std::string_view type, std::string_view id);
	void remove(Device &device);
	[[nodiscard]] bool busy();
	[[nodiscard]] bool close_gate_when_settled();
	[[nodiscard]] Status hold_devices(uint64_t deadline_ms);
	void release_devices(xpv_resume_kind kind);

	Gate gate_; /* of thread_ */
	Mutex mutex_{ "xpv bus"_lock };
	List<Device> devices_; /* changed by thread_ only, with mutex_ held */
	Watch *watch_ = nullptr;
	bool wanted_ = false;
	bool stopping_ = false;
	WaitQueue wait_queue_{ "xpv bus thread"_lock };
	Thread<&Bus::run> thread_{ *this };
};

/* Return whether a change at `path`, below device/, may mean that a device was added or removed. */
[[nodiscard]] bool may_be_device_change(const char *path);

} // namespace xpv
