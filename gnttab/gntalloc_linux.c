// SPDX-License-Identifier: GPL-2.0-only
/* /dev/xen/gntalloc: user space grants pages of its own (user_pages.cc). */

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <xen/gntalloc.h>

#include "gnttab/linux.h"

static_assert(UNMAP_NOTIFY_CLEAR_BYTE == XPV_UNMAP_CLEAR_BYTE && UNMAP_NOTIFY_SEND_EVENT == XPV_UNMAP_SEND_EVENT);

static unsigned int limit = 1024;
module_param_named(gntalloc_limit, limit, uint, 0644);
MODULE_PARM_DESC(gntalloc_limit, "Maximum number of grants that may be allocated by the gntalloc device (default 1024)");

static int gntalloc_open(struct inode *inode, struct file *file)
{
	struct xpv_user_pages *user;
	int error = xpv_user_pages_open(&user);

	if (!error)
		file->private_data = user;
	return error;
}

static int gntalloc_release(struct inode *inode, struct file *file)
{
	xpv_user_pages_close(file->private_data);
	return 0;
}

static long allocate(struct xpv_user_pages *user, struct ioctl_gntalloc_alloc_gref __user *argument)
{
	struct ioctl_gntalloc_alloc_gref asked;
	struct xpv_user_pages_request request;
	struct xpv_gref *references;
	uint64_t index;
	int error;

	if (copy_from_user(&asked, argument, offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids)))
		return -EFAULT;
	request.remote.value = asked.domid;
	request.writable = asked.flags & GNTALLOC_FLAG_WRITABLE;
	request.count = asked.count;
	request.limit = READ_ONCE(limit);
	if (request.count > request.limit)
		return -ENOSPC;
	references = kvcalloc(request.count, sizeof(*references), GFP_KERNEL);
	if (!references)
		return -ENOMEM;
	error = xpv_user_pages_allocate(user, &request, &index, references);
	/* If copying the result fails, the pages stay allocated until the file is closed. */
	index <<= PAGE_SHIFT;
	if (!error && (copy_to_user(&argument->index, &index, sizeof(index)) ||
		       copy_to_user((char __user *)argument + offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids),
				    references, sizeof(*references) * request.count)))
		error = -EFAULT;
	kvfree(references);
	return error;
}

static long gntalloc_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct xpv_user_pages *user = file->private_data;
	void __user *from = (void __user *)argument;
	struct ioctl_gntalloc_dealloc_gref freed;
	struct ioctl_gntalloc_unmap_notify asked;
	struct xpv_unmap_notify notify;

	switch (command) {
	case IOCTL_GNTALLOC_ALLOC_GREF:
		return allocate(user, from);
	case IOCTL_GNTALLOC_DEALLOC_GREF:
		if (copy_from_user(&freed, from, sizeof(freed)))
			return -EFAULT;
		if (!PAGE_ALIGNED(freed.index))
			return -EINVAL;
		return xpv_user_pages_free(user, freed.index >> PAGE_SHIFT, freed.count);
	case IOCTL_GNTALLOC_SET_UNMAP_NOTIFY:
		if (copy_from_user(&asked, from, sizeof(asked)))
			return -EFAULT;
		notify.action = asked.action;
		notify.port.value = asked.event_channel_port;
		return xpv_user_pages_set_notify(user, asked.index, &notify);
	}
	return -ENOTTY;
}

static void view_open(struct vm_area_struct *vma)
{
	xpv_page_view_hold(vma->vm_private_data);
}

static void view_close(struct vm_area_struct *vma)
{
	xpv_page_view_release(vma->vm_private_data);
}

static const struct vm_operations_struct view_operations = {
	.open = view_open,
	.close = view_close,
};

static int gntalloc_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct xpv_page_view *view;
	unsigned long i;
	int error;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma_pages(vma) > UINT_MAX)
		return -ENOENT;
	error = xpv_page_view_make(file->private_data, vma->vm_pgoff, vma_pages(vma), &view);
	if (error)
		return error;
	/* Ordinary pages: Linux takes a reference on each that it maps. */
	for (i = 0; i < vma_pages(vma); i++) {
		error = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE, virt_to_page(xpv_page_view_page(view, i)));
		if (error) {
			/* Linux unmaps the pages inserted so far; close() is not called. */
			xpv_page_view_release(view);
			return error;
		}
	}
	vma->vm_private_data = view;
	vma->vm_ops = &view_operations;
	return 0;
}

static const struct file_operations gntalloc_fops = {
	.owner = THIS_MODULE,
	.open = gntalloc_open,
	.release = gntalloc_release,
	.unlocked_ioctl = gntalloc_ioctl,
	.mmap = gntalloc_mmap,
};

static struct miscdevice gntalloc_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xen/gntalloc",
	.fops = &gntalloc_fops,
	.mode = 0600,
};

int xpv_gntalloc_register(void)
{
	return misc_register(&gntalloc_device);
}

void xpv_gntalloc_unregister(void)
{
	misc_deregister(&gntalloc_device);
}
