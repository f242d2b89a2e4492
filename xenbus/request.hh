/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One request to the store and its answer: the message, and whose it is.
 *
 * A request's Call owns it until the Call gives up on a message that is
 * queued or half written: then the client does, until it is written.
 */
#pragma once

#include <string_view>
#include <utility>

#include "lib/address.hh"
#include "lib/list.hh"
#include "lib/memory.hh"
#include "xenbus/linux.h"
#include "xenbus/message.hh"

namespace xpv {

class Client;
struct OpenTransaction;

/* The message, and room for the answer behind it, are in the same allocation. */
struct Request : ListLink<> {
	enum class State : std::uint8_t { queued, writing, in_flight, finished };

	Request() = default;
	Request(const Request &) = delete;
	Request &operator=(const Request &) = delete;
	~Request();

	State state = State::queued;
	bool abandoned = false;
	/* The caller wants the store's answer as it is, an XS_ERROR too. */
	bool raw = false;
	std::uint32_t type = 0;
	std::uint32_t id = 0;
	/* The client's number for it; in the message is the store's. */
	xpv_store_transaction transaction = {};
	std::uint64_t deadline_ms = 0;
	std::uint64_t since_ns = 0; /* when it was handed in */
	int error = 0; /* an errno once finished, or 0 */
	std::uint32_t reply_type = 0;
	std::size_t message_size = 0;
	std::size_t message_written = 0;
	std::size_t reply_capacity = 0;
	std::size_t reply_size = 0; /* as the store gave it; no more than reply_capacity of it is kept */
	/* XS_TRANSACTION_START: what is kept of the transaction once there is one. */
	Owned<OpenTransaction> opens = {};
	xpv_completion done;

	[[nodiscard]] char *message() { return bytes_behind(*this); }
	[[nodiscard]] char *reply() { return message() + message_size; }
	/* Its first string: the path, if the operation has one. For diagnosis. */
	[[nodiscard]] std::string_view path();
	/* Doing it once more, in a store that may have done it, does no harm. */
	[[nodiscard]] bool repeatable() const;
};

/* A transaction that was started and not ended. */
struct OpenTransaction : ListLink<> {
	/*
	 * What callers know it by: a store that starts afresh counts from 1 again,
	 * and a request of a transaction that is lost must not get into another.
	 */
	std::uint32_t handle = 0;
	std::uint32_t id = 0; /* the store's */
	bool lost = false; /* the connection it was started over is gone */
	std::uint64_t since_ms = 0;
	/* XS_TRANSACTION_END that drops it, for when nobody takes the answer to its start. */
	Owned<Request> drop = {};
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
	 * connection is dead; EAGAIN when it was made anew meanwhile and the
	 * request cannot be repeated; EMSGSIZE when the answer is larger than it
	 * was allowed to be; else what the store says.
	 */
	[[nodiscard]] Result<std::string_view> wait();
	/* After wait(): the type of the answer; another than the request's only for a raw one. */
	[[nodiscard]] std::uint32_t reply_type() const { return request_->reply_type; }
	/* Let it happen, but without anybody to take the answer. */
	void forget();

private:
	friend class Client;
	Call(Client *client, Owned<Request> request) : client_(client), request_(std::move(request)) {}
	void give_up();

	Client *client_ = nullptr;
	Owned<Request> request_;
};

} // namespace xpv
