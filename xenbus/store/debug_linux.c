// SPDX-License-Identifier: GPL-2.0-only
/* The xenstore client in /sys/kernel/debug/xpv: "xenbus" has counts, "store" what is in progress. Its tracepoints. */

#include <linux/minmax.h>
#include <linux/ktime.h>

#include "lib/debugfs.h"
#include "xenbus/linux.h"

#define CREATE_TRACE_POINTS
#include "xenbus/store/trace.h"

/* Longest text in a trace event: an entry of the trace buffer must fit one page. */
#define TRACED_TEXT 512

static void xenbus_show(struct xpv_debug_sink *sink)
{
	struct xpv_store_counts counts;

	xpv_store_get_counts(&counts);
	xpv_debug_print(sink, "sent %llu\n", counts.sent);
	xpv_debug_print(sink, "answered %llu\n", counts.answered);
	xpv_debug_print(sink, "timed_out %llu\n", counts.timed_out);
	xpv_debug_print(sink, "dropped %llu\n", counts.dropped);
	xpv_debug_print(sink, "watch_events %llu\n", counts.watch_events);
	xpv_debug_print(sink, "losses %llu\n", counts.losses);
	xpv_debug_print(sink, "reconnections %llu\n", counts.reconnections);
	xpv_debug_print(sink, "in_flight %u\n", counts.in_flight);
	xpv_debug_print(sink, "queued %u\n", counts.queued);
	xpv_debug_print(sink, "watches %u\n", counts.watches);
	xpv_debug_print(sink, "dead %d\n", counts.dead);
}
static struct xpv_debug_file counts_file = { .name = "xenbus", .show = xenbus_show };

static struct xpv_debug_file store_file = { .name = "store", .show = xpv_store_show };

void xpv_xenbus_debug_start(void)
{
	xpv_debug_file_add(&counts_file);
	xpv_debug_file_add(&store_file);
}

void xpv_xenbus_debug_stop(void)
{
	xpv_debug_file_remove(&store_file);
	xpv_debug_file_remove(&counts_file);
}

/* ---- Tracepoints ---- */

void xpv_trace_store_request(u32 type, u32 transaction, u32 id, const char *path, size_t length)
{
	trace_xpv_store_request(xpv_store_operation_name(type), transaction, id, path, min_t(size_t, length, TRACED_TEXT));
}

void xpv_trace_store_reply(u32 type, u32 transaction, u32 id, const char *path, size_t length, int result, u64 nanoseconds)
{
	trace_xpv_store_reply(xpv_store_operation_name(type), transaction, id, path, min_t(size_t, length, TRACED_TEXT),
			      result, div_u64(nanoseconds, NSEC_PER_USEC));
}

void xpv_trace_store_watch(const char *path, size_t length, const char *token, size_t token_length)
{
	trace_xpv_store_watch(path, min_t(size_t, length, TRACED_TEXT), token, min_t(size_t, token_length, TRACED_TEXT));
}

void xpv_trace_store_watch_called(const char *path, u64 nanoseconds)
{
	trace_xpv_store_watch_called(path, min_t(size_t, strlen(path), TRACED_TEXT), div_u64(nanoseconds, NSEC_PER_USEC));
}

u64 xpv_store_clock_ns(void)
{
	return ktime_get_ns();
}
