/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interface between the protocols (C++) and Linux's side (C: *_linux.c) of this
 * module: xenstore, the bus, and /dev/xen/xenbus.
 */
#ifndef XPV_XENBUS_LINUX_H
#define XPV_XENBUS_LINUX_H

#include "hypervisor/suspend_part.h"
#include "lib/debugfs.h"
#include "lib/types.h"
#include "xenbus/xenbus.h"

#ifdef __cplusplus
extern "C" {
#endif

struct xpv_linux_device; /* in C: the device as Linux knows it */
struct xpv_store_node; /* in C: an open file of /dev/xen/xenbus */
struct xpv_store_user; /* in C++: its user */

/* ---- C calls C++: xenstore (store/) ---- */

struct xpv_store_counts {
	uint64_t sent; /* requests written to the ring */
	uint64_t answered;
	uint64_t timed_out;
	uint64_t dropped; /* replies without a waiting request, and malformed events */
	uint64_t watch_events;
	uint64_t losses; /* of the connection */
	uint64_t reconnections;
	uint32_t in_flight;
	uint32_t queued; /* not in the ring yet */
	uint32_t watches;
	bool dead; /* the connection failed, requests end with -EIO */
	const char *link; /* "up", "lost" ... */
	/* Fields of the ring page; 0 while the page is not in use. */
	uint32_t request_consumed, request_produced;
	uint32_t response_consumed, response_produced;
	uint32_t server_features, connection, error;
};

/* Connect to xenstored; -ENODEV if the domain has no xenstore ring. Sleeping context. */
int xpv_store_start(unsigned int timeout_ms);
/* Disconnect. No call may be in progress. Sleeping context. */
void xpv_store_stop(void);
void xpv_store_get_counts(struct xpv_store_counts *counts);

/*
 * Quiesce the ring before a suspend: wait until no request is in flight; later
 * requests wait. -ETIMEDOUT, with nothing changed, if xenstored has not replied
 * by the deadline. xpv_store_unpause() or xpv_store_reconnect() must follow.
 * Sleeping context.
 */
int xpv_store_pause(uint64_t deadline_ms);
/* Resume if the suspend was refused or cancelled. Sleeping context. */
void xpv_store_unpause(void);
/*
 * Reconnect in the restored domain, with event channels working: read page and
 * port again, send waiting requests, and register all watches in one burst;
 * xenstored sends one event for each. Requests that belong to a transaction end
 * with -EAGAIN. On an error all requests fail with -EIO. Sleeping context.
 */
int xpv_store_reconnect(void);

/* Show the connection to xenstored and what is in progress, for debugfs. Sleeping context. */
void xpv_store_show(struct xpv_debug_sink *sink);
/* Return the name of a request type, e.g. "XS_READ". */
const char *xpv_store_operation_name(uint32_t type);

/* ---- C calls C++: the bus (bus/) ---- */

/* Start to discover devices. Sleeping context. */
int xpv_bus_start(void);
/* Stop discovery, and remove all devices. Sleeping context. */
void xpv_bus_stop(void);

/*
 * Quiesce the bus before a suspend: block new scans of xenstore and device
 * transitions, wait for those in progress, then stop all devices and wait for
 * their requests in flight, until `deadline_ms` (xpv_now_ms()). -ETIMEDOUT or a
 * device's error, with everything resumed. Sleeping context.
 */
int xpv_bus_hold(uint64_t deadline_ms);
/*
 * Resume the bus and its devices after xpv_bus_hold(); in a restored domain
 * call xpv_bus_restored() first. Sleeping context.
 */
void xpv_bus_go_on(void);
/*
 * Mark every device's connection as lost, after a restore. Each device then
 * connects to the backend that xenstore names now. Sleeping context.
 */
void xpv_bus_restored(void);
/* Schedule a scan of xenstore for devices. Any context. */
void xpv_bus_rescan(void);
/* This module's part in a suspend. Register it after both starts, unregister it before both stops. */
extern struct xpv_suspend_part xpv_xenbus_suspend_part;

/* Free the device, after the last reference to Linux's device was dropped. Any context that may free memory. */
void xpv_device_release(struct xpv_device *device);
/* Bind a driver that Linux matched with the device. Called with Linux's device lock held. */
int xpv_device_bind(struct xpv_device *device, const struct xpv_frontend_driver *driver);
/* Unbind the driver. Called with Linux's device lock held. */
void xpv_device_unbind(struct xpv_device *device);
/* Start to close all devices of a driver that is being unregistered, so that they close in parallel. */
void xpv_bus_prepare_unregister(const struct xpv_frontend_driver *driver);

/* As xpv_device_fail(), without a format. */
void xpv_device_fail_text(struct xpv_device *device, int error, const char *text);
/* Return the device's type, e.g. "vbd". Any context. */
const char *xpv_device_type(const struct xpv_device *device);

/* ---- C calls C++: /dev/xen/xenbus (node/), one user for each open file ---- */

/* Allocate the table of users. Call after xpv_store_start(). Sleeping context. */
int xpv_store_users_start(void);
/* Wait until the last user's work is done. Call before xpv_store_stop(). Sleeping context. */
void xpv_store_users_stop(void);

/* Create a user. xpv_store_node_wake() is called for `node` until the user is closed. Sleeping context. */
int xpv_store_user_open(struct xpv_store_node *node, struct xpv_store_user **user);
/*
 * Close a user without waiting: its watches and transactions are ended in the
 * background. No other call for this user may be in progress, or follow.
 */
void xpv_store_user_close(struct xpv_store_user *user);
/*
 * Take bytes of requests, split in any way. Returns how many were taken: fewer
 * than `size`, perhaps 0, if too many requests wait for a reply. -E2BIG, -ENOMEM:
 * the partial request is dropped. The caller serialises the calls. Sleeping
 * context.
 */
long xpv_store_user_write(struct xpv_store_user *user, const void *bytes, size_t size);
/* Return whether the next xpv_store_user_write() would take something. Any context. */
bool xpv_store_user_writable(struct xpv_store_user *user);
/*
 * Return the next bytes to read, which stay valid until they are skipped, and
 * their count; 0 if there is nothing to read yet; -EIO if a reply was lost for
 * lack of memory, and nothing more will follow. The caller serialises this with
 * xpv_store_user_skip(). Any context.
 */
long xpv_store_user_peek(struct xpv_store_user *user, const void **bytes);
/* Consume bytes that xpv_store_user_peek() returned. Any context. */
void xpv_store_user_skip(struct xpv_store_user *user, size_t size);

/* ---- C++ calls C ---- */

/* Tracepoints (xenbus/store/trace.h), and the clock for their durations. Any context. Texts with a length need no NUL. */
void xpv_trace_store_request(uint32_t type, uint32_t transaction, uint32_t id, const char *path, size_t length);
void xpv_trace_store_reply(uint32_t type, uint32_t transaction, uint32_t id, const char *path, size_t length,
			   int result, uint64_t nanoseconds);
void xpv_trace_store_watch(const char *path, size_t length, const char *token, size_t token_length);
void xpv_trace_store_watch_called(const char *path, uint64_t nanoseconds);
uint64_t xpv_store_clock_ns(void);

/* Wake readers and writers: data or room may be available. Any context, called with a spinlock held. */
void xpv_store_node_wake(struct xpv_store_node *node);

/* The rest: sleeping context. */

/* Allocate Linux's device, without adding it. On 0, the last xpv_linux_device_put() calls xpv_device_release(). */
int xpv_linux_device_make(struct xpv_device *device, const char *name, struct xpv_linux_device **linux_device);
/* Add the device to Linux. A driver may be bound, and its functions called, before this returns. */
int xpv_linux_device_add(struct xpv_linux_device *linux_device);
/*
 * Unbind the driver and remove the device from Linux. Until its release Linux
 * may hold references, and may call xpv_device_type() and similar functions.
 */
void xpv_linux_device_del(struct xpv_linux_device *linux_device);
void xpv_linux_device_put(struct xpv_linux_device *linux_device);
struct device *xpv_linux_device_get(struct xpv_linux_device *linux_device);

/* ---- C calls C. Sleeping context. ---- */

/* Register and unregister the bus type and its root device. */
int xpv_bus_linux_start(void);
void xpv_bus_linux_stop(void);
/* Wait until Linux has released all devices, after xpv_bus_stop(). */
void xpv_bus_linux_wait(void);
/* Register and unregister the misc device. */
int xpv_store_node_register(void);
void xpv_store_node_unregister(void);
/* Add and remove the files in debugfs. xenstore must be connected in between. */
void xpv_xenbus_debug_start(void);
void xpv_xenbus_debug_stop(void);

#ifdef __cplusplus
}
#endif

#endif
