/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The xenstore client: requests from any number of tasks over one ring.
 *
 * Locks: receive_mutex_ serialises reads of the response stream. lock_ guards
 * the lists, the request half of the ring, the link state and the state of each
 * request. lock_ may be taken with receive_mutex_ held, never the other way
 * round. Code that changes the whole ring must hold both.
 */
#pragma once

#include <climits>
#include <span>

#include "lib/deadline.hh"
#include "lib/guard.hh"
#include "lib/ordering.hh"
#include "lib/work.hh"
#include "xenbus/store/request.hh"

namespace xpv {

/* How to notify xenstored after a change of the ring. Any context. */
struct Doorbell {
	struct Context {};
	void (*ring)(Context *context);
	Context *context;
};

/* The receiver of watch events. Its functions are called one at a time, in a sleeping context. */
struct WatchEventSink {
	struct Context {};
	void (*event)(Context *context, const WatchEvent &event);
	/* The connection was reestablished, and xenstored has dropped all watches. */
	void (*reconnected)(Context *context);
	Context *context;
};

class Client {
public:
	/* C xenstored 4.17 lets a guest have 20 requests outstanding. */
	static constexpr unsigned int in_flight_limit = 16;
	/* Waiters and the watchdog poll the ring at this interval, because an event may be lost. */
	static constexpr unsigned int poll_interval_ms = 5000;
	/* Messages per poll. Bounded, so that an endless stream of messages cannot delay a waiter past its deadline. */
	static constexpr unsigned int poll_limit = 64;
	/* How long to wait for xenstored to reconnect. */
	static constexpr unsigned int reconnect_timeout_ms = 10000;
	/* Most XS_TRANSACTION_STARTs without a reply whose caller has given up. */
	static constexpr unsigned int orphans_limit = 16;

	Client() = default;
	~Client();
	Client(const Client &) = delete;
	Client &operator=(const Client &) = delete;

	/*
	 * Take over the ring page. Messages to an earlier user are dropped: by a
	 * reconnect if xenstored supports it, else by their ids. Sleeping context.
	 * ETIMEDOUT if a reconnect does not complete; EIO if the ring indices are
	 * inconsistent or xenstored has set the ring's error field.
	 */
	[[nodiscard]] Status start(xenstore_domain_interface *shared, Doorbell doorbell, WatchEventSink sink);
	/*
	 * Wait, for a bounded time, until the ring is idle, then stop using the
	 * page. No call may be in progress, and no further call may be made.
	 */
	void stop();

	/*
	 * Quiesce the ring before a suspend: send no more requests, wait for the
	 * replies to those in flight, and stop using the page, with both streams
	 * at a message boundary. Calls made after this wait. ETIMEDOUT, with
	 * nothing changed, if replies are missing at the deadline. Sleeping context.
	 */
	[[nodiscard]] Status pause(Deadline deadline);
	/* Suspend cancelled: resume where pause() left off. */
	void unpause();
	/*
	 * Reconnect after a restore, over a page that may be a new one. Requests
	 * without a reply are sent again with a new deadline if repeating them is
	 * harmless (see Request::repeatable()), and end with EAGAIN otherwise.
	 * Transactions are lost. The sink's reconnected() is called, to register
	 * the watches again. Sleeping context. Errors as start(): then all requests
	 * end with EIO, and the watchdog keeps trying to reconnect.
	 */
	[[nodiscard]] Status restart(xenstore_domain_interface *shared);

	/* Give up the page: fail all requests with EIO, including later ones. */
	void close();

	/*
	 * Handle an event from xenstored. Returns false if the ring has not changed
	 * since the last event. Sleeping context.
	 */
	[[nodiscard]] bool on_event();

	/*
	 * Send a request made of `parts`; at most `reply_capacity` bytes of reply
	 * are kept. Sleeping context. E2BIG, ENOMEM, EIO; EAGAIN for a lost
	 * transaction, ENOENT for an unknown one.
	 */
	Result<Call> submit(uint32_t type, xpv_store_transaction transaction, std::span<const std::string_view> parts,
			    size_t reply_capacity);
	/* Allocate a request, to be submitted later without the risk of ENOMEM. E2BIG, ENOMEM, EINVAL. */
	[[nodiscard]] static Result<Owned<Request>> prepare(uint32_t type, xpv_store_transaction transaction,
							    std::span<const std::string_view> parts, size_t reply_capacity);
	/* Send a prepared request. Errors as the other submit(), except those of prepare(). */
	Result<Call> submit(Owned<Request> request);
	/* Send a request and wait for the reply, and return only its status. */
	[[nodiscard]] Status perform(uint32_t type, xpv_store_transaction transaction,
				     std::span<const std::string_view> parts);

	void set_timeout(unsigned int milliseconds) { write_once(timeout_ms_, milliseconds); }
	/* Set the interval of the watchdog. Call before start(). */
	void set_watchdog(unsigned int milliseconds) { watchdog_ms_ = milliseconds; }
	/* Return whether every request would fail now. */
	[[nodiscard]] bool dead();
	void counts(xpv_store_counts &counts);

	/* Mark all transactions as lost, after XS_RESET_WATCHES made xenstored drop them. */
	void forget_transactions();

	/* Show the requests in progress, for debugfs. `show` is called with a spinlock held. */
	template <typename Show>
	void each_request(Show show)
	{
		SpinGuard guard(lock_);
		for (Request &request : in_flight_)
			show(request);
		for (Request &request : queue_)
			show(request);
	}
	/* Show the open transactions, for debugfs. `show` is called with a spinlock held. */
	template <typename Show>
	void each_transaction(Show show)
	{
		SpinGuard guard(lock_);
		for (OpenTransaction &transaction : transactions_)
			show(transaction);
	}

private:
	friend class Call;

	enum class Link : uint8_t {
		closed, /* not started, or stopped */
		up,
		paused, /* for a suspend: requests wait */
		lost, /* xenstored was, or will be, asked to reconnect: requests wait */
		dead, /* requests fail; the watchdog tries to reconnect */
	};

	/* ---- client.cc, call.cc ---- */

	/* Receive at most `limit` messages, and write as many requests as the ring has room for. */
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

	/* ---- watchdog.cc ---- */

	void check_server();
	/* Run the watchdog and reconnect. The function of watchdog_; never waits for xenstored. */
	void run_watchdog();
	/* The next three return the delay in milliseconds until the next run. */
	[[nodiscard]] unsigned int check_link();
	[[nodiscard]] unsigned int check_progress();
	[[nodiscard]] unsigned int try_to_reconnect();
	void lose_locked(const char *reason) XPV_REQUIRES(lock_);
	void requeue_locked() XPV_REQUIRES(lock_);
	void fail_all_locked() XPV_REQUIRES(lock_);
	[[nodiscard]] bool may_reconnect_locked(uint64_t now) XPV_REQUIRES(lock_);
	void come_up_locked() XPV_REQUIRES(receive_mutex_, lock_);

	void ring_doorbell() const { doorbell_.ring(doorbell_.context); }

	Mutex receive_mutex_{ "xpv store receive"_lock };
	MessageReader reader_ XPV_GUARDED_BY(receive_mutex_);
	bool answered_ XPV_GUARDED_BY(receive_mutex_) = false; /* a reply to one of our requests has been received */

	Spinlock lock_{ "xpv store client"_lock };
	StoreRing ring_; /* requests: lock_; responses: receive_mutex_ */
	xenstore_domain_interface *shared_ = nullptr; /* written with both locks held */
	List<Request> queue_ XPV_GUARDED_BY(lock_); /* only the first may be partly written */
	List<Request> in_flight_ XPV_GUARDED_BY(lock_);
	List<Request> orphans_ XPV_GUARDED_BY(lock_);
	List<OpenTransaction> transactions_ XPV_GUARDED_BY(lock_);
	unsigned int in_flight_count_ XPV_GUARDED_BY(lock_) = 0; /* in_flight_, plus the one that is partly written */
	unsigned int orphans_count_ XPV_GUARDED_BY(lock_) = 0;
	uint32_t next_id_ XPV_GUARDED_BY(lock_) = 0;
	uint32_t next_transaction_ XPV_GUARDED_BY(lock_) = 0;
	Link link_ XPV_GUARDED_BY(lock_) = Link::closed;
	Link before_pause_ XPV_GUARDED_BY(lock_) = Link::up;
	bool holding_ XPV_GUARDED_BY(lock_) = false; /* start no new request */
	bool asked_ XPV_GUARDED_BY(lock_) = false; /* lost, dead: xenstored was asked to reconnect */
	bool without_page_ XPV_GUARDED_BY(lock_) = false; /* close() */
	bool gave_up_ XPV_GUARDED_BY(lock_) = false; /* dead because xenstored set the ring's error field */
	uint64_t lost_ms_ XPV_GUARDED_BY(lock_) = 0;
	uint64_t reconnected_ms_ XPV_GUARDED_BY(lock_) = 0; /* 0: never */
	uint32_t event_progress_ XPV_GUARDED_BY(lock_) = 0; /* StoreRing::progress() at the last event */
	uint32_t watched_progress_ XPV_GUARDED_BY(lock_) = 0; /* the same at the watchdog's last run */
	uint64_t progress_ms_ XPV_GUARDED_BY(lock_) = 0; /* the watchdog last saw progress, or nothing in flight */
	unsigned int stalled_runs_ XPV_GUARDED_BY(lock_) = 0; /* runs of the watchdog without progress since then */
	xpv_store_counts counts_ XPV_GUARDED_BY(lock_) = {};

	Doorbell doorbell_ = {};
	WatchEventSink sink_ = {};
	unsigned int timeout_ms_ = 60000;
	unsigned int watchdog_ms_ = poll_interval_ms;
	Work<&Client::run_watchdog> watchdog_{ *this, XPV_WORK_WATCHDOG, "xpv store watchdog"_lock };
};

} // namespace xpv
