/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One device of the bus, and the engine that walks it through the state
 * table. The engine runs in the device's own work item, so that devices
 * overlap; it never sleeps for the other end, but is run again by the watch
 * on the other end's state, by its own timer, or by a request.
 *
 * Locks: mutex_ is held for each run of the engine and each call of the
 * driver. It may be held across requests to the store, which have deadlines.
 * Requests to the engine (stop, fail, vanish) take no mutex: they leave a
 * mark and run it.
 */
#pragma once

#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "xenbus/gate.hh"
#include "xenbus/linux.h"
#include "xenbus/state.hh"
#include "xenbus/text.hh"
#include "xenbus/watch.hh"

namespace xpv {

/* What the store says a device is; anything else in a later look makes it another device. */
struct DeviceIdentity {
	static constexpr std::size_t name_capacity = 40;

	FixedText<name_capacity> type; /* "vbd" */
	FixedText<name_capacity> id; /* "51712" */
	FixedText<256> backend_path;
	Domid backend = {};

	[[nodiscard]] bool same_place(std::string_view its_type, std::string_view its_id) const
	{
		return type.view() == its_type && id.view() == its_id;
	}
	[[nodiscard]] bool same_backend(const DeviceIdentity &other) const
	{
		return backend == other.backend && backend_path.view() == other.backend_path.view();
	}
};

/* device/<type>/<id> as a directory name: nothing that could be a path or a surprise in sysfs. */
[[nodiscard]] bool acceptable_name(std::string_view name);
/* The backend's directory lies in its own domain's part of the store: /local/domain/<id>/backend/. */
[[nodiscard]] bool acceptable_backend_path(std::string_view path, Domid backend);

} // namespace xpv

struct xpv_device : xpv::ListLink<> {
public:
	explicit xpv_device(const xpv::DeviceIdentity &identity);
	/* Linux's device is gone, and with it the driver. */
	~xpv_device();

	/* Make Linux's device. */
	[[nodiscard]] xpv::Status create();
	/* Nodes vanished or belong to a successor: not a word to the other end any more. Unbinds the driver. */
	void destroy();

	[[nodiscard]] int bind(const xpv_frontend_driver &driver);
	void unbind();
	/* Start to close, if this is the device's driver. Any context. */
	void prepare_unbind(const xpv_frontend_driver &driver);
	/* Any context. */
	void fail(int error, const char *text);
	/* The driver's retire() is done. Any context. */
	void retired();

	[[nodiscard]] const xpv::DeviceIdentity &identity() const
	{
		return identities_[xpv::read_once(current_identity_)];
	}
	[[nodiscard]] const char *path() const { return path_.get(); }
	/* For a suspend: take no step until go_on(); one may be under way still. */
	void hold() { gate_.close(); }
	[[nodiscard]] bool busy() const { return gate_.occupied(); }
	void go_on();
	/*
	 * The domain was restored: nothing is done for the device until the bus
	 * has found where its backend is now and says so to relocate(); that is
	 * false when it was not restored, or has been told.
	 */
	void restored();
	[[nodiscard]] bool restoring() const { return xpv::read_once(restore_) != Restore::none; }
	[[nodiscard]] bool waits_for_bus() const { return xpv::read_once(restore_) == Restore::waits_for_bus; }
	[[nodiscard]] bool relocate(const xpv::DeviceIdentity &identity);
	/* The node is gone, or another device's. */
	[[nodiscard]] bool vanished() const { return xpv::read_once(vanished_); }
	[[nodiscard]] xenbus_state state() const;
	[[nodiscard]] struct device *linux_device() const { return xpv_linux_device_get(linux_device_); }

	/* For the driver in its negotiate(): our state node was written. */
	void said(xenbus_state state, bool surely) { published_ = surely ? static_cast<int>(state) : -1; }
	/* For the driver in its connect(): the values of these keys, if the bus has read all of them with the state. */
	[[nodiscard]] bool known(xpv_store_read_item *items, unsigned int count) const;

	/* For the bus: found in the present look at the store. */
	bool seen = false;
	/* The driver's. */
	struct xpv_device_context *context = nullptr;

private:
	using Phase = xpv::Phase;
	using Theirs = xpv::Theirs;

	struct Look {
		Theirs theirs;
		Theirs ours; /* before begun_ */
		bool online; /* the toolstack has not asked for the end */
		bool event; /* the watch on the backend's state has fired since the last look */
	};
	/* One of the driver's backend_keys, as it was when the backend was Connected. */
	struct Known {
		int result;
		char value[64];
	};
	static constexpr unsigned int known_limit = 12;

	void run();
	void schedule();
	[[nodiscard]] bool advance();
	[[nodiscard]] bool perform(xpv::Transition answer, const Look &backend);
	[[nodiscard]] xpv::Status begin();
	[[nodiscard]] xpv::Result<Look> look();
	[[nodiscard]] unsigned int keys() const;
	[[nodiscard]] xpv::Result<xpv::WatchTable::Adding> begin_watching();
	void end_watching(xpv::Result<xpv::WatchTable::Adding> begun);
	void enter(Phase phase);
	void release();
	void leave_for_stop();
	void lose_connection();
	void take_failure();
	[[nodiscard]] bool driver_succeeded(int code, const char *what);
	void complain(Theirs theirs);

	[[nodiscard]] xpv::Status announce();
	[[nodiscard]] xpv::Status announce_end(xenbus_state state);
	[[nodiscard]] bool retry_later();

	/* The old one stays readable while the new one is made. */
	xpv::DeviceIdentity identities_[2];
	unsigned int current_identity_ = 0;
	xpv::FixedText<2 * xpv::DeviceIdentity::name_capacity + 8> path_;
	xpv_linux_device *linux_device_ = nullptr;

	/* Marks, left without mutex_. */
	bool vanished_ = false;
	bool stop_ = false;
	bool retired_ = false; /* by the driver */
	bool silenced_ = false; /* the store takes too long: close without it */
	enum class Restore : unsigned char { none, waits_for_bus, relocated } restore_ = Restore::none;
	bool backend_event_ = false;
	bool quiet_ = false; /* by the engine: nothing is shared, and no work is left to do */
	xpv::Spinlock failure_lock_;
	bool failure_pending_ = false; /* failure_lock_, as the next two */
	int failure_error_ = 0;
	xpv::FixedText<128> failure_text_;

	xpv::Gate gate_;
	xpv::Mutex mutex_;
	const xpv_frontend_driver *driver_ = nullptr;
	Phase phase_ = Phase::initialising;
	int published_ = 0; /* what our state node is known to say */
	bool begun_ = false; /* phase_ is what the store had us begin with */
	bool negotiated_ = false; /* disconnect() is due */
	bool reopen_wanted_ = false;
	bool failed_ = false; /* until the driver is bound anew, or the device replaced */
	bool retry_ = false; /* the store did not answer: the timer is to run soon */
	unsigned int attempts_ = 0; /* of the driver, that failed for want of the store */
	unsigned int restarts_ = 0;
	std::uint64_t restarts_since_ms_ = 0;
	std::uint64_t limit_at_ms_ = 0; /* 0: none */
	unsigned int complaint_interval_ms_ = 0;
	xpv_store_watch *watch_ = nullptr;
	Look last_ = {}; /* when looked_: in this run, and nothing was heard of the backend since */
	bool looked_ = false;
	xpv::Array<Known> known_; /* of the driver's backend_keys; no more are read than it has room for */
	bool is_known_ = false; /* during connect() */

	xpv_work work_;
	xpv_wait_queue quiet_queue_;
};

namespace xpv {
using Device = ::xpv_device;
} // namespace xpv
