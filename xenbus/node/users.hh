/* SPDX-License-Identifier: GPL-2.0-only */
/* All users of /dev/xen/xenbus: their count, and how they are freed. */
#pragma once

#include "xenbus/node/user.hh"

namespace xpv {

/* Schedule the freeing of a user. The last step of its work item; the user is freed once that has returned. */
void store_user_ended(xpv_store_user &user);

} // namespace xpv
