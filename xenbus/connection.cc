// SPDX-License-Identifier: GPL-2.0-only
/* The store's page and port in this domain, and what runs over them from load to unload. */
#include "hypervisor/hypercall.hh"

#include <xen/hvm/params.h>

#include "evtchn/evtchn.h"
#include "hypervisor/window.h"
#include "lib/log.hh"
#include "xenbus/store.hh"
#include "xenbus/store_owned.h"

namespace xpv {

namespace {

struct Connection : Doorbell::Context {
	Connection() = default;
	Connection(const Connection &) = delete;
	Connection &operator=(const Connection &) = delete;
	~Connection();

	[[nodiscard]] Status open(unsigned int timeout_ms);
	/* In a restored domain. */
	[[nodiscard]] Status reopen();

	std::uint64_t frame = 0; /* in the window */
	xpv_window *window = nullptr;
	xpv_event_channel *channel = nullptr;
	Store store;

private:
	[[nodiscard]] Status find_again();
	[[nodiscard]] xenstore_domain_interface *page() const
	{
		return static_cast<xenstore_domain_interface *>(xpv_window_address(window));
	}
};

constinit Connection *the_connection;

/* What another kernel, or an earlier load, left registered with the store. */
void reset_watches()
{
	/* Xen before 4.0 answers this request badly; the toolstack says where it does not. */
	char offered[8];
	int length = xpv_store_read(XPV_STORE_NO_TRANSACTION, "control/platform-feature-xs_reset_watches", offered,
				    sizeof(offered));
	if (length <= 0 || offered[0] != '1')
		return;
	Status reset = status(xpv_store_reset_watches());
	/* They only cost: their events are dropped by their tokens. */
	if (!reset.ok())
		XPV_NOTICE("old watches stay in the store (error %d)", reset.error().number());
}

void ring(Doorbell::Context *context)
{
	/* Fails only when Xen knows no such port any more; then the request's deadline tells. */
	if (xpv_event_channel *channel = read_once(static_cast<Connection *>(context)->channel))
		ignore(status(xpv_event_channel_notify(channel)));
}

void on_event(xpv_event_context *context)
{
	auto *connection = reinterpret_cast<Connection *>(context);
	xpv_event_channel *channel = read_once(connection->channel);
	if (!connection->store.client.on_event() && channel)
		xpv_event_channel_spurious(channel);
}

struct Place {
	std::uint64_t frame;
	Port port;
};

/* As Xen tells it now. */
Result<Place> find_store()
{
	std::uint64_t frame = XPV_TRY(hvm_get_param(HVM_PARAM_STORE_PFN));
	std::uint64_t port = XPV_TRY(hvm_get_param(HVM_PARAM_STORE_EVTCHN));
	if (frame == 0 || frame == ~std::uint64_t{ 0 } || port == 0 || port > UINT32_MAX) {
		XPV_ERR("this domain has no connection to the store");
		return Error(XEN_ENODEV);
	}
	return Place{ frame, Port{ static_cast<std::uint32_t>(port) } };
}

Status Connection::open(unsigned int timeout_ms)
{
	Place place = XPV_TRY(find_store());
	frame = place.frame;
	window = xpv_window_create(1, "xenstore ring");
	if (!window)
		return Error(XEN_ENOMEM);
	XPV_TRY(status(xpv_window_map(window, 0, Pfn{ frame }, XPV_WINDOW_READ_WRITE)));
	/* Events that come before the client is started find it not running. */
	const xpv_event_channel_args args = { .name = "xenstore",
					      .flags = XPV_EVENT_THREADED,
					      .handler = on_event,
					      .context = reinterpret_cast<xpv_event_context *>(this) };
	XPV_TRY(status(xpv_event_channel_adopt(place.port, &args, &channel)));
	store.client.set_timeout(timeout_ms);
	XPV_TRY(store.watches.start());
	return store.client.start(page(), Doorbell{ ring, this },
				  store.watches.sink());
}

/* The page is where it was, unless the toolstack is a strange one; the port is another. */
Status Connection::find_again()
{
	Place place = XPV_TRY(find_store());
	if (place.frame != frame) {
		XPV_TRY(status(xpv_window_unmap(window, 0)));
		XPV_TRY(status(xpv_window_map(window, 0, Pfn{ place.frame }, XPV_WINDOW_READ_WRITE)));
		frame = place.frame;
	}
	return status(xpv_event_channel_rebind_adopted(channel, place.port));
}

/* The client is paused: nobody rings, nor looks at the page. */
Status Connection::reopen()
{
	Status found = find_again();
	if (!found.ok()) {
		XPV_ERR("no store after the restore (error %d)", found.error().number());
		store.client.close();
		return found;
	}
	return store.client.restart(page());
}

Connection::~Connection()
{
	store.client.stop();
	xpv_event_channel_close(channel);
	store.watches.stop();
	xpv_window_destroy(window);
}

} // namespace

} // namespace xpv

using namespace xpv;

int xpv_store_start(unsigned int timeout_ms)
{
	auto made = make<Connection>(XPV_MAY_SLEEP);
	if (!made.ok())
		return made.code();
	Owned<Connection> connection = made.take();
	Status opened = connection->open(timeout_ms);
	if (!opened.ok())
		return opened.code();
	set_store(&connection->store);
	the_connection = connection.release();
	reset_watches();
	return 0;
}

void xpv_store_stop(void)
{
	Owned<Connection> connection(std::exchange(the_connection, nullptr));
	connection.reset();
	set_store(nullptr);
}

int xpv_store_pause(uint64_t deadline_ms)
{
	return the_connection->store.client.pause(Deadline::at(deadline_ms)).code();
}

void xpv_store_unpause(void)
{
	the_connection->store.client.unpause();
}

int xpv_store_reconnect(void)
{
	return the_connection->reopen().code();
}
