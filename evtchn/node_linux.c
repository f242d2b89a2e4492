// SPDX-License-Identifier: GPL-2.0-only
/* /dev/xen/evtchn: event channels of user space (user_ports.hh). */

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <xen/interface/event_channel.h>
#include <xen/evtchn.h>

#include "evtchn/linux.h"

struct xpv_event_node {
	struct xpv_event_user *user;
	wait_queue_head_t changed;
	struct fasync_struct *fasync;
	struct mutex read_mutex; /* held from a peek to its skip, and when the ring is reset */
};

void xpv_event_node_wake(struct xpv_event_node *node)
{
	wake_up_interruptible_all(&node->changed);
	kill_fasync(&node->fasync, SIGIO, POLL_IN);
}

static int node_open(struct inode *inode, struct file *file)
{
	struct xpv_event_node *node = kzalloc(sizeof(*node), GFP_KERNEL);
	int error;

	if (!node)
		return -ENOMEM;
	init_waitqueue_head(&node->changed);
	mutex_init(&node->read_mutex);
	error = xpv_event_user_open(node, current->comm, &node->user);
	if (error) {
		kfree(node);
		return error;
	}
	file->private_data = node;
	return stream_open(inode, file);
}

static int node_release(struct inode *inode, struct file *file)
{
	struct xpv_event_node *node = file->private_data;

	xpv_event_user_close(node->user);
	kfree(node);
	return 0;
}

static ssize_t node_read(struct file *file, char __user *target, size_t size, loff_t *unused)
{
	struct xpv_event_node *node = file->private_data;
	unsigned int most = min_t(size_t, size, PAGE_SIZE) / sizeof(evtchn_port_t);
	uint32_t *ports;
	int count;

	if (!most)
		return 0;
	ports = (uint32_t *)__get_free_page(GFP_KERNEL);
	if (!ports)
		return -ENOMEM;
	for (;;) {
		if (mutex_lock_interruptible(&node->read_mutex)) {
			count = -ERESTARTSYS;
			break;
		}
		count = xpv_event_user_peek(node->user, ports, most);
		if (count > 0) {
			if (copy_to_user(target, ports, count * sizeof(*ports)))
				count = -EFAULT;
			else
				xpv_event_user_skip(node->user, count);
		}
		mutex_unlock(&node->read_mutex);
		if (count)
			break;
		if (file->f_flags & O_NONBLOCK) {
			count = -EAGAIN;
			break;
		}
		if (wait_event_interruptible(node->changed, xpv_event_user_readiness(node->user))) {
			count = -ERESTARTSYS;
			break;
		}
	}
	free_page((unsigned long)ports);
	return count < 0 ? count : count * sizeof(*ports);
}

static ssize_t node_write(struct file *file, const char __user *source, size_t size, loff_t *unused)
{
	struct xpv_event_node *node = file->private_data;
	unsigned int count = min_t(size_t, size, PAGE_SIZE) / sizeof(evtchn_port_t);
	uint32_t *ports;
	ssize_t done = count * sizeof(*ports);

	if (!count)
		return 0;
	ports = (uint32_t *)__get_free_page(GFP_KERNEL);
	if (!ports)
		return -ENOMEM;
	if (copy_from_user(ports, source, done))
		done = -EFAULT;
	else
		xpv_event_user_finish(node->user, ports, count);
	free_page((unsigned long)ports);
	return done;
}

static long bind(struct xpv_event_node *node, unsigned int command, const void __user *argument)
{
	struct xpv_event_user_binding binding = {};

	if (command == IOCTL_EVTCHN_BIND_VIRQ) {
		struct ioctl_evtchn_bind_virq asked;

		if (copy_from_user(&asked, argument, sizeof(asked)))
			return -EFAULT;
		binding.kind = XPV_EVENT_USER_VIRQ;
		binding.virq = asked.virq;
	} else if (command == IOCTL_EVTCHN_BIND_INTERDOMAIN) {
		struct ioctl_evtchn_bind_interdomain asked;

		if (copy_from_user(&asked, argument, sizeof(asked)))
			return -EFAULT;
		if (asked.remote_domain > U16_MAX)
			return -EINVAL;
		binding.kind = XPV_EVENT_USER_INTERDOMAIN;
		binding.remote.value = asked.remote_domain;
		binding.remote_port.value = asked.remote_port;
	} else {
		struct ioctl_evtchn_bind_unbound_port asked;

		if (copy_from_user(&asked, argument, sizeof(asked)))
			return -EFAULT;
		if (asked.remote_domain > U16_MAX)
			return -EINVAL;
		binding.kind = XPV_EVENT_USER_UNBOUND;
		binding.remote.value = asked.remote_domain;
	}
	return xpv_event_user_bind(node->user, &binding);
}

static long node_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct xpv_event_node *node = file->private_data;
	const void __user *from = (const void __user *)argument;
	struct ioctl_evtchn_restrict_domid restriction;
	struct ioctl_evtchn_unbind unbind;
	struct ioctl_evtchn_notify notify;

	switch (command) {
	case IOCTL_EVTCHN_BIND_VIRQ:
	case IOCTL_EVTCHN_BIND_INTERDOMAIN:
	case IOCTL_EVTCHN_BIND_UNBOUND_PORT:
		return bind(node, command, from);
	case IOCTL_EVTCHN_UNBIND:
		if (copy_from_user(&unbind, from, sizeof(unbind)))
			return -EFAULT;
		return xpv_event_user_unbind(node->user, (struct xpv_port){ unbind.port });
	case IOCTL_EVTCHN_NOTIFY:
		if (copy_from_user(&notify, from, sizeof(notify)))
			return -EFAULT;
		return xpv_event_user_notify(node->user, (struct xpv_port){ notify.port });
	case IOCTL_EVTCHN_RESET:
		mutex_lock(&node->read_mutex);
		xpv_event_user_reset(node->user);
		mutex_unlock(&node->read_mutex);
		return 0;
	case IOCTL_EVTCHN_RESTRICT_DOMID:
		if (copy_from_user(&restriction, from, sizeof(restriction)))
			return -EFAULT;
		return xpv_event_user_restrict(node->user, (struct xpv_domid){ restriction.domid });
	}
	return -ENOSYS;
}

static __poll_t node_poll(struct file *file, poll_table *wait)
{
	struct xpv_event_node *node = file->private_data;
	unsigned int ready;

	poll_wait(file, &node->changed, wait);
	ready = xpv_event_user_readiness(node->user);
	if (ready & XPV_EVENT_USER_OVERFLOW)
		return EPOLLERR;
	return EPOLLOUT | EPOLLWRNORM | (ready & XPV_EVENT_USER_READABLE ? EPOLLIN | EPOLLRDNORM : 0);
}

static int node_fasync(int fd, struct file *file, int on)
{
	struct xpv_event_node *node = file->private_data;

	return fasync_helper(fd, file, on, &node->fasync);
}

static const struct file_operations node_fops = {
	.owner = THIS_MODULE,
	.open = node_open,
	.release = node_release,
	.read = node_read,
	.write = node_write,
	.unlocked_ioctl = node_ioctl,
	.poll = node_poll,
	.fasync = node_fasync,
};

static struct miscdevice node_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xen/evtchn",
	.fops = &node_fops,
	.mode = 0600,
};

int xpv_event_node_register(void)
{
	return misc_register(&node_device);
}

void xpv_event_node_unregister(void)
{
	misc_deregister(&node_device);
}
