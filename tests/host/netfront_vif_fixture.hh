/* SPDX-License-Identifier: GPL-2.0-only */
/* A vif, with the bus and the event channels as fakes. For one source of a program. */
#pragma once

#include <gtest/gtest.h>

#include <cstdarg>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gnttab/linux.h"
#include "netfront/vif.hh"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/gnttab.hh"
#include "tests/host/fake/netfront.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/netfront_backend.hh"

/* ---- The bus ---- */

struct xpv_device {
	std::map<std::string, std::string> own, backend;
	std::string id = "0", path = "device/vif/0", backend_path = "/local/domain/0/backend/vif/7/0", failure;
	xpv_device_context *context = nullptr;
	int read_error = 0, publish_error = 0;
	unsigned int parked = 0, reconnects = 0;
};
struct xpv_store_watch {
	xpv_store_watch_callback *callback;
	xpv_store_watch_context *context;
};

namespace xpv_test {

inline xpv_device *the_device;
inline std::map<std::string, xpv_store_watch *> store_watches;

inline int read_from(const std::map<std::string, std::string> &directory, xpv_store_read_item *items, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		auto found = directory.find(items[i].path);
		if (found == directory.end())
			items[i].result = -XEN_ENOENT;
		else if (found->second.size() >= items[i].size)
			items[i].result = -XEN_EMSGSIZE;
		else
			items[i].result = xpv_format(items[i].value, items[i].size, "%s", found->second.c_str());
	}
	return 0;
}

} // namespace xpv_test

using namespace xpv_test;

extern "C" {

void xpv_device_set_context(xpv_device *device, xpv_device_context *context)
{
	device->context = context;
}
xpv_device_context *xpv_device_get_context(const xpv_device *device)
{
	return device->context;
}
struct device *xpv_device_linux(xpv_device *)
{
	return nullptr;
}
const char *xpv_device_path(const xpv_device *device)
{
	return device->path.c_str();
}
const char *xpv_device_id(const xpv_device *device)
{
	return device->id.c_str();
}
const char *xpv_device_backend_path(const xpv_device *device)
{
	return device->backend_path.c_str();
}
xpv_domid xpv_device_backend_domain(const xpv_device *)
{
	return backend;
}
int xpv_device_read_backend(xpv_device *device, xpv_store_read_item *items, unsigned int count)
{
	return device->read_error ? device->read_error : read_from(device->backend, items, count);
}
int xpv_device_read_own(xpv_device *device, xpv_store_read_item *items, unsigned int count)
{
	return device->read_error ? device->read_error : read_from(device->own, items, count);
}
int xpv_device_publish(xpv_device *device, xpv_store_write_item *items, unsigned int count)
{
	for (unsigned int i = 0; i < count && !device->publish_error; i++)
		device->own[items[i].path] = items[i].value;
	return device->publish_error;
}
int xpv_device_initialised(xpv_device *device, xpv_store_write_item *items, unsigned int count)
{
	for (unsigned int i = 0; i < count && !device->publish_error; i++)
		device->own[items[i].path] = items[i].value;
	return device->publish_error;
}
void xpv_device_reconnect(xpv_device *device)
{
	device->reconnects++;
}
void xpv_device_parked(xpv_device *device, unsigned int pages)
{
	device->parked += pages;
}
void xpv_device_fail(xpv_device *device, int, const char *format, ...)
{
	char text[129];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	device->failure = text;
}
int xpv_store_read_many(xpv_store_transaction, xpv_store_read_item *items, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		EXPECT_TRUE(std::string(items[i].path).starts_with(the_device->backend_path + "/"));
		xpv_store_read_item relative = items[i];
		relative.path += the_device->backend_path.size() + 1;
		read_from(the_device->backend, &relative, 1);
		items[i].result = relative.result;
	}
	return 0;
}
int xpv_store_remove(xpv_store_transaction, const char *path)
{
	std::string key = std::string(path).substr(the_device->path.size() + 1);
	auto slash = key.find('/');
	std::string directory = slash == std::string::npos ? "" : key.substr(0, slash + 1);
	auto first = the_device->own.lower_bound(directory);
	if (first == the_device->own.end() || !first->first.starts_with(directory))
		return -XEN_ENOENT;
	the_device->own.erase(key);
	return 0;
}
int xpv_store_watch_register(const char *path, xpv_store_watch_callback *callback, xpv_store_watch_context *context,
			     xpv_store_watch **watch)
{
	*watch = store_watches[path] = new xpv_store_watch{ callback, context };
	return 0;
}
void xpv_store_watch_unregister(xpv_store_watch *watch)
{
	std::erase_if(store_watches, [=](const auto &entry) { return entry.second == watch; });
	delete watch;
}

} // extern "C"

/* ---- Event channels ---- */

struct xpv_event_channel {
	std::string name;
	xpv_event_handler *handler;
	xpv_event_context *context;
	uint32_t port;
	bool lost = false, awaits_eoi = false;
	unsigned int sent = 0, eois = 0, spurious = 0, rebound = 0;
};

namespace xpv_test {

inline std::map<uint32_t, xpv_event_channel *> channels; /* by port */
inline uint32_t last_port;
inline unsigned int channels_left;

} // namespace xpv_test

extern "C" {

int xpv_event_channel_alloc_unbound(xpv_domid, const xpv_event_channel_args *args, xpv_event_channel **channel)
{
	*channel = nullptr;
	if (channels_left == 0)
		return -XEN_ENOSPC;
	channels_left--;
	EXPECT_EQ(args->flags, XPV_EVENT_EXPLICIT_EOI);
	*channel = new xpv_event_channel{ args->name, args->handler, args->context, ++last_port };
	channels[last_port] = *channel;
	return 0;
}
void xpv_event_channel_close(xpv_event_channel *channel)
{
	if (!channel)
		return;
	channels_left++;
	channels.erase(channel->port);
	delete channel;
}
void xpv_event_channel_synchronize(xpv_event_channel *)
{
}
bool xpv_event_channel_lost(const xpv_event_channel *channel)
{
	return channel->lost;
}
int xpv_event_channel_rebind_unbound(xpv_event_channel *channel, xpv_domid)
{
	EXPECT_TRUE(channel->lost);
	channels.erase(channel->port);
	channel->port = ++last_port;
	channels[last_port] = channel;
	channel->lost = false;
	channel->rebound++;
	return 0;
}
xpv_port xpv_event_channel_port(const xpv_event_channel *channel)
{
	return { channel->port };
}
unsigned int xpv_event_channel_irq(const xpv_event_channel *channel)
{
	return 100 + channel->port;
}
int xpv_event_channel_notify(xpv_event_channel *channel)
{
	if (channel->lost)
		return -XEN_ENOTCONN;
	channel->sent++;
	return 0;
}
void xpv_event_channel_mask(xpv_event_channel *)
{
}
void xpv_event_channel_unmask(xpv_event_channel *)
{
}
void xpv_event_channel_spurious(xpv_event_channel *)
{
	ADD_FAILURE();
}
void xpv_event_channel_eoi(xpv_event_channel *channel, unsigned int flags)
{
	if (!std::exchange(channel->awaits_eoi, false))
		return;
	channel->eois++;
	channel->spurious += (flags & XPV_EOI_SPURIOUS) != 0;
}

} // extern "C"

/* ---- The fixture ---- */

namespace xpv_test {

class NetfrontVif : public testing::Test {
protected:
	void SetUp() override
	{
		xpv_fake_set_max_grant_frames(16);
		xpv_fake_reset();
		ASSERT_EQ(xpv_gnttab_load(), 0);
		allocations = fake::live_allocations();
		xpv_vifs_start();
		fake::netfront = {};
		fake::take_log();
		the_device = &device;
		channels_left = 100;
		device.own = { { "mac", "00:16:3e:01:02:03" }, { "handle", "0" } };
		device.backend = { { "feature-rx-copy", "1" },		 { "feature-sg", "1" },
				   { "feature-gso-tcpv4", "1" },	 { "feature-gso-tcpv6", "1" },
				   { "feature-ipv6-csum-offload", "1" }, { "feature-split-event-channels", "1" },
				   { "multi-queue-max-queues", "4" } };
	}
	void TearDown() override
	{
		EXPECT_TRUE(fake::netfront.netdevs.empty());
		EXPECT_TRUE(channels.empty());
		EXPECT_TRUE(store_watches.empty());
		EXPECT_TRUE(eventually([] { return grant_counts().parked == 0 && held_module() == 0; }));
		EXPECT_TRUE(fake::wait_for_work(5000));
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(grant_counts().free, grant_counts().total);
		EXPECT_EQ(xpv_fake_active_grants(), 0u);
		xpv_gnttab_unload();
	}

	/* ---- What the bus calls ---- */

	void probe() { ASSERT_EQ(xpv_vif_driver.probe(&device), 0); }
	void negotiate()
	{
		ASSERT_EQ(xpv_vif_driver.negotiate(&device), 0);
		attach();
	}
	void connect() { ASSERT_EQ(xpv_vif_driver.connect(&device), 0); }
	void come_up()
	{
		probe();
		negotiate();
		connect();
	}
	void connection_lost()
	{
		others.clear();
		xpv_vif_driver.connection_lost(&device);
	}
	/* Up to where the bus calls connection_lost(). */
	void restore()
	{
		xpv_vif_driver.hold(&device);
		EXPECT_EQ(xpv_vif_driver.drain(&device, xpv_now_ms()), 0);
		release();
		for (auto &[port, one] : channels)
			one->lost = true;
		restore_domain();
		xpv_vif_driver.go_on(&device, XPV_RESUME_RESTORED);
	}
	void disconnect()
	{
		release();
		xpv_vif_driver.disconnect(&device);
	}
	void go()
	{
		disconnect();
		xpv_vif_driver.remove(&device);
	}

	/* ---- The other end ---- */

	uint32_t key(const std::string &name) { return static_cast<uint32_t>(std::stoul(device.own.at(name))); }
	std::string directory(unsigned int queue)
	{
		return device.own.at("multi-queue-num-queues") == "1" ? "" : "queue-" + std::to_string(queue) + "/";
	}
	void attach()
	{
		unsigned int count = key("multi-queue-num-queues");
		others.clear();
		for (unsigned int i = 0; i < count; i++) {
			others.emplace_back(backend);
			others[i].attach_tx({ key(directory(i) + "tx-ring-ref") });
			others[i].attach_rx({ key(directory(i) + "rx-ring-ref") });
		}
	}
	void release()
	{
		for (NetBackend &one : others)
			one.release();
		others.clear();
	}
	xpv_event_channel &channel(const char *direction, unsigned int queue = 0)
	{
		return *channels.at(key(directory(queue) + "event-channel" + direction));
	}
	static void event(xpv_event_channel &channel)
	{
		channel.awaits_eoi = true;
		channel.handler(channel.context);
	}

	/* ---- Linux ---- */

	static xpv_netdev &netdev() { return *fake::netfront.netdevs.at(0); }
	static xpv_net_queue *queue(unsigned int i = 0) { return netdev().queues.at(i); }
	int transmit(unsigned int number, unsigned int i = 0)
	{
		xpv_tx_owner &owner = owners.try_emplace(number).first->second;
		owner.data = std::string(60, 'x');
		xpv_tx_packet packet = {};
		packet.owner = &owner;
		packet.length = 60;
		packet.segment_count = 1;
		packet.segments[0] = { {}, 0, 60, true };
		int room = xpv_tx_submit(queue(i), &packet);
		xpv_tx_push(queue(i));
		return room;
	}
	struct Polled {
		unsigned int transmitted = 0, received = 0;
	};
	/* As the NAPI poll of rx_linux.c. */
	static Polled poll(unsigned int i = 0)
	{
		Polled polled;
		do {
			xpv_tx_done done;
			xpv_tx_collect(queue(i), 0, &done);
			for (unsigned int k = 0; k < done.count; k++)
				done.owners[k]->released++;
			polled.transmitted += done.count;
			xpv_rx_batch batch;
			xpv_rx_collect(queue(i), 64, &batch);
			polled.received += batch.count;
			for (unsigned int k = 0; k < batch.count; k++)
				for (unsigned int n = 0; batch.packets[k].owned && n < batch.packets[k].piece_count; n++)
					xpv_rx_page_put(&netdev().halves[i], batch.packets[k].pieces[n].page);
			xpv_rx_refill(queue(i));
		} while (xpv_rx_arm(queue(i)));
		xpv_net_queue_end_of_interrupt(queue(i));
		return polled;
	}

	std::size_t allocations = 0;
	xpv_device device;
	std::deque<NetBackend> others; /* by queue */
	std::map<unsigned int, xpv_tx_owner> owners;
};

} // namespace xpv_test
