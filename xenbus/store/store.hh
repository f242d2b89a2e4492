/* SPDX-License-Identifier: GPL-2.0-only */
/* This module's xenstore connection, and what its C++ code needs beyond store.h. */
#pragma once

#include "xenbus/store/client.hh"
#include "xenbus/store/watch.hh"

namespace xpv {

struct Store {
	Store() : watches(client) {}

	Client client;
	WatchTable watches;
};

/* Set the connection that store.h's functions use: before their first call. Reset it after their last. */
void set_store(Store *store);
[[nodiscard]] Store &store();

/* Return the path with its NUL, as messages carry it. EINVAL if it is empty or too long for a message. */
[[nodiscard]] Result<std::string_view> checked_path(const char *path);
/* Submit an XS_READ. */
[[nodiscard]] Result<Call> submit_read(xpv_store_transaction transaction, const char *path, size_t capacity);
/* Submit an XS_WRITE. */
[[nodiscard]] Result<Call> submit_write(xpv_store_transaction transaction, const char *path, const char *value);
/* Wait for the reply to an XS_READ. Returns the same as xpv_store_read(). */
[[nodiscard]] int finish_read(Call &call, char *value, size_t size);

} // namespace xpv
