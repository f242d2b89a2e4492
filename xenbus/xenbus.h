/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of the device bus in xpv_xenbus (io/xenbus.h, docs/misc/xenstore-
 * paths.pandoc of Xen): what a frontend driver is, and what the bus calls when.
 *
 * The bus watches device/ in xenstore, makes a Linux device on the bus "xpv"
 * for each entry, and runs the handshake from one table (xenbus/bus/state.cc): for
 * every pair of our state and the backend's, which function of the driver to
 * call and which state to go to. All functions of a driver run in a sleeping
 * context, one at a time for one device; different devices overlap. Errors are
 * negative errno values.
 *
 * A *device* is what Linux sees: a disk, a network interface. It lives from
 * the first connect() that succeeds until disconnect(). A *connection* is what
 * is shared with one backend: rings, channels, grants. It lives from
 * negotiate() until connection_lost() or disconnect(). A device outlives its
 * connections: a restore, a restarted backend, a xenstore failure or an
 * incomplete handshake ends a connection, and the bus makes another. Only a
 * detach, an unbind or a protocol violation ends the device.
 */
#ifndef XPV_XENBUS_H
#define XPV_XENBUS_H

#include "hypervisor/suspend_part.h" /* enum xpv_resume_kind */
#include "lib/types.h"
#include "xenbus/store.h"

#ifdef __cplusplus
#include <xen/io/xenbus.h>
extern "C" {
#else
#include <xen/interface/io/xenbus.h>
#endif

struct device; /* Linux's */
struct module;
struct xpv_device;
/* The driver's private data for a device. C drivers cast it; C++ drivers use frontend_driver.hh. */
struct xpv_device_context;

struct xpv_frontend_driver {
	/* Shown in sysfs, e.g. "xpv_blkfront". */
	const char *name;
	/* The directory under device/ in xenstore, e.g. "vbd". */
	const char *device_type;
	/*
	 * Keys of the backend's directory that connect() reads: at most 12,
	 * NULL-terminated; or NULL. The bus reads them together with the state,
	 * which saves xpv_device_read_backend() in connect() a round trip.
	 */
	const char *const *backend_keys;
	/*
	 * The backend looks at what negotiate() published when it reads Connected,
	 * and ignores Initialised (netback). The bus then writes Connected where it
	 * writes Initialised for other drivers; connect() is called, as for these,
	 * when the backend is Connected.
	 */
	bool connects_first;

	/*
	 * Allocate the context of a device that appeared in xenstore, and set it
	 * with xpv_device_set_context(). The backend has not been notified yet.
	 * On an error the device stays without a driver.
	 */
	int (*probe)(struct xpv_device *device);
	/*
	 * Create a connection. The backend waits for our details (its state is
	 * InitWait, or a later one that implies it). Read what it offers, create
	 * rings and channels, and publish them; the last write must be
	 * xpv_device_initialised(). There is no connection before the call, and
	 * on an error there must be no connection after it. On 0 the bus switches
	 * us to Initialised, unless we already are.
	 */
	int (*negotiate)(struct xpv_device *device);
	/*
	 * Start using the connection. The backend is Connected: read its
	 * description. The first call creates the device; later calls resume it.
	 * On 0 the bus switches us to Connected.
	 *
	 * Errors of negotiate() and connect(): once the device exists, the bus
	 * treats them as temporary. The device keeps its state; the bus logs a
	 * warning and retries with growing delays. Before the device exists, the
	 * bus retries -ETIMEDOUT and -EAGAIN a few times; any other error fails
	 * the device as xpv_device_fail() does.
	 */
	int (*connect)(struct xpv_device *device);
	/* Reread what may change. The backend wrote Connected again while we are Connected. May be NULL. */
	void (*backend_changed)(struct xpv_device *device);
	/*
	 * End the connection, but keep the device. Take the responses that have
	 * arrived, give up rings, channels and grants, and keep requests without a
	 * response, to submit them again over the next connection; until then the
	 * device is stopped. Called once for each negotiate() that succeeded,
	 * unless disconnect() is called; also before the first connect(). The
	 * backend may still map grants. negotiate() or disconnect() follows. If
	 * NULL, disconnect() is called instead: the device ends with its connection.
	 */
	void (*connection_lost)(struct xpv_device *device);
	/*
	 * Start to remove the device from Linux, while it is connected: begin to
	 * write back dirty data, do not wait here, and call xpv_device_retired()
	 * at the end. Meanwhile the bus keeps the connection, or makes another.
	 * disconnect() follows, when retired or after a bounded time. May be NULL:
	 * then disconnect() is the first call of the removal.
	 */
	void (*retire)(struct xpv_device *device);
	/*
	 * End the device, and its connection if there is one. Fail requests in
	 * flight and new ones, end a retire() in progress, free rings, channels
	 * and grants. In an orderly end we are Closed and the backend has had a
	 * few seconds to unmap; if it broke the protocol or the device vanished,
	 * it may still map grants. Called once after a negotiate() or connect()
	 * that succeeded; negotiate() may follow again.
	 */
	void (*disconnect)(struct xpv_device *device);
	/* Free the context. The last call, after disconnect() if one was due. */
	void (*remove)(struct xpv_device *device);

	/*
	 * The next three run around a suspend. The bus calls them for all devices,
	 * and does not call the functions above between hold() and go_on(). Set all
	 * three or leave all three NULL.
	 */

	/* Begin to stop: submit no more requests. Must not wait. */
	void (*hold)(struct xpv_device *device);
	/*
	 * Wait until submission has stopped, and until all requests in flight have
	 * completed or `deadline_ms` (as xpv_now_ms()) has passed. Requests that did
	 * not complete are submitted again in a restored domain. An error refuses
	 * the suspend.
	 */
	int (*drain)(struct xpv_device *device, uint64_t deadline_ms);
	/*
	 * Resume after a suspend that was refused or cancelled. After a restore
	 * stay stopped; connection_lost() follows.
	 */
	void (*go_on)(struct xpv_device *device, enum xpv_resume_kind kind);
};

/* Register a driver; `owner` is THIS_MODULE. probe() may run before this returns. Sleeping context. */
int xpv_frontend_driver_register(const struct xpv_frontend_driver *driver, struct module *owner);
/* Unregister a driver, after it has been unbound from all its devices. Sleeping context. */
void xpv_frontend_driver_unregister(const struct xpv_frontend_driver *driver);

/* ---- For drivers; any context unless noted ---- */

void xpv_device_set_context(struct xpv_device *device, struct xpv_device_context *context);
struct xpv_device_context *xpv_device_get_context(const struct xpv_device *device);
/* Return Linux's device, the parent for disks and network interfaces. */
struct device *xpv_device_linux(struct xpv_device *device);
/* Return the path in xenstore, e.g. "device/vbd/51712". */
const char *xpv_device_path(const struct xpv_device *device);
/* Return the last part of the path, e.g. "51712". */
const char *xpv_device_id(const struct xpv_device *device);
/* Return the backend's path in xenstore. Valid from negotiate() to the end of disconnect(). */
const char *xpv_device_backend_path(const struct xpv_device *device);
/* Return the backend's domain. Valid from negotiate() to the end of disconnect(). */
struct xpv_domid xpv_device_backend_domain(const struct xpv_device *device);
/* Return our state in the handshake. */
enum xenbus_state xpv_device_state(const struct xpv_device *device);

/*
 * Read keys of the backend's directory in one round trip. Item paths are
 * relative to it. Sleeping context. Errors as xpv_store_read_many().
 */
int xpv_device_read_backend(struct xpv_device *device, struct xpv_store_read_item *items, unsigned int count);
/* Read keys of our own directory in one round trip, otherwise as xpv_device_read_backend(). */
int xpv_device_read_own(struct xpv_device *device, struct xpv_store_read_item *items, unsigned int count);
/*
 * Write keys of our own directory in one round trip. Sleeping context. Errors
 * as xpv_store_write_many(); -ENODEV once the device was removed.
 */
int xpv_device_publish(struct xpv_device *device, struct xpv_store_write_item *items, unsigned int count);
/*
 * Write keys of our own directory, and in the same round trip switch to
 * Initialised; to Connected, if the driver has connects_first. Only for
 * negotiate(), as its last step. If a key cannot be written, the new state may
 * have been written nevertheless; negotiate() must then fail.
 */
int xpv_device_initialised(struct xpv_device *device, struct xpv_store_write_item *items, unsigned int count);

/*
 * Report that what retire() began is complete: Linux has no device any more,
 * and no request is in flight. Call once for each retire(). Any context.
 */
void xpv_device_retired(struct xpv_device *device);

/*
 * Ask the bus to end the present connection in an orderly way and to make
 * another, because what negotiate() chose must change. The device is kept if the
 * driver has connection_lost(). Before the next negotiate() this does nothing
 * more: negotiate() chooses anyway. Any context.
 */
void xpv_device_reconnect(struct xpv_device *device);

/*
 * Report that the backend kept `pages` of a connection mapped, and that they
 * were parked (gnttab.h). The device fails when more than 64 pages were parked
 * since it was bound. Any context but NMI.
 */
void xpv_device_parked(struct xpv_device *device, unsigned int pages);

/*
 * Fail a device whose backend broke the protocol or stopped responding. Log one
 * line, write the message to error/ in xenstore as toolstacks expect, and
 * disconnect and close the device asynchronously. Any context but NMI. The text
 * is cut at 128 bytes.
 */
__attribute__((format(printf, 3, 4))) void xpv_device_fail(struct xpv_device *device, int error, const char *format, ...);

#ifdef __cplusplus
}
#endif

#endif
