// SPDX-License-Identifier: GPL-2.0-only
/* xpv_store_read_many() and xpv_store_write_many(): many requests in flight at once. */
#include "xenbus/store/calls.hh"
#include "xenbus/store/store.hh"

using namespace xpv;

namespace xpv {

namespace {

/* Return whether xenstored sent no reply for the item, not even an error. */
bool unanswered(int result)
{
	return result == -XEN_ETIMEDOUT || result == -XEN_EIO || result == -XEN_ENOMEM;
}

} // namespace

} // namespace xpv

int xpv_store_read_many(xpv_store_transaction transaction, xpv_store_read_item *items, unsigned int count)
{
	if (count == 0)
		return 0;
	Calls calls;
	if (Status reserved = calls.reserve(count); !reserved.ok())
		return reserved.code();
	for (unsigned int i = 0; i < count; i++)
		items[i].result = calls.add(submit_read(transaction, items[i].path, items[i].size));
	int first = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (items[i].result == 0)
			items[i].result = finish_read(calls[i], items[i].value, items[i].size);
		if (first == 0 && unanswered(items[i].result))
			first = items[i].result;
	}
	return first;
}

int xpv_store_write_many(xpv_store_transaction transaction, xpv_store_write_item *items, unsigned int count)
{
	if (count == 0)
		return 0;
	Calls calls;
	if (Status reserved = calls.reserve(count); !reserved.ok())
		return reserved.code();
	/* No need to wait between writes: xenstored handles the requests of one connection in order. */
	for (unsigned int i = 0; i < count; i++)
		items[i].result = calls.add(submit_write(transaction, items[i].path, items[i].value));
	int first = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (items[i].result == 0)
			items[i].result = calls[i].wait().code();
		if (first == 0)
			first = items[i].result;
	}
	return first;
}
