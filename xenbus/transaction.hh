/* SPDX-License-Identifier: GPL-2.0-only */
/* Transactions that cannot be forgotten, and those that are tried again. */
#pragma once

#include "lib/deadline.hh"
#include "lib/result.hh"
#include "xenbus/store.h"

namespace xpv {

/* Dropped at the end of the scope unless committed. */
class [[nodiscard]] Transaction {
public:
	Transaction(Transaction &&other) : id_(other.id_), open_(std::exchange(other.open_, false)) {}
	Transaction(const Transaction &) = delete;
	Transaction &operator=(const Transaction &) = delete;
	Transaction &operator=(Transaction &&) = delete;
	~Transaction()
	{
		/* The store ends a transaction that it does not let us end. */
		if (open_)
			ignore(end(false));
	}

	/*
	 * The quota is 10 at a time for the whole domain (C xenstored): wait until
	 * `room` for others to end theirs. ENOSPC if they do not.
	 */
	[[nodiscard]] static Result<Transaction> start(Deadline room)
	{
		xpv_store_transaction id;
		int code = 0;
		static_cast<void>(poll_until(room, [&] {
			code = xpv_store_transaction_start(&id);
			return code != -XEN_ENOSPC;
		}));
		XPV_TRY(status(code));
		return Transaction(id);
	}
	[[nodiscard]] xpv_store_transaction id() const { return id_; }
	/* EAGAIN: somebody interfered, nothing was changed. */
	[[nodiscard]] Status commit()
	{
		open_ = false;
		return end(true);
	}

private:
	explicit Transaction(xpv_store_transaction id) : id_(id) {}

	/* One that is left open for want of memory would count against the quota for ever. */
	[[nodiscard]] Status end(bool commit) const
	{
		int code = 0;
		static_cast<void>(poll_until(Deadline::after(end_limit_ms), [&] {
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
 * Run `body(transaction)`, a Status, and commit; all of it again when
 * somebody interfered, but not for ever: EAGAIN past transaction_attempts,
 * ENOSPC if there was no room for another transaction within
 * transaction_room_ms. Sleeping context.
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
