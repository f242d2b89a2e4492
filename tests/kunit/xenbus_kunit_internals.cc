// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the suite tests is not exported by its module, so in the kernel the
 * suite has its own copy. On the host the tests link the module's.
 */
#ifdef __KERNEL__
#include "xenbus/call.cc"
#include "xenbus/client.cc"
#include "xenbus/keeper.cc"
#include "xenbus/link.cc"
#include "xenbus/message.cc"
#include "xenbus/ring.cc"
#include "xenbus/transactions.cc"
#include "xenbus/watch.cc"
/* The last: its names of actions are everybody's after it. */
#include "xenbus/state.cc"
#endif
