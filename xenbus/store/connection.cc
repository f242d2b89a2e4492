// SPDX-License-Identifier: GPL-2.0-only
/* xenstore's page and port in this domain, and the client that uses them from load to unload. */
#include "evtchn/evtchn.hh"
#include "evtchn/toolstack_channel.hh"

#include <xen/hvm/params.h>

#include "lib/log.hh"
#include "xenbus/store/store.hh"
#include "xenbus/store_owned.h"

using namespace xpv;

namespace xpv {

namespace {

struct Connection : Doorbell::Context, xpv_event_context {
	Connection() = default;
	Connection(const Connection &) = delete;
	Connection &operator=(const Connection &) = delete;
	~Connection();

	[[nodiscard]] Status open(unsigned int timeout_ms);
	/* Reconnect in a restored domain. */
	[[nodiscard]] Status reopen();

	Store store;
	ToolstackChannel channel{ { HVM_PARAM_STORE_PFN, HVM_PARAM_STORE_EVTCHN }, "xenstore ring" };

private:
	[[nodiscard]] xenstore_domain_interface *page() const
	{
		return static_cast<xenstore_domain_interface *>(channel.page());
	}
};

constinit Connection *the_connection;

/* Drop watches that another kernel or an earlier load left registered with xenstored. */
void reset_watches()
{
	/* Xen before 4.0 mishandles this request. The toolstack writes this node where it works. */
	char offered[8];
	int length = xpv_store_read(XPV_STORE_NO_TRANSACTION, "control/platform-feature-xs_reset_watches", offered,
				    sizeof(offered));
	if (length <= 0 || offered[0] != '1')
		return;
	Status reset = status(xpv_store_reset_watches());
	/* Old watches only cost time: their events are dropped, because their tokens are unknown. */
	if (!reset.ok())
		XPV_NOTICE("XS_RESET_WATCHES failed (%pe), xenstored keeps watches of an earlier user",
			   err_ptr(reset.code()));
}

void ring(Doorbell::Context *context)
{
	/* Fails only if Xen has closed the port; then the request times out. */
	ignore(static_cast<Connection *>(context)->channel.notify());
}

void on_event(xpv_event_context *context)
{
	auto *connection = static_cast<Connection *>(context);
	xpv_event_channel *channel = connection->channel.channel();
	if (!connection->store.client.on_event() && channel)
		xpv_event_channel_spurious(channel);
}

Status Connection::open(unsigned int timeout_ms)
{
	/* Events before the client's start are ignored: its link is closed. */
	const xpv_event_channel_args
		args = { .name = "xenstore", .flags = XPV_EVENT_THREADED, .handler = on_event, .context = this };
	Status found = channel.open(args);
	if (!found.ok()) {
		XPV_ERR("xenstore ring: cannot open it (%pe)", err_ptr(found.code()));
		return found;
	}
	store.client.set_timeout(timeout_ms);
	XPV_TRY(store.watches.start());
	return store.client.start(page(), Doorbell{ ring, this }, store.watches.sink());
}

/* The client must be paused, so that it uses neither port nor page. */
Status Connection::reopen()
{
	Status found = channel.find_again();
	if (!found.ok()) {
		XPV_ERR("xenstore ring: cannot find it after the restore (%pe)", err_ptr(found.code()));
		store.client.close();
		return found;
	}
	return store.client.restart(page());
}

Connection::~Connection()
{
	store.client.stop();
	channel.close();
	store.watches.stop();
}

} // namespace

} // namespace xpv

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

void xpv_store_stop()
{
	Owned<Connection> connection(std::exchange(the_connection, nullptr));
	connection.reset();
	set_store(nullptr);
}

int xpv_store_pause(uint64_t deadline_ms)
{
	return the_connection->store.client.pause(Deadline::at(deadline_ms)).code();
}

void xpv_store_unpause()
{
	the_connection->store.client.unpause();
}

int xpv_store_reconnect()
{
	return the_connection->reopen().code();
}
