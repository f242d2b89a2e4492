// SPDX-License-Identifier: GPL-2.0-only
/* xpv_store_read_many() and xpv_store_write_many(): many requests in flight at once. */
#include "xenbus/store/calls.hh"
#include "xenbus/store/store.hh"

using namespace xpv;

namespace {

/* Return whether xenstored sent no reply for the item, not even an error. */
bool unanswered(int result)
{
	return result == -XEN_ETIMEDOUT || result == -XEN_EIO || result == -XEN_ENOMEM;
}

/*
 * Submit a request for each item, then finish each; submit() and finish() are
 * given the item. Each item gets its result. Return the first result for which
 * fails() is true, else 0.
 */
template <typename Item, typename Submit, typename Finish, typename Fails>
int each_in_flight(Item *items, unsigned int count, Submit submit, Finish finish, Fails fails)
{
	if (count == 0)
		return 0;
	Calls calls;
	if (Status reserved = calls.reserve(count); !reserved.ok())
		return reserved.code();
	for (unsigned int i = 0; i < count; i++)
		items[i].result = calls.add(submit(items[i]));
	int first = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (items[i].result == 0)
			items[i].result = finish(calls[i], items[i]);
		if (first == 0 && fails(items[i].result))
			first = items[i].result;
	}
	return first;
}

} // namespace

int xpv_store_read_many(xpv_store_transaction transaction, xpv_store_read_item *items, unsigned int count)
{
	return each_in_flight(
		items, count,
		[=](const xpv_store_read_item &item) { return submit_read(transaction, item.path, item.size); },
		[](Call &call, const xpv_store_read_item &item) { return finish_read(call, item.value, item.size); },
		unanswered);
}

int xpv_store_write_many(xpv_store_transaction transaction, xpv_store_write_item *items, unsigned int count)
{
	/* No need to wait between writes: xenstored handles the requests of one connection in order. */
	return each_in_flight(
		items, count,
		[=](const xpv_store_write_item &item) { return submit_write(transaction, item.path, item.value); },
		[](Call &call, const xpv_store_write_item &) { return call.wait().code(); },
		[](int result) { return result != 0; });
}
