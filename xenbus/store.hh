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

/* The connection in a restored domain, watches and all; the client is held. Sleeping context. */
[[nodiscard]] Status restore_connection();

/* The one that store.h's functions talk to; set before and reset after everything else. */
void set_store(Store *store);
[[nodiscard]] Store &store();

} // namespace xpv
