/* SPDX-License-Identifier: GPL-2.0-only */
/* Transactions that cannot be forgotten, and those that are tried again. */
#pragma once

#include "lib/result.hh"
#include "lib/shim.h"
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

	[[nodiscard]] static Result<Transaction> start()
	{
		xpv_store_transaction id;
		XPV_TRY(status(xpv_store_transaction_start(&id)));
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
		Status ended = Error(XEN_ENOMEM);
		for (unsigned int attempt = 0; attempt < end_attempts; attempt++) {
			if (attempt)
				xpv_sleep_ms(end_wait_ms);
			ended = status(xpv_store_transaction_end(id_, commit));
			if (ended.ok() || !(ended.error() == XEN_ENOMEM))
				break;
		}
		return ended;
	}

	static constexpr unsigned int end_attempts = 10;
	static constexpr unsigned int end_wait_ms = 20;

	xpv_store_transaction id_;
	bool open_ = true;
};

inline constexpr unsigned int transaction_attempts = 8;
/* The quota is 10 at a time for the whole domain: wait for others to end theirs. */
inline constexpr unsigned int transaction_room_attempts = 50;
inline constexpr unsigned int transaction_room_wait_ms = 20;

/*
 * Run `body(transaction)`, a Status, and commit; all of it again when
 * somebody interfered, but not for ever: EAGAIN past transaction_attempts,
 * ENOSPC when there never was room for one more transaction. Sleeping context.
 */
template <typename Body>
[[nodiscard]] Status in_transaction(Body body)
{
	Status last = Error(XEN_EAGAIN);
	unsigned int no_room = 0;
	for (unsigned int attempt = 0; attempt < transaction_attempts; attempt++) {
		auto started = Transaction::start();
		if (!started.ok()) {
			last = started.error();
			if (last.error() == XEN_ENOSPC && ++no_room < transaction_room_attempts) {
				xpv_sleep_ms(transaction_room_wait_ms);
				attempt--;
				continue;
			}
		} else {
			last = body(started.value().id());
			if (last.ok())
				last = started.value().commit();
		}
		if (last.ok() || !(last.error() == XEN_EAGAIN))
			break;
	}
	return last;
}

} // namespace xpv
