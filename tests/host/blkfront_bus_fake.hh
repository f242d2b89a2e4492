/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device bus and the event channels as blkfront calls them, for its tests. It
 * defines them, in place of the modules: include it once in a program.
 */
#pragma once

#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdio>
#include <map>
#include <string>

#include "evtchn/evtchn.h"
#include "lib/result.hh"
#include "lib/shim.h"
#include "tests/host/fake/gnttab.hh"
#include "xenbus/xenbus.h"

/* ---- The bus ---- */

struct xpv_device {
	std::map<std::string, std::string> own, backend;
	std::string id = "51712", path = "device/vbd/51712", failure;
	xpv_device_context *context = nullptr;
	int read_error = 0, publish_error = 0;
	unsigned int retired = 0, parked = 0;
};

namespace xpv_test {

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
xpv_domid xpv_device_backend_domain(const xpv_device *)
{
	return xpv_test::backend;
}
int xpv_device_read_backend(xpv_device *device, xpv_store_read_item *items, unsigned int count)
{
	return device->read_error ? device->read_error : xpv_test::read_from(device->backend, items, count);
}
int xpv_device_read_own(xpv_device *device, xpv_store_read_item *items, unsigned int count)
{
	return device->read_error ? device->read_error : xpv_test::read_from(device->own, items, count);
}
int xpv_device_publish(xpv_device *device, xpv_store_write_item *items, unsigned int count)
{
	for (unsigned int i = 0; i < count && !device->publish_error; i++)
		device->own[items[i].path] = items[i].value;
	return device->publish_error;
}
int xpv_device_initialised(xpv_device *device, xpv_store_write_item *items, unsigned int count)
{
	return xpv_device_publish(device, items, count);
}
void xpv_device_retired(xpv_device *device)
{
	device->retired++;
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

} // extern "C"

/* ---- The event channel ---- */

struct xpv_event_channel {
	xpv_event_handler *handler;
	xpv_event_context *context;
	bool lost = false;
	unsigned int sent = 0, masked = 0, spurious = 0, rebound = 0;
};

namespace xpv_test {

inline xpv_event_channel *the_channel = nullptr;
inline int channel_error = 0;

} // namespace xpv_test

extern "C" {

int xpv_event_channel_alloc_unbound(xpv_domid, const xpv_event_channel_args *args, xpv_event_channel **channel)
{
	if (xpv_test::channel_error)
		return xpv_test::channel_error;
	*channel = xpv_test::the_channel = new xpv_event_channel{ args->handler, args->context };
	return 0;
}
void xpv_event_channel_close(xpv_event_channel *channel)
{
	if (xpv_test::the_channel == channel)
		xpv_test::the_channel = nullptr;
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
	if (!xpv_test::channel_error) {
		channel->lost = false;
		channel->rebound++;
	}
	return xpv_test::channel_error;
}
xpv_port xpv_event_channel_port(const xpv_event_channel *)
{
	return { 17 };
}
int xpv_event_channel_notify(xpv_event_channel *channel)
{
	channel->sent++;
	return 0;
}
void xpv_event_channel_mask(xpv_event_channel *channel)
{
	channel->masked++;
}
void xpv_event_channel_spurious(xpv_event_channel *channel)
{
	channel->spurious++;
}

} // extern "C"
