/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contract of the device bus in xpv_xenbus (io/xenbus.h, docs/misc/xenstore-
 * paths.pandoc of Xen): what a frontend driver is, and what the bus calls when.
 *
 * The bus watches device/ in xenstore, makes a Linux device on the bus "xpv"
 * for each entry, and runs the handshake from one table (xenbus/state.cc): for
 * every pair of our state and the backend's, which function of the driver to
 * call and which state to go to. All functions of a driver run in a sleeping
 * context, one at a time for one device; different devices overlap. Errors are
 * negative errno values.
 *
 * A *device* is what Linux sees: a disk, a network interface. It lives from
 * the first connect() that succeeds until disconnect(). A *connection* is what
 * is shared with one backend: rings, channels, grants. It lives from
 * negotiate() until connection_lost() or disconnect(). A device outlives its
 * connections: a restore, a restarted backend, trouble with xenstore and a
 * half-made handshake end a connection, and the bus makes another. Only a
 * detach, an unbind and a violation of the protocol end the device.
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
/* The driver's own part of a device: each driver has its own and casts, in C++ frontend_driver.hh does. */
struct xpv_device_context;

struct xpv_frontend_driver {
	/* Shown in sysfs, e.g. "xpv_blkfront". */
	const char *name;
	/* The directory under device/ in the store, e.g. "vbd". */
	const char *device_type;
	/*
	 * Keys of the other end's directory that connect() reads, at most 12,
	 * NULL at the end; or NULL. The bus reads them together with the state,
	 * so that xpv_device_read_backend() in connect() need not ask.
	 */
	const char *const *backend_keys;

	/*
	 * A device appeared in xenstore: make the context, and
	 * xpv_device_set_context() it. The backend knows nothing yet. An error
	 * leaves the device without driver.
	 */
	int (*probe)(struct xpv_device *device);
	/*
	 * The backend waits for our details (its state is InitWait, or a later
	 * one that implies it): read what it offers, make rings and channels,
	 * publish them, at the end by xpv_device_initialised(). There is no
	 * connection before the call, and on an error there must be none after
	 * it. On 0 the bus switches us to Initialised, if we are not.
	 */
	int (*negotiate)(struct xpv_device *device);
	/*
	 * The backend is Connected: read its description and go to work; the
	 * first time make the device, later let it go on. On 0 the bus switches
	 * us to Connected.
	 *
	 * Errors of negotiate() and connect(): of a device that was made, they
	 * count as temporary. It stays as it is, the bus complains and tries
	 * again, with growing delays. Before that, -ETIMEDOUT and -EAGAIN are
	 * tried again a few times; other errors fail the device as
	 * xpv_device_fail() does.
	 */
	int (*connect)(struct xpv_device *device);
	/* The backend wrote Connected again while we are: read again what may change. May be NULL. */
	void (*backend_changed)(struct xpv_device *device);
	/*
	 * The connection is over, the device is not. Take the responses that are
	 * there, give up rings, channels and grants, and keep what has no
	 * response, to be submitted again over the next connection; until then
	 * the device is stopped. Called once for each negotiate() that succeeded,
	 * unless disconnect() is; also before the first connect(). The backend
	 * may hold grants still. negotiate() or disconnect() follows. When NULL,
	 * disconnect() is called instead, and the device ends with its connection.
	 */
	void (*connection_lost)(struct xpv_device *device);
	/*
	 * The device is to end, and is connected: start to write back what is
	 * dirty, and to remove it from Linux, without waiting here; then call
	 * xpv_device_retired(). Meanwhile the bus keeps the connection, or makes
	 * another. disconnect() follows, when retired or after a bounded time.
	 * May be NULL: then disconnect() is the first to tell.
	 */
	void (*retire)(struct xpv_device *device);
	/*
	 * The end of the device and of its connection, if there is one: fail what
	 * is in flight and all that comes, end a retire() that is under way, take
	 * back rings, channels and grants. In an orderly end the backend was told
	 * before (we are Closed) and had a few seconds to let go of them; when it
	 * broke the protocol or the device vanished, it may still hold grants.
	 * Called once after a negotiate() or connect() that succeeded; negotiate()
	 * may follow again.
	 */
	void (*disconnect)(struct xpv_device *device);
	/* The last call, after disconnect() where that was due: free the context. */
	void (*remove)(struct xpv_device *device);

	/*
	 * The domain is about to be suspended. The bus calls these for all
	 * devices, and none of the functions above from hold() to go_on(); all
	 * three or none may be NULL. hold(): begin to stop, submit nothing more,
	 * without waiting. drain(): wait until nothing is being submitted any
	 * more, and until all that is in flight has come back or `deadline_ms`
	 * (as xpv_now_ms()) has passed: what did not come back is then submitted
	 * again in a restored domain. An error refuses the suspend. go_on(): a
	 * suspend that was refused or cancelled: continue. After a restore: stay
	 * stopped, connection_lost() follows.
	 */
	void (*hold)(struct xpv_device *device);
	int (*drain)(struct xpv_device *device, uint64_t deadline_ms);
	void (*go_on)(struct xpv_device *device, enum xpv_resume_kind kind);
};

/* `owner` is THIS_MODULE. Sleeping context. The driver may be probed before register returns. */
int xpv_frontend_driver_register(const struct xpv_frontend_driver *driver, struct module *owner);
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
 * What retire() began is done: Linux has no device any more, and nothing is
 * in flight. Once for each retire(). Any context.
 */
void xpv_device_retired(struct xpv_device *device);

/*
 * The backend kept `pages` mapped that a connection had shared, and they were
 * parked (gnttab.h). A device of which more than 64 were, since it was bound,
 * fails. Any context but NMI.
 */
void xpv_device_parked(struct xpv_device *device, unsigned int pages);

/*
 * The other end broke the protocol or stopped answering: one log line, the
 * message into error/ in the store as toolstacks expect, and the device is
 * disconnected and closed soon after (asynchronously). Any context but NMI;
 * the text is cut at 128 bytes.
 */
__attribute__((format(printf, 3, 4))) void xpv_device_fail(struct xpv_device *device, int error, const char *format, ...);

#ifdef __cplusplus
}
#endif

#endif
