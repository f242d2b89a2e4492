/* SPDX-License-Identifier: GPL-2.0-only */
/* All users of /dev/xen/xenbus: how many there are, and the last of each. */
#pragma once

#include "xenbus/user.hh"

namespace xpv {

/* The last thing that a user's work item does: it is freed when that has returned. */
void store_user_ended(xpv_store_user &user);

} // namespace xpv
