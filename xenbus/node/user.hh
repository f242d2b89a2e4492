/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One user of /dev/xen/xenbus: its requests, in order; its watches and
 * transactions; and the replies and events that it has not read yet.
 *
 * One work item does everything that may wait for xenstored, one request after
 * the other, so that replies come in the order of the requests. Only that work
 * item uses the watches and transactions. lock_ guards the two queues and
 * node_. The watch table calls event() with its own lock held, so no function
 * of that table may be called under lock_.
 */
#pragma once

#include "lib/guard.hh"
#include "lib/work.hh"
#include "xenbus/linux.h"
#include "xenbus/store/store.hh"
#include "xenbus/node/user_message.hh"

namespace xpv {

/* A user's watch. xenstored gets a token of ours; the user's events carry the user's token. */
struct UserWatch : ListLink<>, xpv_store_watch_context {
	xpv_store_user *user = nullptr;
	Array<char> path = {}; /* both with their NUL */
	Array<char> token = {};
	Watch *watch = nullptr;
	/*
	 * An event at the watch's own path, allocated in advance. It replaces all
	 * events that there is no room or memory for, and says that something
	 * changed at that path or below it. NULL while it waits to be read.
	 */
	Owned<UserMessage> reserve = {};
};

struct UserTransaction : ListLink<> {
	uint32_t id = 0; /* as in xpv_store_transaction */
};

} // namespace xpv

struct xpv_store_user : xpv::ListLink<> {
public:
	/* Requests that wait for a reply; past it writers must wait. */
	static constexpr unsigned int requests_limit = 8;
	/* Bytes that wait to be read; past it no request is handled, and each watch queues at most one more event. */
	static constexpr size_t replies_limit = 256 * 1024;

	explicit xpv_store_user(xpv_store_node *node);
	/* Call after wait_for_end(). */
	~xpv_store_user() = default;

	[[nodiscard]] xpv::Result<size_t> write(const char *bytes, size_t size);
	[[nodiscard]] bool writable();
	[[nodiscard]] xpv::Result<size_t> peek(const void **bytes);
	void skip(size_t size);
	void close();
	/* Wait until the work item's function has returned. Sleeping context. */
	void wait_for_end() { work_.cancel(); }

private:
	void run();
	[[nodiscard]] xpv::Owned<xpv::UserMessage> next();
	void end();

	void answer(xpv::UserMessage &request);
	[[nodiscard]] xpv::Status serve(const xsd_sockmsg &header, std::string_view body);
	[[nodiscard]] xpv::Status watch(std::string_view body);
	[[nodiscard]] xpv::Status unwatch(std::string_view body);
	[[nodiscard]] xpv::Status pass_on(const xsd_sockmsg &header, std::string_view body);
	[[nodiscard]] xpv::Status begin_transaction(const xsd_sockmsg &header, std::string_view body);
	[[nodiscard]] xpv::Status end_transaction(const xsd_sockmsg &header, std::string_view body,
						  xpv::UserTransaction &transaction);
	[[nodiscard]] xpv::UserTransaction *find(uint32_t id);
	void end_watch(xpv::UserWatch &watch);
	void end_all();

	void reply(xsd_sockmsg header, unsigned int type, std::string_view body);
	void event(xpv::UserWatch &watch, std::string_view path);
	void queue_locked(xpv::UserMessage &message) XPV_REQUIRES(lock_);
	void wake_locked() XPV_REQUIRES(lock_);

	xpv::RequestStream stream_; /* used by write() only */

	xpv::Spinlock lock_;
	xpv_store_node *node_ XPV_GUARDED_BY(lock_); /* until closed */
	xpv::List<xpv::UserMessage> requests_ XPV_GUARDED_BY(lock_);
	unsigned int requests_count_ XPV_GUARDED_BY(lock_) = 0;
	xpv::List<xpv::UserMessage> replies_ XPV_GUARDED_BY(lock_);
	size_t replies_size_ XPV_GUARDED_BY(lock_) = 0;
	bool broken_ XPV_GUARDED_BY(lock_) = false; /* a reply was lost for lack of memory */

	/* Used by work_ only. */
	xpv::List<xpv::UserWatch> watches_;
	xpv::List<xpv::UserTransaction> transactions_;
	bool ended_ = false;
	unsigned int answer_type_ = 0;
	unsigned int answer_length_ = 0;
	char answer_[XENSTORE_PAYLOAD_MAX];

	xpv::Work<&xpv_store_user::run> work_;
};
