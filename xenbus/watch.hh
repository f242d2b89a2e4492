/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watches: a table of those that are registered, and the one thread that
 * calls their callbacks.
 *
 * A watch's token is a number that is looked up; those of a former load or
 * kernel are not in the table, and their events are dropped. lock_ guards
 * the table, the pending list and running_; it is held during no callback
 * and no request.
 */
#pragma once

#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "xenbus/client.hh"
#include "xenbus/store.h"

namespace xpv {
struct WatchTableLink;
struct WatchPendingLink;
} // namespace xpv

struct xpv_store_watch : xpv::ListLink<xpv::WatchTableLink>, xpv::ListLink<xpv::WatchPendingLink> {
	std::uint32_t token = 0;
	xpv_store_watch_callback *callback = nullptr;
	struct xpv_store_watch_context *context = nullptr;
	/* Which events matter, by path; NULL: all. Must not sleep. */
	bool (*filter)(const char *path) = nullptr;
	/* Is given every event, instead of the callback, with the table's lock held: must not sleep, nor call back. */
	void (*every)(struct xpv_store_watch_context *context, std::string_view path) = nullptr;
	/* Where the last change was; NULL: at the watch's own path. */
	xpv::Array<char> changed = {};
	xpv::Array<char> path = {};
	/* XS_UNWATCH, made in advance: a watch must not stay for want of memory. */
	xpv::Owned<xpv::Request> unwatch = {};
};

namespace xpv {

using Watch = ::xpv_store_watch;

class WatchTable {
public:
	explicit WatchTable(Client &client);
	/* All watches are unregistered by then. */
	~WatchTable() = default;
	WatchTable(const WatchTable &) = delete;
	WatchTable &operator=(const WatchTable &) = delete;

	/* The thread. Sleeping context. */
	[[nodiscard]] Status start();
	void stop();

	/* store.h: xpv_store_watch_register() and xpv_store_watch_unregister(). */
	[[nodiscard]] Result<Watch *> add(const char *path, xpv_store_watch_callback *callback,
					  struct xpv_store_watch_context *context,
					  bool (*filter)(const char *path) = nullptr,
					  void (*every)(struct xpv_store_watch_context *context,
							std::string_view path) = nullptr);
	void remove(Watch *watch);

	/* In a new store, while the client is held (client.hh). Sleeping context. */
	[[nodiscard]] Status register_again();

	/* For the client. */
	[[nodiscard]] WatchEventSink sink();
	[[nodiscard]] unsigned int count();

private:
	void event(const WatchEvent &event);
	void run();
	[[nodiscard]] bool call_one();
	[[nodiscard]] Watch *find_locked(std::uint32_t token);
	[[nodiscard]] bool has_work();

	Client &client_;
	Mutex table_mutex_; /* held, before lock_, when table_ changes: under it alone the table can be walked */
	Spinlock lock_;
	List<Watch, WatchTableLink> table_;
	List<Watch, WatchPendingLink> pending_;
	Watch *running_ = nullptr;
	std::uint32_t next_token_;
	unsigned int count_ = 0;
	bool stopping_ = false;
	xpv_wait_queue wait_queue_; /* the thread waits for work, and remove() for the thread */
	xpv_thread *thread_ = nullptr;
};

} // namespace xpv
