// SPDX-License-Identifier: GPL-2.0-only
/* What is under way, for debugfs. */
#include "xenbus/store.hh"

using namespace xpv;

namespace {

constexpr const char *state_names[] = { "queued", "writing", "in flight", "finished" };

} // namespace

const char *xpv_store_operation_name(uint32_t type)
{
	return operation_name(type);
}

void xpv_store_each_request(void (*show)(xpv_store_viewer *viewer, const xpv_store_request_state *state),
			    xpv_store_viewer *viewer)
{
	std::uint64_t now = xpv_store_clock_ns();
	store().client.each_request([&](Request &request) {
		std::string_view path = request.path();
		xpv_store_request_state state = {
			.operation = operation_name(request.type),
			.state = state_names[static_cast<unsigned int>(request.state)],
			.id = request.id,
			.transaction = request.transaction.value,
			.age_ms = (now - request.since_ns) / 1000000,
			.path = path.data(),
			.path_length = path.size(),
		};
		show(viewer, &state);
	});
}

void xpv_store_each_transaction(void (*show)(xpv_store_viewer *viewer, const xpv_store_transaction_state *state),
				xpv_store_viewer *viewer)
{
	std::uint64_t now = xpv_now_ms();
	store().client.each_transaction([&](OpenTransaction &transaction) {
		xpv_store_transaction_state state = {
			.number = transaction.handle,
			.id = transaction.id,
			.lost = transaction.lost,
			.age_ms = now - transaction.since_ms,
		};
		show(viewer, &state);
	});
}

void xpv_store_each_watch(void (*show)(xpv_store_viewer *viewer, const xpv_store_watch_state *state),
			  xpv_store_viewer *viewer)
{
	store().watches.each([&](Watch &watch, bool running, bool registered) {
		xpv_store_watch_state state = {
			.path = watch.path.data(),
			.token = watch.token,
			.pending = static_cast<ListLink<WatchPendingLink> &>(watch).linked(),
			.running = running,
			.registered = registered,
			.events = watch.events,
			.callback = watch.callback,
		};
		show(viewer, &state);
	});
}
