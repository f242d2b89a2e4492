/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One device of the bus, and the engine that walks it through the state
 * table. The engine runs in the device's own work item, so that devices
 * overlap; it never sleeps for the backend, but runs again when the watch on
 * the backend's state fires, when its timer expires, or on a request.
 *
 *   device.cc        life: Linux's device, the driver, suspends
 *   handshake.cc     the engine
 *   device_store.cc  what the engine reads from and writes to xenstore
 *
 * Locks: mutex_ is held for each run of the engine and each call of the
 * driver but probe(). It may be held across requests to xenstore, which have
 * deadlines. Requests to the engine (unbind, fail, vanish ...) take no mutex:
 * they set a mark and schedule it.
 */
#pragma once

#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "lib/wait.hh"
#include "lib/work.hh"
#include "xenbus/gate.hh"
#include "xenbus/linux.h"
#include "xenbus/state.hh"
#include "xenbus/text.hh"
#include "xenbus/watch.hh"

namespace xpv {

/* What xenstore says a device is. */
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
/* The backend's directory lies in its own domain's part of xenstore: /local/domain/<id>/backend/. */
[[nodiscard]] bool acceptable_backend_path(std::string_view path, Domid backend);

/* A key of a device's own directory; small, as several share a stack frame. */
using OwnKey = FixedText<2 * DeviceIdentity::name_capacity + 32>;

/* The key that tells our directory from one that a toolstack made later in the same place. */
inline constexpr const char *tag_key = "xpv-tag";
inline constexpr std::size_t tag_capacity = 20;

} // namespace xpv

struct xpv_device : xpv::ListLink<>, private xpv_store_watch_context {
public:
	explicit xpv_device(const xpv::DeviceIdentity &identity);
	/* By Linux, when nothing refers to the device any more. */
	~xpv_device();

	/* Linux's device owns this object from then on, if it could be made. */
	[[nodiscard]] xpv::Status make_linux_device();
	/* Show it; a driver may be bound before this returns. */
	[[nodiscard]] xpv::Status add();
	/*
	 * Nodes vanished or belong to a successor, or add() failed: nothing more
	 * is written. Unbind the driver, give up Linux's device, and with it this object.
	 */
	void destroy(bool added);

	[[nodiscard]] int bind(const xpv_frontend_driver &driver);
	void unbind();
	/* Start to close, if this is the device's driver. Any context. */
	void prepare_unbind(const xpv_frontend_driver &driver);
	/* Any context. */
	void fail(int error, const char *text);
	/* The driver's retire() is done. Any context. */
	void retired();
	/* The driver left pages parked with the backend. Any context. */
	void parked(unsigned int pages);

	[[nodiscard]] const xpv::DeviceIdentity &identity() const
	{
		return identities_[xpv::read_once(current_identity_)];
	}
	[[nodiscard]] const char *path() const { return path_.get(); }

	/*
	 * A suspend, in this order: take no step from now on; one may be under way
	 * still, see busy(). Then, when it is not: stop the driver. Wait for it.
	 */
	void close_gate() { gate_.close(); }
	[[nodiscard]] bool busy() const { return gate_.occupied(); }
	void hold();
	[[nodiscard]] int drain(std::uint64_t deadline_ms);
	/* Let the driver go on, if it was held; and the engine. */
	void release_hold(xpv_resume_kind kind);
	void open_gate();
	/*
	 * The domain was restored: nothing is done for the device until the bus
	 * has found where its backend is now and calls relocate().
	 */
	void restored();
	[[nodiscard]] bool restoring() const { return xpv::read_once(restore_) != Restore::none; }
	[[nodiscard]] bool waits_for_bus() const { return xpv::read_once(restore_) == Restore::waits_for_bus; }
	/* The same device has another backend: give up the connection, make another. */
	void relocate(const xpv::DeviceIdentity &identity);

	/* Our directory has our tag, unless it was removed. */
	[[nodiscard]] bool tagged() const { return xpv::read_once(tagged_); }
	[[nodiscard]] bool is_tag(std::string_view text) const { return text == tag_.view(); }
	/* The engine found another device's directory, or none: the bus is to look. */
	[[nodiscard]] bool replaced() const { return xpv::read_once(marks_.replaced); }
	/* The node is gone, or another device's. */
	[[nodiscard]] bool vanished() const { return xpv::read_once(marks_.vanished); }
	[[nodiscard]] xenbus_state state() const;
	[[nodiscard]] struct device *linux_device() const { return xpv_linux_device_get(linux_device_); }

	/* In what the driver calls from its functions: the engine, which calls those, has the mutex. */
	void assert_in_driver() const XPV_ASSERT_HELD(mutex_) { mutex_.assert_held(); }
	/* For the driver in its negotiate(): our state node was written. */
	void state_written(xenbus_state state, bool surely) XPV_REQUIRES(mutex_)
	{
		published_ = surely ? static_cast<int>(state) : -1;
	}
	/* For the driver in its connect(): the values of these keys, if the bus has read all of them with the state. */
	[[nodiscard]] bool known(xpv_store_read_item *items, unsigned int count) const XPV_REQUIRES(mutex_);

	/* For the bus: found in the present scan of xenstore. */
	bool seen = false;
	/* The driver's. */
	struct xpv_device_context *context = nullptr;

private:
	using Phase = xpv::Phase;
	using Theirs = xpv::Theirs;
	using Aim = xpv::Aim;

	struct Look {
		Theirs theirs;
		Theirs ours; /* before begun_ */
		xpv::Online online;
		bool event; /* the watch on the backend's state has fired since the last look */
	};
	/* One of the driver's backend_keys, as it was when the backend was Connected. */
	struct Known {
		int result;
		char value[64];
	};
	static constexpr unsigned int known_limit = 12;

	xpv::Gate gate_;
	xpv::Mutex mutex_;
	xpv::Spinlock failure_lock_;

	/* handshake.cc */
	void run();
	void schedule();
	void wait_for_next_run() XPV_REQUIRES(mutex_);
	[[nodiscard]] bool advance() XPV_REQUIRES(mutex_);
	[[nodiscard]] bool perform(xpv::Transition answer, const Look &backend) XPV_REQUIRES(mutex_);
	[[nodiscard]] bool reopen(const Look &backend) XPV_REQUIRES(mutex_);
	[[nodiscard]] bool survives(const Look &backend) const XPV_REQUIRES(mutex_);
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
	void complain(Theirs theirs) XPV_REQUIRES(mutex_);
	[[nodiscard]] bool retry_later(unsigned int delay_ms) XPV_REQUIRES(mutex_);
	void check() XPV_REQUIRES(mutex_);

	/* device_store.cc */
	[[nodiscard]] xpv::Result<Look> look() XPV_REQUIRES(mutex_);
	[[nodiscard]] static unsigned int keys(const xpv_frontend_driver &driver);
	[[nodiscard]] xpv::Result<xpv::WatchTable::Adding> begin_watching() XPV_REQUIRES(mutex_);
	void end_watching(xpv::Result<xpv::WatchTable::Adding> begun) XPV_REQUIRES(mutex_);
	[[nodiscard]] bool is_watching() const XPV_REQUIRES(mutex_);
	void stop_watching() XPV_REQUIRES(mutex_);
	[[nodiscard]] xpv::Status announce() XPV_REQUIRES(mutex_);
	[[nodiscard]] xpv::Status announce_step(xenbus_state state) XPV_REQUIRES(mutex_);
	[[nodiscard]] xpv::Status announce_end(xenbus_state state) XPV_REQUIRES(mutex_);
	void tag_again() XPV_REQUIRES(mutex_);

	/* The old one stays readable while the new one is made. */
	xpv::DeviceIdentity identities_[2];
	unsigned int current_identity_ = 0;
	xpv::FixedText<2 * xpv::DeviceIdentity::name_capacity + 8> path_;
	xpv_linux_device *linux_device_ = nullptr;

	/* Requests to the engine, set without mutex_. Each but the last two stays set until the next bind(). */
	struct Marks {
		bool vanished; /* for good: nothing is written any more */
		bool replaced; /* for good: the bus removes the device */
		bool unbind;
		bool silenced; /* unbind without xenstore, which takes too long */
		bool retired; /* by the driver, after retire() */
		bool event; /* of the watch on the backend's state */
		bool quiet; /* by the engine: unbound, and nothing is left to do */
	} marks_ = {};
	enum class Restore : unsigned char { none, waits_for_bus, relocated } restore_ = Restore::none;
	bool failure_pending_ XPV_GUARDED_BY(failure_lock_) = false;
	int failure_error_ XPV_GUARDED_BY(failure_lock_) = 0;
	xpv::FixedText<128> failure_text_ XPV_GUARDED_BY(failure_lock_);
	unsigned int parked_ XPV_GUARDED_BY(failure_lock_) = 0; /* pages, since bind() */

	/* mutex_: all below */
	const xpv_frontend_driver *driver_ = nullptr; /* set while bound; prepare_unbind() reads it without the mutex */
	bool probed_ XPV_GUARDED_BY(mutex_) = false; /* the driver is to be called */
	bool driver_held_ = false;

	/* Where we are, where we want to be, and what the driver has: xpv::possible() says what goes together. */
	Phase phase_ = Phase::initialising;
	Aim aim_ XPV_GUARDED_BY(mutex_) = Aim::connect;
	Aim postponed_ XPV_GUARDED_BY(mutex_) =
		Aim::connect; /* what aim_ becomes when the driver has retired; connect: it does not retire */
	xpv::Held held_ XPV_GUARDED_BY(mutex_) = {};
	bool failed_ XPV_GUARDED_BY(mutex_) = false;

	/* What xenstore has of us. */
	bool begun_ XPV_GUARDED_BY(mutex_) = false; /* phase_ is what xenstore had us begin with */
	int published_ XPV_GUARDED_BY(mutex_) = 0; /* what our state node is known to say; -1: not known */
	bool tagged_ = false;
	xpv::FixedText<xpv::tag_capacity> tag_;

	/* What xenstore has of the backend. */
	xpv_store_watch *watch_ XPV_GUARDED_BY(mutex_) = nullptr;
	Look last_ XPV_GUARDED_BY(mutex_) = {}; /* when looked_: in this run, and no event came since */
	bool looked_ XPV_GUARDED_BY(mutex_) = false;
	xpv::Array<Known> known_ XPV_GUARDED_BY(mutex_); /* of the driver's backend_keys; no more are read than it has room for */
	bool is_known_ XPV_GUARDED_BY(mutex_) = false; /* during connect() */

	/* Times. */
	std::uint64_t limit_at_ms_ XPV_GUARDED_BY(mutex_) = 0; /* of the phase; 0: none */
	unsigned int complaint_interval_ms_ XPV_GUARDED_BY(mutex_) = 0;
	std::uint64_t retire_until_ms_ XPV_GUARDED_BY(mutex_) = 0; /* while postponed_ */
	std::uint64_t closing_since_ms_ = 0; /* 0: not yet; unbind() reads it without the mutex */
	unsigned int retry_ms_ XPV_GUARDED_BY(mutex_) =
		0; /* in this run: run again after this, xenstore or the driver had trouble; 0: no */
	unsigned int attempts_ XPV_GUARDED_BY(mutex_) = 0; /* of the driver, that failed */
	unsigned int restarts_ XPV_GUARDED_BY(mutex_) = 0; /* in the window that began then */
	std::uint64_t restarts_since_ms_ XPV_GUARDED_BY(mutex_) = 0;

	xpv::Work<&xpv_device::run> work_;
	xpv::WaitQueue quiet_queue_;
};

namespace xpv {
using Device = ::xpv_device;
} // namespace xpv
