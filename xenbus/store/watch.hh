/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watches: the table of registered watches, and the thread that calls their
 * callbacks.
 *
 * A watch's token is a number that events are looked up by. Tokens of an
 * earlier load or kernel are not in the table, so their events are dropped.
 * lock_ guards the table, the pending list and running_; it is never held during
 * a callback or a request. register_mutex_ is taken before lock_. It serialises
 * removal with registration: otherwise registering all watches again could
 * register one that was just removed.
 */
#pragma once

#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "lib/thread.hh"
#include "lib/wait.hh"
#include "lib/work.hh"
#include "xenbus/store/client.hh"
#include "xenbus/store_watch.hh"

namespace xpv {
struct WatchTableLink;
struct WatchPendingLink;
} // namespace xpv

struct xpv_store_watch : xpv::ListLink<xpv::WatchTableLink>, xpv::ListLink<xpv::WatchPendingLink> {
	uint32_t token = 0;
	/* The connection that XS_WATCH was last sent over. It is to be sent again if not WatchTable::connection_. */
	uint32_t connection = 0;
	/* xenstored refused the watch over this connection, or did not reply. */
	bool refused = false;
	uint64_t events = 0;
	xpv_store_watch_callback *callback = nullptr;
	xpv_store_watch_context *context = nullptr;
	/* Return whether to deliver an event at this path; NULL: deliver all. Must not sleep. */
	bool (*filter)(const char *path) = nullptr;
	/*
	 * Replaces callback: called for every event, uncoalesced, with the table
	 * lock held. Must not sleep, nor call the table.
	 */
	void (*every)(xpv_store_watch_context *context, std::string_view path) = nullptr;
	/* The path of the last change; NULL: the watch's own path. */
	xpv::Array<char> changed = {};
	xpv::Array<char> path = {};
	/* XS_UNWATCH, allocated in advance, so that removing a watch cannot fail for lack of memory. */
	xpv::Owned<xpv::Request> unwatch = {};
};

namespace xpv {

using Watch = ::xpv_store_watch;

class WatchTable : private WatchEventSink::Context {
public:
	explicit WatchTable(Client &client);
	/* All watches must be unregistered. */
	~WatchTable() = default;
	WatchTable(const WatchTable &) = delete;
	WatchTable &operator=(const WatchTable &) = delete;

	/* Start the thread. Sleeping context. */
	[[nodiscard]] Status start();
	void stop();

	/* A watch between begin() and end(). end() must be called. */
	struct Adding {
		Watch *watch = nullptr;
		Status submitted = {};
		Call call = {};
	};
	/*
	 * Send XS_WATCH without waiting for the reply. Requests submitted after this
	 * reach xenstored after the watch. Events may come before end().
	 */
	[[nodiscard]] Result<Adding> begin(
		const char *path, xpv_store_watch_callback *callback, xpv_store_watch_context *context,
		bool (*filter)(const char *path) = nullptr,
		void (*every)(xpv_store_watch_context *context, std::string_view path) = nullptr);
	/* Wait for the reply. On an error the watch is removed and freed. */
	[[nodiscard]] Result<Watch *> end(Adding &adding);
	/* As xpv_store_watch_register(), with the filter and callback of struct xpv_store_watch. */
	[[nodiscard]] Result<Watch *> add(const char *path, xpv_store_watch_callback *callback,
					  xpv_store_watch_context *context, bool (*filter)(const char *path) = nullptr,
					  void (*every)(xpv_store_watch_context *context, std::string_view path) = nullptr);
	/* As xpv_store_watch_unregister(). */
	void remove(Watch *watch);
	/* As xpv_store_watch_registered(). */
	[[nodiscard]] bool registered(const Watch &watch);

	/* Register all watches again, asynchronously and in one burst, after xenstored dropped them. Any context. */
	void register_all();

	/* Return the sink for the client. */
	[[nodiscard]] WatchEventSink sink();
	[[nodiscard]] unsigned int count();

	/* Show all watches, for debugfs. `show` is called with a spinlock held. */
	template <typename Show>
	void each(Show show)
	{
		SpinGuard guard(lock_);
		for (Watch &watch : table_)
			show(watch, &watch == running_, registered_locked(watch));
	}

private:
	void event(const WatchEvent &event);
	void run();
	[[nodiscard]] bool call_one();
	[[nodiscard]] Watch *find_locked(uint32_t token) XPV_REQUIRES(lock_);
	[[nodiscard]] bool has_work();
	[[nodiscard]] bool registered_locked(const Watch &watch) const XPV_REQUIRES(lock_)
	{
		return watch.connection == connection_ && !watch.refused;
	}
	/* Deliver a change at `path`: call `every`, or queue the watch for the thread. True: wake the thread. */
	[[nodiscard]] bool deliver_locked(Watch &watch, std::string_view path, Array<char> &copy) XPV_REQUIRES(lock_);
	/* Register missing watches, and schedule a retry for refused ones. The function of register_work_. */
	void register_again();
	[[nodiscard]] unsigned int register_missing();
	[[nodiscard]] unsigned int next_delay();
	[[nodiscard]] Result<Call> register_next(uint32_t &token);
	void take_answer(uint32_t token, Status answer);

	Client &client_;
	Mutex register_mutex_{ "xpv store watch registration"_lock };
	Spinlock lock_{ "xpv store watches"_lock };
	List<Watch, WatchTableLink> table_ XPV_GUARDED_BY(lock_);
	List<Watch, WatchPendingLink> pending_ XPV_GUARDED_BY(lock_);
	Watch *running_ XPV_GUARDED_BY(lock_) = nullptr;
	uint32_t next_token_; /* atomic */
	unsigned int count_ XPV_GUARDED_BY(lock_) = 0;
	uint32_t connection_ XPV_GUARDED_BY(lock_) = 1; /* incremented whenever xenstored drops all watches */
	unsigned int again_ms_ XPV_GUARDED_BY(lock_) = 0; /* delay of the last retry since then; 0: no retry yet */
	bool stopping_ = false;
	WaitQueue wait_queue_{ "xpv store watch thread"_lock }; /* the thread waits for work, remove() for the thread */
	Work<&WatchTable::register_again> register_work_{ *this, XPV_WORK_RECOVERY,
							  "xpv store watch registration work"_lock };
	Thread<&WatchTable::run> thread_{ *this };
};

} // namespace xpv
