// SPDX-License-Identifier: GPL-2.0-only
/* The store client with its threads and works, over a page whose other side answers whoever rings. */
#include "tests/kunit/xenbus_kunit.h"

#include "lib/guard.hh"
#include "lib/memory.hh"
#include "xenbus/store/watch.hh"
#include "tests/kunit/check.h"

namespace {

using namespace xpv;

constexpr unsigned int wait_ms = 10;
constexpr unsigned int waits = 500;

/* Answers each request: XS_READ with the path, all else with "OK"; and each XS_WATCH with an event, too. */
class Peer {
public:
	Peer() : table(client) {}
	Peer(const Peer &) = delete;
	Peer &operator=(const Peer &) = delete;
	~Peer()
	{
		client.stop();
		table.stop();
	}
	[[nodiscard]] Status start()
	{
		client.set_watchdog(wait_ms);
		XPV_TRY(table.start());
		return client.start(&page,
				    { [](Doorbell::Context *peer) { reinterpret_cast<Peer *>(peer)->rung(); },
				      reinterpret_cast<Doorbell::Context *>(this) },
				    table.sink());
	}
	[[nodiscard]] bool calls_become(unsigned int count)
	{
		for (unsigned int i = 0; i < waits && read_once(calls) < count; i++)
			xpv_sleep_ms(wait_ms);
		return read_once(calls) == count;
	}
	/* The caller of Call::wait() has it as long as the call lives, so compare here. */
	[[nodiscard]] bool reads(std::string_view path)
	{
		const std::string_view parts[] = { path };
		auto call = client.submit(XS_READ, XPV_STORE_NO_TRANSACTION, parts, 64);
		if (!call.ok())
			return false;
		auto value = call.value().wait();
		return value.ok() && value.value() == path;
	}

	xenstore_domain_interface page = {};
	Client client;
	WatchTable table;
	unsigned int calls = 0; /* of watches */
	bool silent = false;
	unsigned int resets = 0;

	static void called(xpv_store_watch_context *context, const char *)
	{
		auto *peer = reinterpret_cast<Peer *>(context);
		write_once(peer->calls, peer->calls + 1);
	}

private:
	void rung()
	{
		bool answered;
		{
			MutexGuard guard(mutex_);
			answered = serve();
		}
		if (answered)
			static_cast<void>(client.on_event());
	}
	bool serve()
	{
		if (read_once(page.connection) == XENSTORE_RECONNECT) {
			page.req_prod = page.req_cons = page.rsp_prod = page.rsp_cons = 0;
			page.error = 0;
			resets++;
			store_release(page.connection, XENSTORE_CONNECTED);
			return true;
		}
		if (read_once(silent))
			return false;
		bool answered = false;
		while (load_acquire(page.req_prod) - page.req_cons >= sizeof(xsd_sockmsg)) {
			xsd_sockmsg header;
			take(&header, sizeof(header));
			take(body_, header.len);
			std::string_view body(body_, header.len);
			if (header.type == XS_READ)
				say(XS_READ, header.req_id, body);
			else
				say(header.type, header.req_id, std::string_view("OK", 3));
			if (header.type == XS_WATCH)
				say(XS_WATCH_EVENT, 0, body);
			answered = true;
		}
		return answered;
	}
	void take(void *bytes, std::size_t size)
	{
		for (std::size_t i = 0; i < size; i++)
			static_cast<char *>(bytes)[i] = page.req[MASK_XENSTORE_IDX(page.req_cons++)];
	}
	void say(std::uint32_t type, std::uint32_t id, std::string_view payload)
	{
		xsd_sockmsg header = { type, id, 0, static_cast<std::uint32_t>(payload.size()) };
		std::uint32_t at = page.rsp_prod;
		for (std::size_t i = 0; i < sizeof(header); i++)
			page.rsp[MASK_XENSTORE_IDX(at++)] = reinterpret_cast<char *>(&header)[i];
		for (char byte : payload)
			page.rsp[MASK_XENSTORE_IDX(at++)] = byte;
		store_release(page.rsp_prod, at);
	}

	Mutex mutex_{ "kunit store"_lock };
	char body_[XENSTORE_RING_SIZE];
};

} // namespace

const char *xpv_xenbus_test_client(void)
{
	auto made = make<Peer>(XPV_MAY_SLEEP);
	CHECK(made.ok());
	Peer &peer = *made.value();
	CHECK(peer.start().ok());
	for (unsigned int i = 0; i < 100; i++)
		CHECK(peer.reads("a/path"));
	auto watch = peer.table.add("node", Peer::called, reinterpret_cast<xpv_store_watch_context *>(&peer));
	CHECK(watch.ok());
	CHECK(peer.calls_become(1));
	peer.table.remove(watch.value());
	xpv_store_counts counts = {};
	peer.client.counts(counts);
	CHECK(counts.in_flight == 0 && counts.timed_out == 0 && counts.watch_events == 1);
	return nullptr;
}

/*
 * Case 32. xenstored is silent for longer than requests may take, and then
 * answers them all. A client without a limit hangs its callers, and one that
 * forgets its late requests completes others with their replies. They must time
 * out, and the next request get its own reply.
 */
const char *xpv_xenbus_test_client_timeout(void)
{
	auto made = make<Peer>(XPV_MAY_SLEEP);
	CHECK(made.ok());
	Peer &peer = *made.value();
	CHECK(peer.start().ok());
	peer.client.set_timeout(5 * wait_ms);
	write_once(peer.silent, true);
	const std::string_view parts[] = { std::string_view("", 1) };
	CHECK(peer.client.perform(XS_TRANSACTION_START, XPV_STORE_NO_TRANSACTION, parts).code() == -XEN_ETIMEDOUT);
	CHECK(!peer.reads("late"));
	write_once(peer.silent, false);
	peer.client.set_timeout(60000);
	/* Among the late answers is one that opens no transaction. */
	CHECK(peer.reads("in time"));
	return nullptr;
}

/*
 * Cases 28 to 30. xenstored sets the error field, and offers a new connection.
 * A client that only reads replies waits for ever, and one that reconnects
 * without its watches is deaf. It must reconnect once, register the watch
 * again, and go on.
 */
const char *xpv_xenbus_test_client_reconnects(void)
{
	auto made = make<Peer>(XPV_MAY_SLEEP);
	CHECK(made.ok());
	Peer &peer = *made.value();
	peer.page.server_features = XENSTORE_SERVER_FEATURE_RECONNECTION;
	CHECK(peer.start().ok());
	auto watch = peer.table.add("node", Peer::called, reinterpret_cast<xpv_store_watch_context *>(&peer));
	CHECK(watch.ok());
	CHECK(peer.calls_become(1));
	write_once(peer.page.error, XENSTORE_ERROR_COMM);
	/* Registered anew, and called once more. */
	CHECK(peer.calls_become(2));
	CHECK(peer.resets == 1);
	CHECK(peer.reads("after"));
	peer.table.remove(watch.value());
	return nullptr;
}

const char *xpv_xenbus_test_client_restored(void)
{
	auto made = make<Peer>(XPV_MAY_SLEEP);
	CHECK(made.ok());
	Peer &peer = *made.value();
	CHECK(peer.start().ok());
	auto watch = peer.table.add("node", Peer::called, reinterpret_cast<xpv_store_watch_context *>(&peer));
	CHECK(watch.ok());
	CHECK(peer.calls_become(1));
	CHECK(peer.client.pause(xpv::Deadline::after(20000)).ok());
	peer.page.req_prod = peer.page.req_cons = 0x1234;
	peer.page.rsp_prod = peer.page.rsp_cons = 0xffffff00;
	CHECK(peer.client.restart(&peer.page).ok());
	CHECK(peer.calls_become(2));
	CHECK(peer.reads("after"));
	/* And a suspend that was none. */
	CHECK(peer.client.pause(xpv::Deadline::after(20000)).ok());
	peer.client.unpause();
	CHECK(peer.reads("again"));
	CHECK(read_once(peer.calls) == 2);
	peer.table.remove(watch.value());
	return nullptr;
}
