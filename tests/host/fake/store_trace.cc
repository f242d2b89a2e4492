// SPDX-License-Identifier: GPL-2.0-only
/* The store's tracepoints, which go nowhere here, and their clock. */
#include <chrono>

#include "xenbus/linux.h"

void xpv_trace_store_request(uint32_t, uint32_t, uint32_t, const char *, size_t)
{
}

void xpv_trace_store_reply(uint32_t, uint32_t, uint32_t, const char *, size_t, int, uint64_t)
{
}

void xpv_trace_store_watch(const char *, size_t, const char *, size_t)
{
}

void xpv_trace_store_watch_called(const char *, uint64_t)
{
}

uint64_t xpv_store_clock_ns(void)
{
	return static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}
