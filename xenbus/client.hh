/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The xenstore client: requests from any number of tasks over one ring.
 *
 * Locks: receive_mutex_ serialises the reading of the response stream, lock_
 * guards the lists, the request half of the ring and each request's state.
 * lock_ may be taken with receive_mutex_ held, never the other way round.
 */
#pragma once

#include <climits>
#include <span>
#include <string_view>
#include <utility>

#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "xenbus/linux.h"
#include "xenbus/message.hh"

namespace xpv {

class Client;

/* How the store is told to look at the ring. Any context. */
struct Doorbell {
	struct Context;
	void (*ring)(Context *context);
	Context *context;
};

/* Who is told of watch events; called in a sleeping context, one at a time. */
struct WatchEventSink {
	struct Context;
	void (*event)(Context *context, const WatchEvent &event);
	Context *context;
};

/*
 * One request, with its message and room for its answer behind it in the
 * same allocation. Its Call owns it until the Call gives up on a message
 * that is queued or half written: then the client does, until it is written.
 */
struct Request : ListLink<> {
	enum class State : std::uint8_t { queued, writing, in_flight, finished };

	State state = State::queued;
	bool abandoned = false;
	std::uint32_t type = 0;
	std::uint32_t id = 0;
	xpv_store_transaction transaction = {};
	std::uint64_t deadline_ms = 0;
	int error = 0; /* an errno once finished, or 0 */
	std::size_t message_size = 0;
	std::size_t message_written = 0;
	std::size_t reply_capacity = 0;
	std::size_t reply_size = 0; /* as the store gave it; no more than reply_capacity of it is kept */
	xpv_completion done;

	[[nodiscard]] char *message() { return reinterpret_cast<char *>(this + 1); }
	[[nodiscard]] char *reply() { return message() + message_size; }
};

/* A request under way. Going out of scope gives up on the answer. */
class [[nodiscard]] Call {
public:
	Call() = default;
	Call(Call &&other) : client_(other.client_), request_(other.request_.release()) {}
	Call &operator=(Call &&other)
	{
		give_up();
		client_ = other.client_;
		request_.reset(other.request_.release());
		return *this;
	}
	Call(const Call &) = delete;
	Call &operator=(const Call &) = delete;
	~Call() { give_up(); }

	/*
	 * The answer's payload, NUL-terminated, for as long as this Call lives.
	 * Sleeping context. ETIMEDOUT after the client's timeout; EIO when the
	 * connection is dead; EMSGSIZE when the answer is larger than it was
	 * allowed to be; else what the store says.
	 */
	[[nodiscard]] Result<std::string_view> wait();
	/* Let it happen, but without anybody to take the answer. */
	void forget();

private:
	friend class Client;
	Call(Client *client, Owned<Request> request) : client_(client), request_(std::move(request)) {}
	void give_up();

	Client *client_ = nullptr;
	Owned<Request> request_;
};

class Client {
public:
	/* C xenstored 4.17 lets a guest have 20 requests outstanding. */
	static constexpr unsigned int in_flight_limit = 16;
	/* A waiter looks at the ring itself this often: an event may get lost. */
	static constexpr unsigned int poll_interval_ms = 5000;
	/* No more than this at a time: a store that never stops talking must not keep it from its deadline. */
	static constexpr unsigned int poll_limit = 64;

	Client();
	~Client();
	Client(const Client &) = delete;
	Client &operator=(const Client &) = delete;

	/*
	 * Take over the page. What former users left is dropped: by the store
	 * where it can reconnect, else by their ids. Sleeping context.
	 */
	[[nodiscard]] Status start(xenstore_domain_interface *shared, Doorbell doorbell, WatchEventSink sink);
	/*
	 * Wait, for a bounded time, until nothing is under way; then the page is
	 * not touched any more. No calls may be made now, nor be under way.
	 */
	void stop();

	/* The store rang. False when it has done nothing since the last time. Sleeping context; never twice at once. */
	[[nodiscard]] bool on_event();

	/*
	 * Send a request made of `parts`. The answer may have `reply_capacity`
	 * bytes. Sleeping context. E2BIG, ENOMEM, EIO.
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

	/*
	 * ---- A suspend; see suspend.cc. Sleeping context. ----
	 *
	 * From hold() to release() new requests wait. hold() also waits for the
	 * answers to those that are under way, but not for ever.
	 */
	void hold();
	void release();
	/* On the only CPU that runs, with no lock: nobody touches the page until release(). */
	void leave() { write_once(away_, true); }
	/*
	 * While held: a new domain, whose store begins anew in this page, even if
	 * the old one was lost. What was not answered will be asked again; in a
	 * transaction it ends with EAGAIN.
	 */
	[[nodiscard]] Status restore(xenstore_domain_interface *shared);
	/* While held, but before all that waits. */
	Result<Call> submit_first(Owned<Request> request) { return submit_to(true, std::move(request)); }
	/* How often the domain was restored: transactions from before are dead. Any context. */
	[[nodiscard]] std::uint32_t restores() const { return read_once(restores_); }

	void set_timeout(unsigned int milliseconds) { write_once(timeout_ms_, milliseconds); }
	[[nodiscard]] bool dead();
	void counts(xpv_store_counts &counts);

private:
	friend class Call;

	Result<Call> submit_to(bool first, Owned<Request> request);
	[[nodiscard]] bool transaction_is_dead_locked(const Request &request) const
	{
		return request.transaction.value != 0 && request.transaction.restores != restores_;
	}
	[[nodiscard]] Status reconnect(xenstore_domain_interface *shared);
	[[nodiscard]] bool wait_for_reconnection();
	/* Take at most `limit` messages, and write what can be written. */
	void process(unsigned int limit);
	[[nodiscard]] bool receive_one(bool &was_full);
	void handle_message();
	[[nodiscard]] bool idle();
	[[nodiscard]] bool quiet_while_held();
	void check_server_error();
	enum class Abandoned { was_finished, is_callers, is_clients };
	[[nodiscard]] Abandoned abandon(Request &request);
	[[nodiscard]] bool forget(Request &request);

	/* With lock_ held: */
	[[nodiscard]] bool pump_locked();
	void finish_locked(Request &request, int error);
	void die_locked(const char *reason);

	void ring_doorbell() const { doorbell_.ring(doorbell_.context); }

	Mutex receive_mutex_;
	MessageReader reader_; /* receive_mutex_ */
	std::uint32_t progress_ = 0; /* on_event(): what the store had done at the last event */
	bool answered_ = false; /* receive_mutex_: an answer to one of our requests has come */

	Spinlock lock_;
	StoreRing ring_; /* requests: lock_; responses: receive_mutex_ */
	List<Request> queue_; /* only its first may be half written */
	List<Request> held_; /* those that wait for release() */
	bool holding_ = false;
	bool away_ = false; /* from the suspend on: the page may be another store's */
	std::uint32_t restores_ = 0;
	List<Request> in_flight_;
	unsigned int in_flight_count_ = 0; /* those in in_flight_ and the one that is half written */
	std::uint32_t next_id_ = 0;
	bool running_ = false;
	bool dead_ = false;
	xpv_store_counts counts_ = {};

	Doorbell doorbell_ = {};
	WatchEventSink sink_ = {};
	unsigned int timeout_ms_ = 60000;
};

} // namespace xpv
