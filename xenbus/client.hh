/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The xenstore client: requests from any number of tasks over one ring.
 *
 * Locks: receive_mutex_ serialises the reading of the response stream, lock_
 * guards the lists, the request half of the ring, the state of the link and
 * each request's. lock_ may be taken with receive_mutex_ held, never the other
 * way round. Whoever changes the ring as a whole holds both.
 */
#pragma once

#include <climits>
#include <span>

#include "lib/deadline.hh"
#include "lib/guard.hh"
#include "lib/ordering.hh"
#include "lib/work.hh"
#include "xenbus/request.hh"

namespace xpv {

/* How the store is told to look at the ring. Any context. */
struct Doorbell {
	struct Context {};
	void (*ring)(Context *context);
	Context *context;
};

/* Who is told of watch events, one at a time; in a sleeping context. */
struct WatchEventSink {
	struct Context {};
	void (*event)(Context *context, const WatchEvent &event);
	/* The connection was made anew, and the store has forgotten all watches. */
	void (*reconnected)(Context *context);
	Context *context;
};

class Client {
public:
	/* C xenstored 4.17 lets a guest have 20 requests outstanding. */
	static constexpr unsigned int in_flight_limit = 16;
	/* A waiter looks at the ring itself this often, and so does the watchdog: an event may get lost. */
	static constexpr unsigned int poll_interval_ms = 5000;
	/* No more than this at a time: a store that never stops talking must not keep it from its deadline. */
	static constexpr unsigned int poll_limit = 64;
	/* How long the store may take to start the connection afresh. */
	static constexpr unsigned int reconnect_timeout_ms = 10000;
	/* Starts of transactions whose caller has gone, of which the answer is still awaited. */
	static constexpr unsigned int orphans_limit = 16;

	Client() = default;
	~Client();
	Client(const Client &) = delete;
	Client &operator=(const Client &) = delete;

	/*
	 * Take over the page. What former users left is dropped: by the store
	 * where it can reconnect, else by their ids. Sleeping context. ETIMEDOUT
	 * when the store is at a reconnection and does not end it, EIO when the
	 * ring makes no sense or the store has given up on it.
	 */
	[[nodiscard]] Status start(xenstore_domain_interface *shared, Doorbell doorbell, WatchEventSink sink);
	/*
	 * Wait, for a bounded time, until nothing is under way; then the page is
	 * not touched any more. No calls may be made now, nor be under way.
	 */
	void stop();

	/*
	 * Before a suspend: start no more requests, wait until those in flight
	 * are answered, and leave the page alone, with both streams between two
	 * messages. Calls that are made from now on wait. ETIMEDOUT, and all is
	 * as before, if the answers do not come until the deadline. Sleeping context.
	 */
	[[nodiscard]] Status pause(Deadline deadline);
	/* Suspend cancelled: resume where pause() left off. */
	void unpause();
	/*
	 * The domain was restored: go on with the store that it has now, over a
	 * page that may be another. Requests that were not answered are sent
	 * again with a new deadline where that does no harm (see
	 * Request::repeatable()), and end with EAGAIN otherwise; transactions
	 * are lost; the sink is told to register its watches. Sleeping context.
	 * Errors as start()'s: then all requests end with EIO, and the watchdog
	 * goes on looking for a sign of life.
	 */
	[[nodiscard]] Status restart(xenstore_domain_interface *shared);

	/* There is no page any more: all requests end with EIO, now and later. */
	void close();

	/* The store rang. False when it has done nothing since the last time. Sleeping context. */
	[[nodiscard]] bool on_event();

	/*
	 * Send a request made of `parts`. The answer may have `reply_capacity`
	 * bytes. Sleeping context. E2BIG, ENOMEM, EIO; EAGAIN for a transaction
	 * that is lost, ENOENT for one that is none.
	 */
	Result<Call> submit(std::uint32_t type, xpv_store_transaction transaction,
			    std::span<const std::string_view> parts, std::size_t reply_capacity);
	/* The two halves of submit(), for a request that must not fail for want of memory. */
	[[nodiscard]] static Result<Owned<Request>> prepare(std::uint32_t type, xpv_store_transaction transaction,
							    std::span<const std::string_view> parts,
							    std::size_t reply_capacity);
	Result<Call> submit(Owned<Request> request);
	/* submit() and wait(), for those that need no answer but success. */
	[[nodiscard]] Status perform(std::uint32_t type, xpv_store_transaction transaction,
				     std::span<const std::string_view> parts);

	void set_timeout(unsigned int milliseconds) { write_once(timeout_ms_, milliseconds); }
	/* How often the watchdog looks; before start(). */
	void set_watchdog(unsigned int milliseconds) { watchdog_ms_ = milliseconds; }
	/* No request has a chance now. */
	[[nodiscard]] bool dead();
	void counts(xpv_store_counts &counts);

	/* The store was made to forget all transactions of this domain. */
	void forget_transactions();

	/* What is under way, for debugfs. `show` is called with a spinlock held. */
	template <typename Show>
	void each_request(Show show)
	{
		SpinGuard guard(lock_);
		for (Request &request : in_flight_)
			show(request);
		for (Request &request : queue_)
			show(request);
	}
	template <typename Show>
	void each_transaction(Show show)
	{
		SpinGuard guard(lock_);
		for (OpenTransaction &transaction : transactions_)
			show(transaction);
	}

private:
	friend class Call;

	enum class Link : std::uint8_t {
		closed, /* not started, or stopped */
		up,
		paused, /* for a suspend: requests wait */
		lost, /* the store was, or is to be, asked to start afresh: requests wait */
		dead, /* requests fail; the watchdog looks for a sign of life */
	};

	/* ---- client.cc, call.cc ---- */

	/* Take at most `limit` messages, and write what can be written. */
	void process(unsigned int limit);
	[[nodiscard]] bool receive_one(bool &was_full);
	void handle_message() XPV_REQUIRES(receive_mutex_);
	enum class Abandoned { was_finished, is_callers, is_clients };
	[[nodiscard]] Abandoned abandon(Request &request);
	[[nodiscard]] bool forget(Request &request);
	void log_unanswered(Request &request, unsigned int milliseconds);

	[[nodiscard]] bool pump_locked() XPV_REQUIRES(lock_);
	void written_locked(Request &request) XPV_REQUIRES(lock_);
	void finish_locked(Request &request, int error) XPV_REQUIRES(lock_);
	void answer_locked(Request &request, const xsd_sockmsg &header, std::string_view payload) XPV_REQUIRES(lock_);

	/* ---- transactions.cc ---- */

	[[nodiscard]] Status resolve_transaction_locked(Request &request) XPV_REQUIRES(lock_);
	void open_transaction_locked(Request &request, std::string_view payload) XPV_REQUIRES(lock_);
	void orphan_locked(Request &request) XPV_REQUIRES(lock_);
	void answer_orphan_locked(Request &request, const xsd_sockmsg &header, std::string_view payload)
		XPV_REQUIRES(lock_);
	void lose_transactions_locked() XPV_REQUIRES(lock_);

	/* ---- link.cc ---- */

	[[nodiscard]] Status open(xenstore_domain_interface *shared);
	[[nodiscard]] bool wait_for_reconnection();
	[[nodiscard]] bool idle();
	[[nodiscard]] bool drained();

	/* ---- keeper.cc ---- */

	void check_server();
	/* The watchdog and the reconnecting: keeper_'s; never waits for xenstored. */
	void run_keeper();
	/* Each returns in how many milliseconds to come again. */
	[[nodiscard]] unsigned int keep();
	[[nodiscard]] unsigned int check_progress();
	[[nodiscard]] unsigned int try_to_reconnect();
	void lose_locked(const char *reason) XPV_REQUIRES(lock_);
	void requeue_locked() XPV_REQUIRES(lock_);
	void fail_all_locked() XPV_REQUIRES(lock_);
	[[nodiscard]] bool may_reconnect_locked(std::uint64_t now) XPV_REQUIRES(lock_);
	void come_up_locked() XPV_REQUIRES(receive_mutex_, lock_);

	void ring_doorbell() const { doorbell_.ring(doorbell_.context); }

	Mutex receive_mutex_{ "xpv store receive"_lock };
	MessageReader reader_ XPV_GUARDED_BY(receive_mutex_);
	bool answered_ XPV_GUARDED_BY(receive_mutex_) = false; /* an answer to one of our requests has come */

	Spinlock lock_{ "xpv store client"_lock };
	StoreRing ring_; /* requests: lock_; responses: receive_mutex_ */
	xenstore_domain_interface *shared_ = nullptr; /* changes with both locks */
	List<Request> queue_ XPV_GUARDED_BY(lock_); /* only its first may be half written */
	List<Request> in_flight_ XPV_GUARDED_BY(lock_);
	List<Request> orphans_ XPV_GUARDED_BY(lock_);
	List<OpenTransaction> transactions_ XPV_GUARDED_BY(lock_);
	unsigned int in_flight_count_ XPV_GUARDED_BY(lock_) = 0; /* those in in_flight_ and the one that is half written */
	unsigned int orphans_count_ XPV_GUARDED_BY(lock_) = 0;
	std::uint32_t next_id_ XPV_GUARDED_BY(lock_) = 0;
	std::uint32_t next_transaction_ XPV_GUARDED_BY(lock_) = 0;
	Link link_ XPV_GUARDED_BY(lock_) = Link::closed;
	Link before_pause_ XPV_GUARDED_BY(lock_) = Link::up;
	bool holding_ XPV_GUARDED_BY(lock_) = false; /* no request is begun */
	bool asked_ XPV_GUARDED_BY(lock_) = false; /* lost, dead: xenstored was asked to reconnect */
	bool without_page_ XPV_GUARDED_BY(lock_) = false; /* close() */
	bool gave_up_ XPV_GUARDED_BY(lock_) = false; /* dead: because of the error field */
	std::uint64_t lost_ms_ XPV_GUARDED_BY(lock_) = 0;
	std::uint64_t reconnected_ms_ XPV_GUARDED_BY(lock_) = 0; /* 0: never */
	std::uint32_t event_progress_ XPV_GUARDED_BY(lock_) = 0; /* on_event(): what xenstored had done at the last event */
	std::uint32_t watched_progress_ XPV_GUARDED_BY(lock_) = 0; /* ... at the watchdog's last look */
	std::uint64_t progress_ms_ XPV_GUARDED_BY(lock_) = 0; /* when the watchdog last saw progress, or nothing in flight */
	unsigned int stalled_looks_ XPV_GUARDED_BY(lock_) = 0; /* how often it has seen none since */
	xpv_store_counts counts_ XPV_GUARDED_BY(lock_) = {};

	Doorbell doorbell_ = {};
	WatchEventSink sink_ = {};
	unsigned int timeout_ms_ = 60000;
	unsigned int watchdog_ms_ = poll_interval_ms;
	Work<&Client::run_keeper> keeper_{ *this, XPV_WORK_WATCHDOG, "xpv store keeper"_lock };
};

} // namespace xpv
