/* SPDX-License-Identifier: GPL-2.0-only */
/* The store connection of this module, and what its own C++ needs beyond store.h. */
#pragma once

#include "xenbus/client.hh"
#include "xenbus/watch.hh"

namespace xpv {

struct Store {
	Store() : watches(client) {}

	Client client;
	WatchTable watches;
};

/* The one that store.h's functions talk to; set before and reset after everything else. */
void set_store(Store *store);
[[nodiscard]] Store &store();

/* With its NUL, as a message carries it. EINVAL for one that no message does. */
[[nodiscard]] Result<std::string_view> checked_path(const char *path);
/* XS_READ and XS_WRITE, sent. */
[[nodiscard]] Result<Call> submit_read(xpv_store_transaction transaction, const char *path, std::size_t capacity);
[[nodiscard]] Result<Call> submit_write(xpv_store_transaction transaction, const char *path, const char *value);
/* What xpv_store_read() returns. */
[[nodiscard]] int finish_read(Call &call, char *value, std::size_t size);

} // namespace xpv
