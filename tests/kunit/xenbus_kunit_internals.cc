// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the suite tests is not exported by its module, so in the kernel the
 * suite has its own copy. On the host the tests link the module's.
 */
#ifdef __KERNEL__
#include "xenbus/store/call.cc"
#include "xenbus/store/client.cc"
#include "xenbus/store/watchdog.cc"
#include "xenbus/store/link.cc"
#include "xenbus/store/message.cc"
#include "xenbus/store/ring.cc"
#include "xenbus/store/transactions.cc"
#include "xenbus/store/watch.cc"
/* The last: its names of actions are everybody's after it. */
#include "xenbus/bus/state.cc"
#endif
