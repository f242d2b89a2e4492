/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One device of the bus, and the engine that drives it through the state table.
 * The engine runs in the device's own work item, so different devices overlap.
 * It never sleeps to wait for the backend; it runs again when the watch on the
 * backend's state fires, when its timer expires, or on a request.
 *
 *   device.cc        lifetime: Linux's device, the driver, suspends
 *   handshake.cc     the engine
 *   otherend.cc      what the engine reads from xenstore
 *   publish.cc       what it writes there
 *
 * Locks: mutex_ is held for each run of the engine and each call of the driver
 * except probe(). It may be held across requests to xenstore, which have
 * deadlines. Requests to the engine (unbind, fail, vanish ...) do not take the
 * mutex: they set a mark and schedule the engine.
 */
#pragma once

#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "lib/wait.hh"
#include "lib/work.hh"
#include "xenbus/bus/gate.hh"
#include "xenbus/linux.h"
#include "xenbus/bus/state.hh"
#include "xenbus/store/text.hh"
#include "xenbus/store/watch.hh"

namespace xpv {

/* A device as described in xenstore. */
struct DeviceIdentity {
	static constexpr size_t name_capacity = 40;

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

/* Return whether a part of device/<type>/<id> is a plain name: no path separator, no character unusual in sysfs. */
[[nodiscard]] bool acceptable_name(std::string_view name);
/* Return whether the path is in the backend domain's own part of xenstore: /local/domain/<id>/backend/. */
[[nodiscard]] bool acceptable_backend_path(std::string_view path, Domid backend);

/* A key of a device's own directory. Small, because several share a stack frame. */
using OwnKey = FixedText<2 * DeviceIdentity::name_capacity + 32>;

/* The key that distinguishes our directory from one that a toolstack created later at the same path. */
inline constexpr const char *tag_key = "xpv-tag";
inline constexpr size_t tag_capacity = 20;

} // namespace xpv

struct xpv_device : xpv::ListLink<>, private xpv_store_watch_context {
public:
	explicit xpv_device(const xpv::DeviceIdentity &identity);
	/* Called when the last reference to Linux's device is dropped. */
	~xpv_device();

	/* Allocate Linux's device. On success it owns this object. */
	[[nodiscard]] xpv::Status make_linux_device();
	/* Add Linux's device; a driver may be bound before this returns. */
	[[nodiscard]] xpv::Status add();
	/*
	 * Unbind the driver and put Linux's device, which owns this object. For a
	 * device whose nodes vanished or belong to a successor, or if add() failed:
	 * nothing more is written to xenstore.
	 */
	void destroy(bool added);

	[[nodiscard]] int bind(const xpv_frontend_driver &driver);
	void unbind();
	/* Start to close, if `driver` is this device's driver. Any context. */
	void prepare_unbind(const xpv_frontend_driver &driver);
	/* As xpv_device_fail(). Any context. */
	void fail(int error, const char *text);
	/* As xpv_device_retired(). Any context. */
	void retired();
	/* As xpv_device_reconnect(). Any context. */
	void reconnect();
	/* As xpv_device_parked(). Any context. */
	void parked(unsigned int pages);

	[[nodiscard]] const xpv::DeviceIdentity &identity() const
	{
		return identities_[xpv::read_once(current_identity_)];
	}
	[[nodiscard]] const char *path() const { return path_.get(); }

	/* The next functions belong to a suspend, and are called in this order. */

	/* Block new engine runs. A run may still be in progress: see busy(). */
	void close_gate() { gate_.close(); }
	/* Return whether a run of the engine is in progress. */
	[[nodiscard]] bool busy() const { return gate_.occupied(); }
	/* Call the driver's hold(). busy() must be false. */
	void hold();
	/* Call the driver's drain(). */
	[[nodiscard]] int drain(uint64_t deadline_ms);
	/* Call the driver's go_on(), if it was held. */
	void release_hold(xpv_resume_kind kind);
	/* Allow engine runs again, and schedule one. */
	void open_gate();
	/*
	 * Mark the device as restored. The engine does nothing for it until the bus
	 * has found its present backend and calls relocate().
	 */
	void restored();
	[[nodiscard]] bool restoring() const { return xpv::read_once(restore_) != Restore::none; }
	[[nodiscard]] bool waits_for_bus() const { return xpv::read_once(restore_) == Restore::waits_for_bus; }
	/* Set another backend for the same device: drop the connection, make another. */
	void relocate(const xpv::DeviceIdentity &identity);

	/* Return whether we wrote our tag to our directory. It is still there unless the directory was removed. */
	[[nodiscard]] bool tagged() const { return xpv::read_once(tagged_); }
	[[nodiscard]] bool is_tag(std::string_view text) const { return text == tag_.view(); }
	/* Return whether the engine found our directory missing or another device's; the bus must then rescan. */
	[[nodiscard]] bool replaced() const { return xpv::read_once(marks_.replaced); }
	/* Return whether our node is gone or belongs to another device. */
	[[nodiscard]] bool vanished() const { return xpv::read_once(marks_.vanished); }
	[[nodiscard]] xenbus_state state() const;
	[[nodiscard]] xenbus_state state_in(xpv::Phase phase) const;
	[[nodiscard]] struct device *linux_device() const { return xpv_linux_device_get(linux_device_); }

	/* Assert that a driver callback is running. The engine calls those with mutex_ held. */
	void assert_in_driver() const XPV_ASSERT_HELD(mutex_) { mutex_.assert_held(); }
	/* Record that negotiate() wrote our state node; `surely` is false if the write may have failed. */
	void state_written(xenbus_state state, bool surely) XPV_REQUIRES(mutex_)
	{
		published_ = surely ? static_cast<int>(state) : -1;
	}
	/* Copy the values of these keys for connect(). False unless the bus has read all of them with the state. */
	[[nodiscard]] bool read_cached(xpv_store_read_item *items, unsigned int count) const XPV_REQUIRES(mutex_);

	/* Set by the bus when the current scan of xenstore found the device. */
	bool seen = false;
	/* The driver's context. */
	xpv_device_context *context = nullptr;

private:
	using Phase = xpv::Phase;
	using NodeState = xpv::NodeState;
	using Aim = xpv::Aim;

	struct Snapshot {
		NodeState backend;
		NodeState own; /* before begun_ */
		xpv::Online online;
		bool event; /* the watch on the backend's state has fired since the last read */
	};
	/* The value of one of the driver's backend_keys, read when the backend was Connected. */
	struct CachedValue {
		int result;
		char value[64];
	};
	static constexpr unsigned int cached_limit = 12;

	xpv::Gate gate_;
	xpv::Mutex mutex_;
	xpv::Spinlock failure_lock_;

	/* handshake.cc */
	void run();
	void schedule();
	void wait_for_next_run() XPV_REQUIRES(mutex_);
	[[nodiscard]] bool advance() XPV_REQUIRES(mutex_);
	[[nodiscard]] bool perform(xpv::Transition answer, const Snapshot &snapshot) XPV_REQUIRES(mutex_);
	[[nodiscard]] bool reopen(const Snapshot &snapshot) XPV_REQUIRES(mutex_);
	[[nodiscard]] bool survives(const Snapshot &snapshot) const XPV_REQUIRES(mutex_);
	void end_kept_device() XPV_REQUIRES(mutex_);
	[[nodiscard]] xpv::Status begin() XPV_REQUIRES(mutex_);
	void enter(Phase phase) XPV_REQUIRES(mutex_);
	void leave(Aim aim, Phase next) XPV_REQUIRES(mutex_);
	void close(Aim aim, Phase next) XPV_REQUIRES(mutex_);
	[[nodiscard]] bool retire_is_over() const XPV_REQUIRES(mutex_);
	void restart(Phase next) XPV_REQUIRES(mutex_);
	void drop_connection() XPV_REQUIRES(mutex_);
	void finish() XPV_REQUIRES(mutex_);
	void change_backend() XPV_REQUIRES(mutex_);
	void take_failure() XPV_REQUIRES(mutex_);
	[[nodiscard]] bool driver_succeeded(int code, const char *what) XPV_REQUIRES(mutex_);
	void complain(NodeState backend) XPV_REQUIRES(mutex_);
	[[nodiscard]] bool retry_later(unsigned int delay_ms) XPV_REQUIRES(mutex_);
	void check() XPV_REQUIRES(mutex_);

	/* otherend.cc */
	[[nodiscard]] xpv::Result<xpv::OwnKey> own_key(std::string_view key) const;
	[[nodiscard]] xpv::Result<Snapshot> read_snapshot() XPV_REQUIRES(mutex_);
	[[nodiscard]] static unsigned int keys(const xpv_frontend_driver &driver);
	[[nodiscard]] xpv::Result<xpv::WatchTable::Adding> begin_watching() XPV_REQUIRES(mutex_);
	void end_watching(xpv::Result<xpv::WatchTable::Adding> begun) XPV_REQUIRES(mutex_);
	[[nodiscard]] bool is_watching() const XPV_REQUIRES(mutex_);
	void stop_watching() XPV_REQUIRES(mutex_);

	/* publish.cc */
	[[nodiscard]] xpv::Status publish_state() XPV_REQUIRES(mutex_);
	[[nodiscard]] xpv::Status publish_step(xenbus_state state) XPV_REQUIRES(mutex_);
	[[nodiscard]] xpv::Status publish_end(xenbus_state state) XPV_REQUIRES(mutex_);
	void tag_again() XPV_REQUIRES(mutex_);

	/* Two, so that readers can use the current one while relocate() writes the other. */
	xpv::DeviceIdentity identities_[2];
	unsigned int current_identity_ = 0;
	xpv::FixedText<2 * xpv::DeviceIdentity::name_capacity + 8> path_;
	xpv_linux_device *linux_device_ = nullptr;

	/* Requests to the engine, set without mutex_. bind() clears all but `vanished`, `replaced` and `event`. */
	struct Marks {
		bool vanished; /* permanent: write nothing more to xenstore */
		bool replaced; /* permanent: the bus removes the device */
		bool unbind;
		bool silenced; /* unbind without xenstore, which does not respond */
		bool retired; /* by the driver, after retire() */
		bool reconnect; /* by the driver, until it negotiates */
		bool event; /* the watch on the backend's state has fired; cleared by read_snapshot() */
		bool quiet; /* by the engine: the driver can be removed, nothing is left to do */
	} marks_ = {};
	enum class Restore : unsigned char { none, waits_for_bus, relocated } restore_ = Restore::none;
	bool failure_pending_ XPV_GUARDED_BY(failure_lock_) = false;
	int failure_error_ XPV_GUARDED_BY(failure_lock_) = 0;
	xpv::FixedText<128> failure_text_ XPV_GUARDED_BY(failure_lock_);
	unsigned int parked_ XPV_GUARDED_BY(failure_lock_) = 0; /* pages, since bind() */

	/* mutex_: all below */
	const xpv_frontend_driver *driver_ = nullptr; /* set while bound; prepare_unbind() reads it without the mutex */
	bool probed_ XPV_GUARDED_BY(mutex_) = false; /* the driver's functions may be called */
	bool driver_held_ = false;

	/* Our phase, the goal, and what the driver holds: xpv::possible() lists the valid combinations. */
	Phase phase_ = Phase::initialising;
	Aim aim_ XPV_GUARDED_BY(mutex_) = Aim::connect;
	Aim postponed_ XPV_GUARDED_BY(mutex_) =
		Aim::connect; /* what aim_ becomes when the driver has retired; connect: no retire() in progress */
	xpv::Held held_ XPV_GUARDED_BY(mutex_) = {};
	bool failed_ XPV_GUARDED_BY(mutex_) = false;

	/* What xenstore says about us. */
	bool begun_ XPV_GUARDED_BY(mutex_) = false; /* begin() has derived the first phase from xenstore */
	int published_ XPV_GUARDED_BY(mutex_) = 0; /* the value of our state node; -1: not known */
	bool tagged_ = false;
	xpv::FixedText<xpv::tag_capacity> tag_;

	/* What xenstore says about the backend. */
	xpv_store_watch *watch_ XPV_GUARDED_BY(mutex_) = nullptr;
	Snapshot snapshot_ XPV_GUARDED_BY(mutex_) = {}; /* valid if snapshot_valid_ (read in this run) and no event came since */
	bool snapshot_valid_ XPV_GUARDED_BY(mutex_) = false;
	xpv::Array<CachedValue> cached_ XPV_GUARDED_BY(mutex_); /* of the driver's backend_keys; limits how many are read */
	bool cache_valid_ XPV_GUARDED_BY(mutex_) = false; /* during connect() */

	/* Times. */
	uint64_t limit_at_ms_ XPV_GUARDED_BY(mutex_) = 0; /* of the phase; 0: no limit */
	unsigned int complaint_interval_ms_ XPV_GUARDED_BY(mutex_) = 0;
	uint64_t retire_until_ms_ XPV_GUARDED_BY(mutex_) = 0; /* while postponed_ */
	uint64_t closing_since_ms_ = 0; /* 0: not yet; unbind() reads it without the mutex */
	unsigned int retry_ms_ XPV_GUARDED_BY(mutex_) =
		0; /* delay of the next run, after xenstore or the driver failed in this one; 0: no retry */
	unsigned int attempts_ XPV_GUARDED_BY(mutex_) = 0; /* failed calls of negotiate() or connect() in a row */
	unsigned int restarts_ XPV_GUARDED_BY(mutex_) = 0; /* in the window that began at restarts_since_ms_ */
	uint64_t restarts_since_ms_ XPV_GUARDED_BY(mutex_) = 0;

	xpv::Work<&xpv_device::run> work_;
	xpv::WaitQueue quiet_queue_;
};

namespace xpv {
using Device = ::xpv_device;
} // namespace xpv
