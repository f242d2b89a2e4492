/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watches: a table of those that are registered, and the one thread that
 * calls their callbacks.
 *
 * A watch's token is a number that is looked up; those of a former load or
 * kernel are not in the table, and their events are dropped. lock_ guards
 * the table, the pending list and running_; it is held during no callback
 * and no request. register_mutex_ is outside of it: with it held, a watch that
 * is in the table is also one that the store has or is to have, so that
 * registering all anew does not bring back one that was just removed.
 */
#pragma once

#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "lib/thread.hh"
#include "lib/wait.hh"
#include "lib/work.hh"
#include "xenbus/client.hh"
#include "xenbus/store_watch.hh"

namespace xpv {
struct WatchTableLink;
struct WatchPendingLink;
} // namespace xpv

struct xpv_store_watch : xpv::ListLink<xpv::WatchTableLink>, xpv::ListLink<xpv::WatchPendingLink> {
	std::uint32_t token = 0;
	/* The connection over which xenstored was asked for it: WatchTable::connection_, unless that is still to do. */
	std::uint32_t connection = 0;
	/* xenstored refused it over this connection, or did not answer. */
	bool refused = false;
	std::uint64_t events = 0;
	xpv_store_watch_callback *callback = nullptr;
	struct xpv_store_watch_context *context = nullptr;
	/* Which events matter, by path; NULL: all. Must not sleep. */
	bool (*filter)(const char *path) = nullptr;
	/* Replaces callback: called for every event, uncoalesced, with the table's lock held. Must not sleep or call the table. */
	void (*every)(struct xpv_store_watch_context *context, std::string_view path) = nullptr;
	/* Where the last change was; NULL: at the watch's own path. */
	xpv::Array<char> changed = {};
	xpv::Array<char> path = {};
	/* XS_UNWATCH, made in advance: a watch must not stay for want of memory. */
	xpv::Owned<xpv::Request> unwatch = {};
};

namespace xpv {

using Watch = ::xpv_store_watch;

class WatchTable : private WatchEventSink::Context {
public:
	explicit WatchTable(Client &client);
	/* All watches are unregistered by then. */
	~WatchTable() = default;
	WatchTable(const WatchTable &) = delete;
	WatchTable &operator=(const WatchTable &) = delete;

	/* The thread. Sleeping context. */
	[[nodiscard]] Status start();
	void stop();

	/* A watch of which only the store's answer is missing; end() must follow. */
	struct Adding {
		Watch *watch = nullptr;
		Status submitted = {};
		Call call = {};
	};
	/* What is asked of the store after begin() is asked after the watch. Events may come before end(). */
	[[nodiscard]] Result<Adding> begin(
		const char *path, xpv_store_watch_callback *callback, struct xpv_store_watch_context *context,
		bool (*filter)(const char *path) = nullptr,
		void (*every)(struct xpv_store_watch_context *context, std::string_view path) = nullptr);
	[[nodiscard]] Result<Watch *> end(Adding &adding);
	/* store.h: xpv_store_watch_register() and xpv_store_watch_unregister(). */
	[[nodiscard]] Result<Watch *> add(
		const char *path, xpv_store_watch_callback *callback, struct xpv_store_watch_context *context,
		bool (*filter)(const char *path) = nullptr,
		void (*every)(struct xpv_store_watch_context *context, std::string_view path) = nullptr);
	void remove(Watch *watch);
	/* store.h: xpv_store_watch_registered(). */
	[[nodiscard]] bool registered(const Watch &watch);

	/* The store knows none of them any more: register all, soon and in one burst. Any context. */
	void register_all();

	/* For the client. */
	[[nodiscard]] WatchEventSink sink();
	[[nodiscard]] unsigned int count();

	/* For debugfs; `show` is called with a spinlock held. */
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
	[[nodiscard]] Watch *find_locked(std::uint32_t token) XPV_REQUIRES(lock_);
	[[nodiscard]] bool has_work();
	[[nodiscard]] bool registered_locked(const Watch &watch) const XPV_REQUIRES(lock_)
	{
		return watch.connection == connection_ && !watch.refused;
	}
	/* Pass a change at `path` to the watch's owner, by way of the thread or not; true: wake the thread. */
	[[nodiscard]] bool deliver_locked(Watch &watch, std::string_view path, Array<char> &copy) XPV_REQUIRES(lock_);
	/* register_work_: register what is missing, and again later what was refused. */
	void register_again();
	[[nodiscard]] unsigned int register_missing();
	[[nodiscard]] unsigned int next_delay();
	[[nodiscard]] Result<Call> register_next(std::uint32_t &token);
	void take_answer(std::uint32_t token, Status answer);

	Client &client_;
	Mutex register_mutex_{ "xpv store watch registration"_lock };
	Spinlock lock_{ "xpv store watches"_lock };
	List<Watch, WatchTableLink> table_ XPV_GUARDED_BY(lock_);
	List<Watch, WatchPendingLink> pending_ XPV_GUARDED_BY(lock_);
	Watch *running_ XPV_GUARDED_BY(lock_) = nullptr;
	std::uint32_t next_token_; /* atomic */
	unsigned int count_ XPV_GUARDED_BY(lock_) = 0;
	std::uint32_t connection_ XPV_GUARDED_BY(lock_) = 1; /* counts the times that xenstored forgot all */
	unsigned int again_ms_ XPV_GUARDED_BY(lock_) = 0; /* the delay of the last attempt since then */
	bool stopping_ = false;
	WaitQueue wait_queue_{ "xpv store watch thread"_lock }; /* the thread waits for work, and remove() for the thread */
	Work<&WatchTable::register_again> register_work_{ *this, XPV_WORK_RECOVERY,
							  "xpv store watch registration work"_lock };
	Thread<&WatchTable::run> thread_{ *this };
};

} // namespace xpv
