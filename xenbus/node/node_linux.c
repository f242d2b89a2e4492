// SPDX-License-Identifier: GPL-2.0-only
/* /dev/xen/xenbus: copies bytes between user space and an xpv_store_user (user.hh). */

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "xenbus/linux.h"

struct xpv_store_node {
	struct xpv_store_user *user;
	wait_queue_head_t changed;
	struct mutex read_mutex, write_mutex;
};

void xpv_store_node_wake(struct xpv_store_node *node)
{
	wake_up_interruptible_all(&node->changed);
}

static bool readable(struct xpv_store_node *node)
{
	const void *bytes;

	return xpv_store_user_peek(node->user, &bytes) != 0;
}

static int node_open(struct inode *inode, struct file *file)
{
	struct xpv_store_node *node = kzalloc(sizeof(*node), GFP_KERNEL);
	int error;

	if (!node)
		return -ENOMEM;
	init_waitqueue_head(&node->changed);
	mutex_init(&node->read_mutex);
	mutex_init(&node->write_mutex);
	error = xpv_store_user_open(node, &node->user);
	if (error) {
		kfree(node);
		return error;
	}
	file->private_data = node;
	return stream_open(inode, file);
}

static int node_release(struct inode *inode, struct file *file)
{
	struct xpv_store_node *node = file->private_data;

	xpv_store_user_close(node->user);
	kfree(node);
	return 0;
}

/* Copy out as many bytes as are available and fit, from one or more messages. */
static ssize_t copy_out(struct xpv_store_node *node, char __user *target, size_t size)
{
	size_t done = 0;

	while (done < size) {
		const void *bytes;
		long there = xpv_store_user_peek(node->user, &bytes);
		size_t part, left;

		if (there <= 0)
			return done ? done : there;
		part = min_t(size_t, there, size - done);
		left = copy_to_user(target + done, bytes, part);
		xpv_store_user_skip(node->user, part - left);
		done += part - left;
		if (left)
			return done ? done : -EFAULT;
	}
	return done;
}

static ssize_t node_read(struct file *file, char __user *target, size_t size, loff_t *unused)
{
	struct xpv_store_node *node = file->private_data;
	ssize_t done;

	if (!size)
		return 0;
	for (;;) {
		if (mutex_lock_interruptible(&node->read_mutex))
			return -ERESTARTSYS;
		done = copy_out(node, target, size);
		mutex_unlock(&node->read_mutex);
		if (done)
			return done;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(node->changed, readable(node)))
			return -ERESTARTSYS;
	}
}

/* Pass on at most one page. Returns how many bytes were taken, or an error if that is 0. */
static ssize_t take_in(struct file *file, const char *bytes, size_t size)
{
	struct xpv_store_node *node = file->private_data;
	size_t done = 0;

	for (;;) {
		long taken = xpv_store_user_write(node->user, bytes + done, size - done);

		if (taken < 0)
			return taken;
		done += taken;
		if (done == size)
			return done;
		if (file->f_flags & O_NONBLOCK)
			return done ? done : -EAGAIN;
		if (wait_event_interruptible(node->changed, xpv_store_user_writable(node->user)))
			return done ? done : -ERESTARTSYS;
	}
}

static ssize_t node_write(struct file *file, const char __user *source, size_t size, loff_t *unused)
{
	struct xpv_store_node *node = file->private_data;
	size_t done = 0;
	ssize_t taken = 0;
	char *page;

	if (!size)
		return 0;
	page = (char *)__get_free_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	/* Serialise writes, so that their messages are not interleaved. */
	if (mutex_lock_interruptible(&node->write_mutex)) {
		free_page((unsigned long)page);
		return -ERESTARTSYS;
	}
	while (done < size) {
		size_t part = min_t(size_t, size - done, PAGE_SIZE);

		taken = copy_from_user(page, source + done, part) ? -EFAULT : take_in(file, page, part);
		if (taken < 0)
			break;
		done += taken;
		if (taken < part)
			break;
	}
	mutex_unlock(&node->write_mutex);
	free_page((unsigned long)page);
	return done ? done : taken;
}

static __poll_t node_poll(struct file *file, poll_table *wait)
{
	struct xpv_store_node *node = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &node->changed, wait);
	if (readable(node))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (xpv_store_user_writable(node->user))
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

static const struct file_operations node_fops = {
	.owner = THIS_MODULE,
	.open = node_open,
	.release = node_release,
	.read = node_read,
	.write = node_write,
	.poll = node_poll,
};

static struct miscdevice node_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xen/xenbus",
	.fops = &node_fops,
	.mode = 0600,
};

int xpv_store_node_register(void)
{
	return misc_register(&node_device);
}

void xpv_store_node_unregister(void)
{
	misc_deregister(&node_device);
}
