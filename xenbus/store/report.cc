// SPDX-License-Identifier: GPL-2.0-only
/* The client's requests, transactions and watches, for debugfs. */
#include "lib/address.hh"
#include "xenbus/store/store.hh"

using namespace xpv;

namespace {

constexpr const char *state_names[] = { "queued", "writing", "in flight", "finished" };

/* Print a path, escaped. Paths in xenstore are printable, but a user's request may contain any bytes. */
void print_path(xpv_debug_sink *sink, std::string_view path)
{
	xpv_debug_print_escaped(sink, path.data(), path.size());
	xpv_debug_print(sink, "\n");
}

void show_requests(xpv_debug_sink *sink)
{
	xpv_debug_print(sink, "# requests\n%10s %10s %9s %-9s %-23s %s\n", "ID", "TRANS", "AGE_MS", "STATE",
			"OPERATION", "PATH");
	uint64_t now = xpv_store_clock_ns();
	store().client.each_request([&](Request &request) {
		xpv_debug_print(sink, "%10u %10u %9llu %-9s %-23s ", request.id, request.transaction.value,
				static_cast<unsigned long long>((now - request.since_ns) / 1000000),
				state_names[static_cast<unsigned int>(request.state)], operation_name(request.type));
		print_path(sink, request.path());
	});
}

void show_transactions(xpv_debug_sink *sink)
{
	xpv_debug_print(sink, "# transactions\n%10s %10s %9s %s\n", "TRANS", "STORE_ID", "AGE_MS", "STATE");
	uint64_t now = xpv_now_ms();
	store().client.each_transaction([&](OpenTransaction &transaction) {
		xpv_debug_print(sink, "%10u %10u %9llu %s\n", transaction.handle, transaction.id,
				static_cast<unsigned long long>(now - transaction.since_ms),
				transaction.lost ? "lost" : "open");
	});
}

/* Print the watches. State: P = call pending, R = callback running, M = not registered with xenstored. */
void show_watches(xpv_debug_sink *sink)
{
	xpv_debug_print(sink, "# watches\n%8s %-3s %9s %-40s %s\n", "TOKEN", "ST", "EVENTS", "CALLBACK", "PATH");
	store().watches.each([&](Watch &watch, bool running, bool registered) {
		bool pending = static_cast<ListLink<WatchPendingLink> &>(watch).linked();
		xpv_debug_print(sink, "%8x %c%c%c %9llu %-40ps ", watch.token, pending ? 'P' : '-', running ? 'R' : '-',
				registered ? '-' : 'M', static_cast<unsigned long long>(watch.events),
				symbol_of(watch.callback));
		print_path(sink, watch.path.data());
	});
}

} // namespace

const char *xpv_store_operation_name(uint32_t type)
{
	return operation_name(type);
}

void xpv_store_show(xpv_debug_sink *sink)
{
	xpv_store_counts counts;
	xpv_store_get_counts(&counts);
	xpv_debug_print(sink,
			"# connection %s; page: requests %u/%u, responses %u/%u, features %#x, connection %u, error %u\n",
			counts.link, counts.request_consumed, counts.request_produced, counts.response_consumed,
			counts.response_produced, counts.server_features, counts.connection, counts.error);
	show_requests(sink);
	show_transactions(sink);
	show_watches(sink);
}
