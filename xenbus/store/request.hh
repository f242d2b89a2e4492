/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One request to xenstored and its reply.
 *
 * The Call owns the request. If the Call gives up on a message that is queued
 * or partly written, the client owns the request until it is written.
 */
#pragma once

#include <string_view>
#include <utility>

#include "lib/address.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "xenbus/linux.h"
#include "xenbus/store/message.hh"

namespace xpv {

class Client;
struct OpenTransaction;

/* The message, followed by room for the reply, is in the same allocation. */
struct Request : ListLink<> {
	enum class State : uint8_t { queued, writing, in_flight, finished };

	Request() = default;
	Request(const Request &) = delete;
	Request &operator=(const Request &) = delete;
	~Request();

	State state = State::queued;
	bool abandoned = false;
	/* Pass xenstored's reply to the caller unchanged, even an XS_ERROR. */
	bool raw = false;
	uint32_t type = 0;
	uint32_t id = 0;
	/* The client's number for the transaction; the message has xenstored's. */
	xpv_store_transaction transaction = {};
	uint64_t deadline_ms = 0;
	uint64_t since_ns = 0; /* when it was submitted */
	int error = 0; /* an errno once finished, or 0 */
	uint32_t reply_type = 0;
	size_t message_size = 0;
	size_t message_written = 0;
	size_t reply_capacity = 0;
	size_t reply_size = 0; /* as xenstored sent it; at most reply_capacity bytes are kept */
	/* XS_TRANSACTION_START: the record for the new transaction, allocated in advance. */
	Owned<OpenTransaction> opens = {};
	xpv_completion done;

	[[nodiscard]] char *message() { return bytes_behind(*this); }
	[[nodiscard]] char *reply() { return message() + message_size; }
	/* Return the first string of the payload: the path, if the operation has one. For diagnostics. */
	[[nodiscard]] std::string_view path();
	/* Return whether the request can safely be repeated after xenstored may have executed it. */
	[[nodiscard]] bool repeatable() const;
};

/* A transaction that was started and not ended. */
struct OpenTransaction : ListLink<> {
	/*
	 * The number that callers use. It differs from xenstored's, because after a
	 * reconnect xenstored counts from 1 again, and a request of a lost
	 * transaction must not get into another one.
	 */
	uint32_t handle = 0;
	uint32_t id = 0; /* xenstored's number */
	bool lost = false; /* the connection it was started over is lost */
	uint64_t since_ms = 0;
	/* XS_TRANSACTION_END that drops the transaction, in case the caller of its start has given up. */
	Owned<Request> drop = {};
};

/* A request in progress. The destructor gives up on the reply. */
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
	 * Wait for the reply, and return its payload, NUL-terminated and valid
	 * while this Call lives. Sleeping context. ETIMEDOUT after the client's
	 * timeout; EIO if the connection is dead; EAGAIN if it was reestablished
	 * meanwhile and the request cannot be repeated; EMSGSIZE if the reply is
	 * larger than reply_capacity; else xenstored's error.
	 */
	[[nodiscard]] Result<std::string_view> wait();
	/* Return the type of the reply, after wait(). It differs from the request's only for a raw request. */
	[[nodiscard]] uint32_t reply_type() const { return request_->reply_type; }
	/* Let the request complete without waiting for its reply. */
	void forget();

private:
	friend class Client;
	Call(Client *client, Owned<Request> request) : client_(client), request_(std::move(request)) {}
	void give_up();

	Client *client_ = nullptr;
	Owned<Request> request_;
};

} // namespace xpv
