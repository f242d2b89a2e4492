// SPDX-License-Identifier: GPL-2.0-only
/* /dev/xen/gntdev: user space maps pages that others granted (user_maps.cc), and has Xen copy to and from them. */

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <xen/interface/grant_table.h>
#include <xen/gntdev.h>

#include "gnttab/linux.h"

static_assert(UNMAP_NOTIFY_CLEAR_BYTE == XPV_UNMAP_CLEAR_BYTE && UNMAP_NOTIFY_SEND_EVENT == XPV_UNMAP_SEND_EVENT);

static unsigned int limit = 64 * 1024;
module_param_named(gntdev_limit, limit, uint, 0644);
MODULE_PARM_DESC(gntdev_limit,
		 "Maximum number of grants that may be mapped by one mapping request of the gntdev device (default 65536)");

static int gntdev_open(struct inode *inode, struct file *file)
{
	struct xpv_user_maps *user;
	int error = xpv_user_maps_open(&user);

	if (!error)
		file->private_data = user;
	return error;
}

static int gntdev_release(struct inode *inode, struct file *file)
{
	xpv_user_maps_close(file->private_data);
	return 0;
}

/* ---- Maps ---- */

static long add_map(struct xpv_user_maps *user, struct ioctl_gntdev_map_grant_ref __user *argument)
{
	struct xpv_foreign_reference *references;
	struct ioctl_gntdev_grant_ref *asked;
	uint64_t index;
	uint32_t count, i;
	int error;

	if (get_user(count, &argument->count))
		return -EFAULT;
	if (!count || count > READ_ONCE(limit))
		return -EINVAL;
	asked = vmemdup_user((char __user *)argument + offsetof(struct ioctl_gntdev_map_grant_ref, refs),
			     sizeof(*asked) * (size_t)count);
	if (IS_ERR(asked))
		return PTR_ERR(asked);
	references = kvmalloc_array(count, sizeof(*references), GFP_KERNEL);
	if (!references) {
		kvfree(asked);
		return -ENOMEM;
	}
	error = 0;
	for (i = 0; i < count; i++) {
		if (asked[i].domid > U16_MAX)
			error = -EINVAL;
		references[i].domain.value = asked[i].domid;
		references[i].reference.value = asked[i].ref;
	}
	if (!error)
		error = xpv_user_maps_add(user, references, count, &index);
	kvfree(references);
	kvfree(asked);
	if (error)
		return error;
	if (put_user(index << PAGE_SHIFT, &argument->index)) {
		xpv_user_maps_remove(user, index, count);
		return -EFAULT;
	}
	return 0;
}

static void map_open(struct vm_area_struct *vma)
{
	xpv_user_map_hold(vma->vm_private_data);
}

/* Linux has cleared the PTEs and flushed the TLBs before. */
static void map_close(struct vm_area_struct *vma)
{
	xpv_user_map_release(vma->vm_private_data);
}

static const struct vm_operations_struct map_operations = {
	.open = map_open,
	.close = map_close,
};

/*
 * Keep the vma from a child, which would map what its parent's exit does not
 * unmap. Keep read-only what is mapped read-only in Xen.
 */
static void restrict_vma(struct vm_area_struct *vma)
{
	unsigned long cleared = vma->vm_flags & VM_WRITE ? 0 : VM_MAYWRITE;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, VM_DONTCOPY, cleared);
#else
	vma->vm_flags = (vma->vm_flags | VM_DONTCOPY) & ~cleared;
#endif
}

static int gntdev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct xpv_user_map *map;
	struct xpv_pfn first;
	int error;

	if (!(vma->vm_flags & VM_SHARED) || vma_pages(vma) > UINT_MAX)
		return -EINVAL;
	error = xpv_user_map_view(file->private_data, vma->vm_pgoff, vma_pages(vma), vma->vm_flags & VM_WRITE, &map,
				  &first);
	if (error)
		return error;
	restrict_vma(vma);
	/*
	 * Map all of the vma in one piece: then Linux tracks the frames' memory
	 * type, which is write-back as requested because the MTRRs say so. For
	 * frames that are not RAM and not tracked (smaller pieces, and page
	 * faults) it assumes uncached. This also keeps the vma from growing and
	 * out of core dumps.
	 */
	error = remap_pfn_range(vma, vma->vm_start, first.value, vma->vm_end - vma->vm_start, vma->vm_page_prot);
	if (error) {
		/* Linux would clear the PTEs too, but only after this function, and so after the release. */
		zap_vma_ptes(vma, vma->vm_start, vma->vm_end - vma->vm_start);
		xpv_user_map_release(map);
		return error;
	}
	vma->vm_private_data = map;
	vma->vm_ops = &map_operations;
	return 0;
}

static long find_map(struct ioctl_gntdev_get_offset_for_vaddr __user *argument)
{
	struct ioctl_gntdev_get_offset_for_vaddr found;
	struct vm_area_struct *vma;
	uint64_t index;
	int error = -EINVAL;

	if (copy_from_user(&found, argument, sizeof(found)))
		return -EFAULT;
	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, found.vaddr);
	if (vma && vma->vm_ops == &map_operations) {
		xpv_user_map_describe(vma->vm_private_data, &index, &found.count);
		found.offset = index << PAGE_SHIFT;
		error = 0;
	}
	mmap_read_unlock(current->mm);
	if (!error && copy_to_user(argument, &found, sizeof(found)))
		error = -EFAULT;
	return error;
}

/* ---- Copying ---- */

/* Pin the user page that has a segment's next byte; reduce *length to what is in that page. */
static int pin(const void __user *address, bool written, struct page **page, struct xpv_grant_copy_end *end,
	       unsigned int *length)
{
	unsigned int offset = offset_in_page(address);
	int pinned = pin_user_pages_fast((unsigned long)address, 1, written ? FOLL_WRITE : 0, page);

	if (pinned != 1)
		return pinned < 0 ? pinned : -EFAULT;
	*end = xpv_copy_local((struct xpv_pfn){ page_to_pfn(*page) }, offset);
	*length = min_t(unsigned int, *length, PAGE_SIZE - offset);
	return 0;
}

static struct xpv_grant_copy_end granted(const struct gntdev_grant_copy_segment *segment, bool source, unsigned int done)
{
	typeof(segment->source.foreign) foreign = source ? segment->source.foreign : segment->dest.foreign;

	return xpv_copy_granted((struct xpv_domid){ foreign.domid }, (struct xpv_gref){ foreign.ref },
				foreign.offset + done);
}

/* Copy a segment in pieces, each within one page at either end. Errors of the copying go to *status. */
static int copy_segment(const struct gntdev_grant_copy_segment *segment, int *status)
{
	bool from_grant = segment->flags & GNTCOPY_source_gref, to_grant = segment->flags & GNTCOPY_dest_gref;
	unsigned int done = 0, length;

	/* Refuse copies from user memory to user memory. */
	if (!from_grant && !to_grant)
		return -EINVAL;
	if ((from_grant && segment->source.foreign.offset + segment->len > PAGE_SIZE) ||
	    (to_grant && segment->dest.foreign.offset + segment->len > PAGE_SIZE))
		return -EINVAL;
	for (*status = 0; done < segment->len && !*status; done += length) {
		struct xpv_grant_copy_op copy = {};
		struct page *page = NULL;
		int error = 0;

		length = segment->len - done;
		if (from_grant)
			copy.source = granted(segment, true, done);
		else
			error = pin(segment->source.virt + done, false, &page, &copy.source, &length);
		if (to_grant)
			copy.target = granted(segment, false, done);
		else if (!error)
			error = pin(segment->dest.virt + done, true, &page, &copy.target, &length);
		if (error)
			return error;
		copy.length = length;
		*status = xpv_grant_copy(&copy, 1) ? copy.status : 0;
		if (page)
			unpin_user_pages_dirty_lock(&page, 1, !to_grant);
	}
	return 0;
}

static long copy_segments(struct ioctl_gntdev_grant_copy __user *argument)
{
	struct ioctl_gntdev_grant_copy asked;
	unsigned int i;

	if (copy_from_user(&asked, argument, sizeof(asked)))
		return -EFAULT;
	for (i = 0; i < asked.count; i++) {
		struct gntdev_grant_copy_segment segment;
		int error, status;

		if (fatal_signal_pending(current))
			return -EINTR;
		if (copy_from_user(&segment, &asked.segments[i], sizeof(segment)))
			return -EFAULT;
		error = copy_segment(&segment, &status);
		if (error)
			return error;
		if (put_user(xpv_grant_status(status), &asked.segments[i].status))
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

/* ---- The device ---- */

static long gntdev_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct xpv_user_maps *user = file->private_data;
	void __user *from = (void __user *)argument;
	struct ioctl_gntdev_unmap_grant_ref removed;
	struct ioctl_gntdev_unmap_notify asked;
	struct xpv_unmap_notify notify;

	switch (command) {
	case IOCTL_GNTDEV_MAP_GRANT_REF:
		return add_map(user, from);
	case IOCTL_GNTDEV_UNMAP_GRANT_REF:
		if (copy_from_user(&removed, from, sizeof(removed)))
			return -EFAULT;
		if (!PAGE_ALIGNED(removed.index))
			return -EINVAL;
		return xpv_user_maps_remove(user, removed.index >> PAGE_SHIFT, removed.count);
	case IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR:
		return find_map(from);
	case IOCTL_GNTDEV_SET_MAX_GRANTS:
		/* Ignored: the only limit is for one request, and is a module parameter. */
		return 0;
	case IOCTL_GNTDEV_SET_UNMAP_NOTIFY:
		if (copy_from_user(&asked, from, sizeof(asked)))
			return -EFAULT;
		notify.action = asked.action;
		notify.port.value = asked.event_channel_port;
		return xpv_user_maps_set_notify(user, asked.index, &notify);
	case IOCTL_GNTDEV_GRANT_COPY:
		return copy_segments(from);
	}
	return -ENOTTY;
}

static const struct file_operations gntdev_fops = {
	.owner = THIS_MODULE,
	.open = gntdev_open,
	.release = gntdev_release,
	.unlocked_ioctl = gntdev_ioctl,
	.mmap = gntdev_mmap,
};

static struct miscdevice gntdev_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xen/gntdev",
	.fops = &gntdev_fops,
	.mode = 0600,
};

int xpv_gntdev_register(void)
{
	return misc_register(&gntdev_device);
}

void xpv_gntdev_unregister(void)
{
	misc_deregister(&gntdev_device);
}
