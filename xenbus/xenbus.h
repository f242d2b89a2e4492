/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of the device bus in xpv_xenbus (io/xenbus.h, docs/misc/xenstore-
 * paths.pandoc of Xen): what a frontend driver is, and what it is told when.
 *
 * The bus watches device/ in the store, makes a Linux device on the bus
 * "xpv" for each entry, and runs the handshake from one table
 * (xenbus/state.cc): for every pair of our state and the other end's it says
 * which of the driver's functions to call and which state to go to. All
 * functions of a driver run in a sleeping context, one at a time for one
 * device; different devices overlap. Errors are negative errno values.
 */
#ifndef XPV_XENBUS_H
#define XPV_XENBUS_H

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
/* The driver's own part of a device: each driver has its own and casts. */
struct xpv_device_context;

struct xpv_frontend_driver {
	/* Shown in sysfs, e.g. "xpv_blkfront". */
	const char *name;
	/* The directory under device/ in the store, e.g. "vbd". */
	const char *device_type;
	/* THIS_MODULE. */
	struct module *owner;
	/*
	 * Keys of the other end's directory that connect() reads, at most 12,
	 * NULL at the end; or NULL. The bus reads them together with the state,
	 * so that xpv_device_read_backend() in connect() need not ask.
	 */
	const char *const *backend_keys;

	/*
	 * A device appeared: make the context and xpv_device_set_context() it.
	 * Nothing has been said to the other end. An error leaves the device
	 * without driver.
	 */
	int (*probe)(struct xpv_device *device);
	/*
	 * The other end waits for our details (its state is InitWait, or a
	 * later one that implies it): read what it offers, make ring and
	 * channel, publish them, at the end by xpv_device_initialised(). On 0
	 * the bus switches us to Initialised, if we are not. An
	 * error fails the device as xpv_device_fail() does; what was made must
	 * be gone then, disconnect() is not called.
	 */
	int (*negotiate)(struct xpv_device *device);
	/*
	 * The other end is Connected: read its description and go to work. On 0
	 * the bus switches us to Connected. An error fails the device.
	 */
	int (*connect)(struct xpv_device *device);
	/* The other end said Connected again while we are: look whether something changed. May be NULL. */
	void (*backend_changed)(struct xpv_device *device);
	/*
	 * The connection is over: fail what is in flight, take back ring,
	 * channel and grants. In an orderly close the other end was told
	 * before (we are Closed) and had a few seconds to let go of them; when
	 * it broke the protocol or vanished, this is called at once, and it may
	 * still hold grants. Called only after negotiate() succeeded, and once
	 * for it; negotiate() may follow again.
	 */
	void (*disconnect)(struct xpv_device *device);
	/*
	 * The domain was restored as a new one: ring, channel and grants are no
	 * more, and the backend is another one that knows nothing of us. Let go
	 * of them; what is in flight may be kept, to be asked again. negotiate()
	 * follows, or disconnect(). Only in place of a disconnect() that was due.
	 * When NULL, disconnect() is called.
	 */
	void (*connection_lost)(struct xpv_device *device);
	/* The last call, after disconnect() where that was due: free the context. */
	void (*remove)(struct xpv_device *device);
};

/* Sleeping context. The driver may be probed before register returns. */
int xpv_frontend_driver_register(const struct xpv_frontend_driver *driver);
/* Every device was removed from the driver when this returns. Sleeping context. */
void xpv_frontend_driver_unregister(const struct xpv_frontend_driver *driver);

/* ---- What a driver may ask of a device; any context unless noted ---- */

void xpv_device_set_context(struct xpv_device *device, struct xpv_device_context *context);
struct xpv_device_context *xpv_device_get_context(const struct xpv_device *device);
/* Linux's device, the parent for disks and network interfaces. */
struct device *xpv_device_linux(struct xpv_device *device);
/* Path in the store, e.g. "device/vbd/51712", and its last part ("51712"). */
const char *xpv_device_path(const struct xpv_device *device);
const char *xpv_device_id(const struct xpv_device *device);
/* The other end's path and domain. Valid from negotiate() to the end of disconnect(). */
const char *xpv_device_backend_path(const struct xpv_device *device);
struct xpv_domid xpv_device_backend_domain(const struct xpv_device *device);
/* Where we are in the handshake. */
enum xenbus_state xpv_device_state(const struct xpv_device *device);

/*
 * Read keys of the other end's directory (item paths are relative to it), or
 * of our own: one round trip. Sleeping context. Errors as xpv_store_read_many().
 */
int xpv_device_read_backend(struct xpv_device *device, struct xpv_store_read_item *items, unsigned int count);
int xpv_device_read_own(struct xpv_device *device, struct xpv_store_read_item *items, unsigned int count);
/*
 * Write keys of our own directory: one round trip. Sleeping context. Errors
 * as xpv_store_write_many(); -ENODEV once the device was removed.
 */
int xpv_device_publish(struct xpv_device *device, struct xpv_store_write_item *items, unsigned int count);
/*
 * The same, and in the same round trip become Initialised: the last thing
 * that negotiate() does, and only there. When a key cannot be written, the
 * other end may have been told all the same; negotiate() is to fail then.
 */
int xpv_device_initialised(struct xpv_device *device, struct xpv_store_write_item *items, unsigned int count);

/*
 * The other end broke the protocol or stopped answering: one log line, the
 * message into error/ in the store as toolstacks expect, and the device is
 * disconnected and closed soon after (asynchronously). Any context but NMI;
 * the text is cut at 128 bytes.
 */
__attribute__((format(printf, 3, 4)))
void xpv_device_fail(struct xpv_device *device, int error, const char *format, ...);

#ifdef __cplusplus
}
#endif

#endif
