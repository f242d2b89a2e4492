// SPDX-License-Identifier: GPL-2.0-only
/*
 * An example of a frontend on the bus "xpv": /dev/xpvecho returns what was
 * written to it, by way of a backend in another domain (echoback.c).
 * docs/writing-a-frontend.md explains it.
 */

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "echo.h"
#include "evtchn/evtchn.h"
#include "gnttab/gnttab.h"
#include "lib/shim.h"
#include "xenbus/xenbus.h"

/* One device. It lives as long as the bus or an open file needs it. */
struct echo {
	struct kref references;
	struct xpv_device *device;
	struct miscdevice misc;
	wait_queue_head_t wait;
	unsigned int events; /* counts events that may have changed something */

	struct mutex mutex; /* guards what follows, but for the event handler, which ends before the page is freed */
	bool connected;
	struct echo_page *page;
	struct xpv_gref reference;
	struct xpv_event_channel *channel;
	/* Our own indices. The page has copies for the other end, which are never read back. */
	u32 produced, consumed;

	u32 seen_produced, seen_consumed; /* used by the event handler */
};

static struct echo *echo_of(struct xpv_device *device)
{
	return (struct echo *)xpv_device_get_context(device);
}

static void echo_free(struct kref *references)
{
	kfree(container_of(references, struct echo, references));
}

static void wake(struct echo *echo)
{
	WRITE_ONCE(echo->events, READ_ONCE(echo->events) + 1);
	wake_up_all(&echo->wait);
}

/* Handle an event. Hard irq context. The channel is closed before the page is freed. */
static void on_event(struct xpv_event_context *context)
{
	struct echo *echo = (struct echo *)context;
	u32 produced = READ_ONCE(echo->page->response_produced);
	u32 consumed = READ_ONCE(echo->page->request_consumed);
	struct xpv_event_channel *channel = READ_ONCE(echo->channel);

	if (produced == echo->seen_produced && consumed == echo->seen_consumed) {
		if (channel)
			xpv_event_channel_spurious(channel);
		return;
	}
	echo->seen_produced = produced;
	echo->seen_consumed = consumed;
	wake(echo);
}

/* ---- /dev/xpvecho ---- */

/* Read what is available. Return 0 if there is nothing. */
static ssize_t take(struct echo *echo, char __user *to, size_t length)
{
	struct echo_page *page = echo->page;
	int used = echo_used(READ_ONCE(page->response_produced), echo->consumed);
	u32 piece;

	if (used < 0) {
		xpv_device_fail(echo->device, -EPROTO, "illegal response_produced in the ring");
		return -EIO;
	}
	/* Read the bytes after the index that announces them. */
	virt_rmb();
	piece = echo_piece(echo->consumed, min_t(size_t, used, length));
	if (copy_to_user(to, page->response + echo->consumed % ECHO_SIZE, piece))
		return -EFAULT;
	/* Finish reading before publishing the index. */
	virt_mb();
	echo->consumed += piece;
	WRITE_ONCE(page->response_consumed, echo->consumed);
	return piece;
}

/* Write what there is room for. Return 0 if the ring is full. */
static ssize_t put(struct echo *echo, const char __user *from, size_t length)
{
	struct echo_page *page = echo->page;
	int used = echo_used(echo->produced, READ_ONCE(page->request_consumed));
	u32 piece;

	if (used < 0) {
		xpv_device_fail(echo->device, -EPROTO, "illegal request_consumed in the ring");
		return -EIO;
	}
	/* Write only after reading the index: the other end read those bytes before it published the index. */
	virt_mb();
	piece = echo_piece(echo->produced, min_t(size_t, ECHO_SIZE - used, length));
	if (copy_from_user(page->request + echo->produced % ECHO_SIZE, from, piece))
		return -EFAULT;
	/* Write the bytes before the index that announces them. */
	virt_wmb();
	echo->produced += piece;
	WRITE_ONCE(page->request_produced, echo->produced);
	return piece;
}

/* Move at least one byte in either direction; wait for that unless the file is O_NONBLOCK. */
static ssize_t move(struct file *file, char __user *to, const char __user *from, size_t length)
{
	struct echo *echo = file->private_data;
	unsigned int events;
	ssize_t moved;

	while (length) {
		/* Read this before checking the ring, so that no later event is missed. */
		events = READ_ONCE(echo->events);
		if (mutex_lock_interruptible(&echo->mutex))
			return -ERESTARTSYS;
		moved = !echo->connected ? -ENODEV : to ? take(echo, to, length) : put(echo, from, length);
		if (moved > 0)
			moved = xpv_event_channel_notify(echo->channel) ?: moved;
		mutex_unlock(&echo->mutex);
		if (moved)
			return moved;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(echo->wait, READ_ONCE(echo->events) != events))
			return -ERESTARTSYS;
	}
	return 0;
}

static ssize_t echo_read(struct file *file, char __user *to, size_t length, loff_t *position)
{
	return move(file, to, NULL, length);
}

static ssize_t echo_write(struct file *file, const char __user *from, size_t length, loff_t *position)
{
	return move(file, NULL, from, length);
}

static int echo_open(struct inode *inode, struct file *file)
{
	/* misc_deregister(), and so disconnect(), waits for this function. */
	struct echo *echo = container_of(file->private_data, struct echo, misc);

	kref_get(&echo->references);
	file->private_data = echo;
	return stream_open(inode, file);
}

static int echo_release(struct inode *inode, struct file *file)
{
	struct echo *echo = file->private_data;

	kref_put(&echo->references, echo_free);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = echo_open,
	.release = echo_release,
	.read = echo_read,
	.write = echo_write,
};

/* ---- Callbacks from the bus ---- */

static int echo_probe(struct xpv_device *device)
{
	struct echo *echo = kzalloc(sizeof(*echo), GFP_KERNEL);

	if (!echo)
		return -ENOMEM;
	kref_init(&echo->references);
	mutex_init(&echo->mutex);
	init_waitqueue_head(&echo->wait);
	echo->device = device;
	xpv_device_set_context(device, (struct xpv_device_context *)echo);
	return 0;
}

/* Close the channel and revoke the page. At this end they must not be in use any more. */
static void take_back(struct echo *echo)
{
	xpv_event_channel_close(echo->channel);
	echo->channel = NULL;
	xpv_grant_revoke_and_free(&echo->reference, 1, echo->page, 0);
	echo->page = NULL;
}

static int echo_negotiate(struct xpv_device *device)
{
	struct echo *echo = echo_of(device);
	struct xpv_domid backend = xpv_device_backend_domain(device);
	const struct xpv_event_channel_args args = {
		.name = "xpvecho",
		.flags = XPV_EVENT_HARD,
		.handler = on_event,
		.context = (struct xpv_event_context *)echo,
	};
	struct xpv_event_channel *channel;
	char reference[16], port[16];
	struct xpv_store_write_item items[] = {
		{ .path = "ring-ref", .value = reference },
		{ .path = "event-channel", .value = port },
	};
	int error;

	/* A connection starts with empty rings, also after a reconnect. */
	echo->produced = echo->consumed = echo->seen_produced = echo->seen_consumed = 0;
	echo->page = xpv_pages_alloc(0, XPV_MAY_SLEEP);
	if (!echo->page)
		return -ENOMEM;
	error = xpv_grant_page(backend, xpv_pages_pfn(echo->page), XPV_GRANT_READ_WRITE, XPV_MAY_SLEEP, &echo->reference);
	if (error) {
		xpv_pages_free(echo->page, 0);
		return error;
	}
	error = xpv_event_channel_alloc_unbound(backend, &args, &channel);
	if (!error) {
		WRITE_ONCE(echo->channel, channel);
		snprintf(reference, sizeof(reference), "%u", echo->reference.value);
		snprintf(port, sizeof(port), "%u", xpv_event_channel_port(channel).value);
		error = xpv_device_initialised(device, items, ARRAY_SIZE(items));
	}
	if (error)
		take_back(echo);
	return error;
}

static int echo_connect(struct xpv_device *device)
{
	struct echo *echo = echo_of(device);
	int error;

	echo->misc = (struct miscdevice){
		.minor = MISC_DYNAMIC_MINOR,
		.name = "xpvecho",
		.fops = &operations,
		.parent = xpv_device_linux(device),
		.mode = 0600,
	};
	mutex_lock(&echo->mutex);
	echo->connected = true;
	mutex_unlock(&echo->mutex);
	error = misc_register(&echo->misc);
	if (error) {
		/* It was not registered, and so not opened. disconnect() follows, and must not deregister it. */
		mutex_lock(&echo->mutex);
		echo->connected = false;
		mutex_unlock(&echo->mutex);
	}
	return error;
}

/* Called after negotiate(), with or without connect(). */
static void echo_disconnect(struct xpv_device *device)
{
	struct echo *echo = echo_of(device);
	bool connected;

	mutex_lock(&echo->mutex);
	connected = echo->connected;
	echo->connected = false;
	mutex_unlock(&echo->mutex);
	/* Wake the waiters; they find that the device is disconnected. */
	wake(echo);
	if (connected)
		misc_deregister(&echo->misc);
	take_back(echo);
}

static void echo_remove(struct xpv_device *device)
{
	kref_put(&echo_of(device)->references, echo_free);
}

static const struct xpv_frontend_driver driver = {
	.name = KBUILD_MODNAME,
	.device_type = "xpvecho",
	.probe = echo_probe,
	.negotiate = echo_negotiate,
	.connect = echo_connect,
	.disconnect = echo_disconnect,
	.remove = echo_remove,
};

static int __init echo_init(void)
{
	return xpv_frontend_driver_register(&driver, THIS_MODULE);
}
module_init(echo_init);

static void __exit echo_exit(void)
{
	xpv_frontend_driver_unregister(&driver);
}
module_exit(echo_exit);

MODULE_DESCRIPTION("xpv: example of a frontend");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
MODULE_ALIAS("xpv:xpvecho");
