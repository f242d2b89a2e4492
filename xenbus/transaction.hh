/* SPDX-License-Identifier: GPL-2.0-only */
/* Transactions that end with their scope, and a loop that retries them. */
#pragma once

#include "lib/deadline.hh"
#include "lib/result.hh"
#include "xenbus/store.h"

namespace xpv {

/* A transaction. The destructor drops it unless it was committed. */
class [[nodiscard]] Transaction {
public:
	Transaction(Transaction &&other) : id_(other.id_), open_(std::exchange(other.open_, false)) {}
	Transaction(const Transaction &) = delete;
	Transaction &operator=(const Transaction &) = delete;
	Transaction &operator=(Transaction &&) = delete;
	~Transaction()
	{
		/* If xenstored refuses the request, the transaction is over nevertheless. */
		if (open_)
			ignore(end(false));
	}

	/*
	 * Start a transaction. The quota is 10 at a time for the whole domain (C
	 * xenstored): if it is used up, wait until `room` for other transactions to
	 * end. ENOSPC if they do not.
	 */
	[[nodiscard]] static Result<Transaction> start(Deadline room)
	{
		xpv_store_transaction id;
		int code = 0;
		ignore(poll_until(room, [&] {
			code = xpv_store_transaction_start(&id);
			return code != -XEN_ENOSPC;
		}));
		XPV_TRY(status(code));
		return Transaction(id);
	}
	[[nodiscard]] xpv_store_transaction id() const { return id_; }
	/* Commit the changes. EAGAIN: another client made a conflicting change, no change was made. */
	[[nodiscard]] Status commit()
	{
		open_ = false;
		return end(true);
	}

private:
	explicit Transaction(xpv_store_transaction id) : id_(id) {}

	/* End the transaction. Retry on ENOMEM: an open transaction would count against the quota permanently. */
	[[nodiscard]] Status end(bool commit) const
	{
		int code = 0;
		ignore(poll_until(Deadline::after(end_limit_ms), [&] {
			code = xpv_store_transaction_end(id_, commit);
			return code != -XEN_ENOMEM;
		}));
		return status(code);
	}

	static constexpr unsigned int end_limit_ms = 200;

	xpv_store_transaction id_;
	bool open_ = true;
};

inline constexpr unsigned int transaction_attempts = 8;
inline constexpr unsigned int transaction_room_ms = 1000;

/*
 * Run `body(transaction)`, which returns a Status, and commit. Retry both after
 * a conflicting change. EAGAIN after transaction_attempts attempts, ENOSPC if
 * the quota left no room for another transaction within transaction_room_ms.
 * Sleeping context.
 */
template <typename Body>
[[nodiscard]] Status in_transaction(Body body)
{
	Status last = Error(XEN_EAGAIN);
	for (unsigned int attempt = 0; attempt < transaction_attempts; attempt++) {
		auto started = Transaction::start(Deadline::after(transaction_room_ms));
		last = started.ok() ? body(started.value().id()) : Status(started.error());
		if (started.ok() && last.ok())
			last = started.value().commit();
		if (last.ok() || !(last.error() == XEN_EAGAIN))
			break;
	}
	return last;
}

} // namespace xpv
