/* SPDX-License-Identifier: GPL-2.0-only */
/* Between xenbus_linux.c and the C++ of this module; nobody else's business. */
#ifndef XPV_XENBUS_LINUX_H
#define XPV_XENBUS_LINUX_H

#include "hypervisor/suspend_part.h"
#include "lib/debugfs.h"
#include "lib/types.h"
#include "xenbus/xenbus.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- C++, called from C ---- */

struct xpv_store_counts {
	uint64_t sent; /* requests written to the ring */
	uint64_t answered;
	uint64_t timed_out;
	uint64_t dropped; /* answers nobody waits for, and malformed events */
	uint64_t watch_events;
	uint64_t losses; /* of the connection */
	uint64_t reconnections;
	uint32_t in_flight;
	uint32_t queued; /* waiting for their turn */
	uint32_t watches;
	bool dead; /* the connection is given up */
	const char *link; /* "up", "lost" ... */
	/* The ring page, while it is looked at; else 0. */
	uint32_t request_consumed, request_produced;
	uint32_t response_consumed, response_produced;
	uint32_t server_features, connection, error;
};

/* Connect to the store; -ENODEV where there is none. Sleeping context. */
int xpv_store_start(unsigned int timeout_ms);
/* No calls are under way. Sleeping context. */
void xpv_store_stop(void);
void xpv_store_get_counts(struct xpv_store_counts *counts);

/*
 * For a suspend, all in a sleeping context. pause() waits until no request is
 * in flight (-ETIMEDOUT if xenstored does not answer until the deadline, and
 * nothing has changed); requests that are made after it wait. Then either unpause(),
 * when there was no suspend or it was cancelled; or, in the restored domain
 * with event channels working, reconnect(), which looks for page and port
 * anew, sends what waits, and has all watches registered in one burst, each
 * followed by the event that the store sends for a new watch. Requests that
 * belong to a transaction end with -EAGAIN. On an error of reconnect() all
 * requests fail with -EIO.
 */
int xpv_store_pause(uint64_t deadline_ms);
void xpv_store_unpause(void);
int xpv_store_reconnect(void);

/* The link to xenstored and what is under way, for debugfs. Sleeping context. */
void xpv_store_show(struct xpv_debug_sink *sink);
/* "XS_READ". */
const char *xpv_store_operation_name(uint32_t type);

/* Discover devices until stopped. Sleeping context. */
int xpv_bus_start(void);
/* All devices are gone when this returns. Sleeping context. */
void xpv_bus_stop(void);

/*
 * Before a suspend: admit no scan of xenstore and no step of a device, wait
 * until none is under way, then stop all devices and wait for what is in
 * flight. By `deadline_ms` (xpv_now_ms()); -ETIMEDOUT, or a device's error, and
 * all is as before. Sleeping context.
 */
int xpv_bus_hold(uint64_t deadline_ms);
/*
 * After xpv_bus_hold(), and after xpv_bus_restored() where the domain is a new
 * one: let the devices and the bus continue. Sleeping context.
 */
void xpv_bus_go_on(void);
/*
 * The domain is a new one: every device has lost its connection, and shakes
 * hands with the backend that xenstore names now. Sleeping context.
 */
void xpv_bus_restored(void);
/* Scan xenstore for devices again, soon. Any context. */
void xpv_bus_rescan(void);
/* What this module does in a suspend; registered after both starts and until before both stops. */
extern struct xpv_suspend_part xpv_xenbus_suspend_part;

/* Nothing refers to Linux's device any more. Any context that may free memory. */
void xpv_device_release(struct xpv_device *device);
/* Linux matched the device with a driver; or takes it away. Under Linux's lock of the device. */
int xpv_device_bind(struct xpv_device *device, const struct xpv_frontend_driver *driver);
void xpv_device_unbind(struct xpv_device *device);
/* A driver is going: all its devices may start to close at once, without waiting for one another. */
void xpv_bus_prepare_unregister(const struct xpv_frontend_driver *driver);

/* As xpv_device_fail(). */
void xpv_device_fail_text(struct xpv_device *device, int error, const char *text);
/* "vbd". Any context. */
const char *xpv_device_type(const struct xpv_device *device);

/* ---- C, called from C++ ---- */

/* Tracepoints (xenbus/trace.h), and the clock of their durations. Any context. Texts need no NUL. */
void xpv_trace_store_request(uint32_t type, uint32_t transaction, uint32_t id, const char *path, size_t length);
void xpv_trace_store_reply(uint32_t type, uint32_t transaction, uint32_t id, const char *path, size_t length,
			   int result, uint64_t nanoseconds);
void xpv_trace_store_watch(const char *path, size_t length, const char *token, size_t token_length);
void xpv_trace_store_watch_called(const char *path, uint64_t nanoseconds);
uint64_t xpv_store_clock_ns(void);

/* The rest: sleeping context. */

struct xpv_linux_device;
/* Linux's device, not shown yet. On 0, the last xpv_linux_device_put() leads to xpv_device_release(). */
int xpv_linux_device_make(struct xpv_device *device, const char *name, struct xpv_linux_device **linux_device);
/* Show it; a driver may be bound, and more called, before this returns. */
int xpv_linux_device_add(struct xpv_linux_device *linux_device);
/* Unbind the driver and hide it. Linux may refer to it, and call xpv_device_type() and the like, until it is released. */
void xpv_linux_device_del(struct xpv_linux_device *linux_device);
void xpv_linux_device_put(struct xpv_linux_device *linux_device);
struct device *xpv_linux_device_get(struct xpv_linux_device *linux_device);

/* ---- /dev/xen/xenbus: one user for each time it is open ---- */

struct xpv_store_user; /* C++ */
struct xpv_store_node; /* C */

/* Between xpv_store_start() and xpv_store_stop(); stop waits until the last user's work is done. Sleeping context. */
int xpv_store_users_start(void);
void xpv_store_users_stop(void);

/* `node` is told of changes until the user is closed. Sleeping context. */
int xpv_store_user_open(struct xpv_store_node *node, struct xpv_store_user **user);
/*
 * Waits for nobody: what the user has in the store is ended in the
 * background. No other call for the user is under way, nor made later.
 */
void xpv_store_user_close(struct xpv_store_user *user);
/*
 * Take requests, in whatever pieces they come. Returns how many bytes were
 * taken: fewer, perhaps 0, when enough requests wait for an answer. -E2BIG,
 * -ENOMEM: what was begun is forgotten. Calls are the caller's to serialise.
 * Sleeping context.
 */
long xpv_store_user_write(struct xpv_store_user *user, const void *bytes, size_t size);
/* Whether the next xpv_store_user_write() takes something. Any context. */
bool xpv_store_user_writable(struct xpv_store_user *user);
/*
 * The next bytes to read, which stay where they are until they are skipped.
 * Returns how many there are; 0: none yet; -EIO: an answer was lost for want
 * of memory, and nothing more will come. Both are the caller's to serialise.
 * Any context.
 */
long xpv_store_user_peek(struct xpv_store_user *user, const void **bytes);
void xpv_store_user_skip(struct xpv_store_user *user, size_t size);

/* In C: there may be something to read, or room to write. Any context, a spinlock held. */
void xpv_store_node_wake(struct xpv_store_node *node);

/* The misc device. Sleeping context. */
int xpv_store_node_register(void);
void xpv_store_node_unregister(void);

/* ---- Between the C files. Sleeping context. ---- */

/* The files in debugfs; the store is connected between start and stop. */
void xpv_xenbus_debug_start(void);
void xpv_xenbus_debug_stop(void);

#ifdef __cplusplus
}
#endif

#endif
