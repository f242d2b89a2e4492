// SPDX-License-Identifier: GPL-2.0-only
/* The store client's state in /sys/kernel/debug/xpv: counts in xenbus, what is under way in store; its tracepoints. */

#include <linux/minmax.h>
#include <linux/seq_file.h>
#include <linux/timekeeping.h>

#include "lib/debugfs.h"
#include "xenbus/linux.h"

#define CREATE_TRACE_POINTS
#include "xenbus/trace.h"

/* An entry of the trace buffer has to fit a page. */
#define TRACED_TEXT 512

static int xenbus_show(struct seq_file *seq, void *unused)
{
	struct xpv_store_counts counts;

	xpv_store_get_counts(&counts);
	seq_printf(seq, "sent %llu\n", counts.sent);
	seq_printf(seq, "answered %llu\n", counts.answered);
	seq_printf(seq, "timed_out %llu\n", counts.timed_out);
	seq_printf(seq, "dropped %llu\n", counts.dropped);
	seq_printf(seq, "watch_events %llu\n", counts.watch_events);
	seq_printf(seq, "losses %llu\n", counts.losses);
	seq_printf(seq, "reconnections %llu\n", counts.reconnections);
	seq_printf(seq, "in_flight %u\n", counts.in_flight);
	seq_printf(seq, "queued %u\n", counts.queued);
	seq_printf(seq, "watches %u\n", counts.watches);
	seq_printf(seq, "dead %d\n", counts.dead);
	return 0;
}
static struct xpv_debug_file counts_file = { .name = "xenbus", .show = xenbus_show };

/* Paths are of printable bytes in the store, but not everybody who asks keeps to that. */
static void show_path(struct seq_file *seq, const char *path, size_t length)
{
	seq_escape_mem(seq, path, length, ESCAPE_NP | ESCAPE_HEX, NULL);
	seq_putc(seq, '\n');
}

static void show_request(struct xpv_store_viewer *viewer, const struct xpv_store_request_state *state)
{
	struct seq_file *seq = (struct seq_file *)viewer;

	seq_printf(seq, "%10u %10u %9llu %-9s %-23s ", state->id, state->transaction, state->age_ms, state->state,
		   state->operation);
	show_path(seq, state->path, state->path_length);
}

static void show_transaction(struct xpv_store_viewer *viewer, const struct xpv_store_transaction_state *state)
{
	seq_printf((struct seq_file *)viewer, "%10u %10u %9llu %s\n", state->number, state->id, state->age_ms,
		   state->lost ? "lost" : "open");
}

/* State: P a call is pending, R it runs, - neither; M not registered with the store. */
static void show_watch(struct xpv_store_viewer *viewer, const struct xpv_store_watch_state *state)
{
	struct seq_file *seq = (struct seq_file *)viewer;

	seq_printf(seq, "%8x %c%c%c %9llu %-40ps ", state->token, state->pending ? 'P' : '-',
		   state->running ? 'R' : '-', state->registered ? '-' : 'M', state->events, (void *)state->callback);
	show_path(seq, state->path, strlen(state->path));
}

static int store_show(struct seq_file *seq, void *unused)
{
	struct xpv_store_counts counts;

	xpv_store_get_counts(&counts);
	seq_printf(seq, "# connection %s; page: requests %u/%u, responses %u/%u, features %#x, connection %u, error %u\n",
		   counts.link, counts.request_consumed, counts.request_produced, counts.response_consumed,
		   counts.response_produced, counts.server_features, counts.connection, counts.error);
	seq_printf(seq, "# requests\n%10s %10s %9s %-9s %-23s %s\n", "ID", "TRANS", "AGE_MS", "STATE", "OPERATION",
		   "PATH");
	xpv_store_each_request(show_request, (struct xpv_store_viewer *)seq);
	seq_printf(seq, "# transactions\n%10s %10s %9s %s\n", "TRANS", "STORE_ID", "AGE_MS", "STATE");
	xpv_store_each_transaction(show_transaction, (struct xpv_store_viewer *)seq);
	seq_printf(seq, "# watches\n%8s %-3s %9s %-40s %s\n", "TOKEN", "ST", "EVENTS", "CALLBACK", "PATH");
	xpv_store_each_watch(show_watch, (struct xpv_store_viewer *)seq);
	return 0;
}
static struct xpv_debug_file store_file = { .name = "store", .show = store_show };

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

void xpv_trace_store_reply(u32 type, u32 transaction, u32 id, const char *path, size_t length, int result,
			   u64 nanoseconds)
{
	trace_xpv_store_reply(xpv_store_operation_name(type), transaction, id, path,
			      min_t(size_t, length, TRACED_TEXT), result, div_u64(nanoseconds, NSEC_PER_USEC));
}

void xpv_trace_store_watch(const char *path, size_t length, const char *token, size_t token_length)
{
	trace_xpv_store_watch(path, min_t(size_t, length, TRACED_TEXT), token, min_t(size_t, token_length, TRACED_TEXT));
}

void xpv_trace_store_watch_called(const char *path, u64 nanoseconds)
{
	trace_xpv_store_watch_called(path, min_t(size_t, strlen(path), TRACED_TEXT),
				     div_u64(nanoseconds, NSEC_PER_USEC));
}

u64 xpv_store_clock_ns(void)
{
	return ktime_get_ns();
}
