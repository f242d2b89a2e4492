// SPDX-License-Identifier: GPL-2.0-only
/* /dev/xen/evtchn, gntalloc and gntdev as a process uses them: system calls on real files, mappings in an address space. */

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/uaccess.h>
#include <xen/interface/event_channel.h>
#include <xen/interface/grant_table.h>
#include <xen/evtchn.h>
#include <xen/gntalloc.h>
#include <xen/gntdev.h>

#include "gnttab/gnttab_owned.h"
#include "tests/fake/fake_hypervisor.h"

static const struct xpv_domid peer = { 5 };
static const struct xpv_gref foreign = { 100 };

struct nodes {
	unsigned long memory; /* a page of user memory */
};

static struct file *open_node(struct kunit *test, const char *path)
{
	struct file *file = filp_open(path, O_RDWR, 0);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%s: %ld", path, PTR_ERR(file));
	return file;
}

static void close_node(struct file *file)
{
	fput(file);
	/* What a task does when it returns to user space; a kernel thread leaves it to a work item. */
	flush_delayed_fput();
}

/* An ioctl whose argument goes by user memory, there and back. */
static long control(struct kunit *test, struct file *file, unsigned int command, void *argument, size_t size)
{
	struct nodes *nodes = test->priv;
	void __user *at = (void __user *)nodes->memory;
	long code;

	KUNIT_ASSERT_EQ(test, 0ul, copy_to_user(at, argument, size));
	code = file->f_op->unlocked_ioctl(file, command, (unsigned long)at);
	KUNIT_ASSERT_EQ(test, 0ul, copy_from_user(argument, at, size));
	return code;
}

static ssize_t read_ports(struct kunit *test, struct file *file, u32 *ports, unsigned int most)
{
	struct nodes *nodes = test->priv;
	char __user *at = (char __user *)nodes->memory;
	loff_t unused = 0;
	ssize_t size = file->f_op->read(file, at, most * sizeof(*ports), &unused);

	if (size > 0)
		KUNIT_ASSERT_EQ(test, 0ul, copy_from_user(ports, at, size));
	return size;
}

static ssize_t write_port(struct kunit *test, struct file *file, u32 port)
{
	struct nodes *nodes = test->priv;
	loff_t unused = 0;

	KUNIT_ASSERT_EQ(test, 0, put_user(port, (u32 __user *)nodes->memory));
	return file->f_op->write(file, (char __user *)nodes->memory, sizeof(port), &unused);
}

static long bind_unbound(struct kunit *test, struct file *file)
{
	struct ioctl_evtchn_bind_unbound_port bind = { .remote_domain = peer.value };

	return control(test, file, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind, sizeof(bind));
}

static void evtchn_events_are_read(struct kunit *test)
{
	unsigned int open = xpv_fake_open_ports();
	struct file *file = open_node(test, "/dev/xen/evtchn");
	long port = bind_unbound(test, file);
	struct ioctl_evtchn_notify notify = { .port = port };
	u32 ports[4];

	KUNIT_ASSERT_GT(test, port, 0l);
	KUNIT_EXPECT_EQ(test, open + 1, xpv_fake_open_ports());
	KUNIT_EXPECT_EQ(test, 0u, vfs_poll(file, NULL) & EPOLLIN);
	xpv_fake_event((struct xpv_port){ port });
	/* Blocks until the interrupt has come. */
	KUNIT_EXPECT_EQ(test, (ssize_t)sizeof(u32), read_ports(test, file, ports, 4));
	KUNIT_EXPECT_EQ(test, (u32)port, ports[0]);

	/* Masked until it is written back. */
	file->f_flags |= O_NONBLOCK;
	xpv_fake_event((struct xpv_port){ port });
	msleep(50);
	KUNIT_EXPECT_EQ(test, (ssize_t)-EAGAIN, read_ports(test, file, ports, 4));
	KUNIT_EXPECT_EQ(test, (ssize_t)sizeof(u32), write_port(test, file, port));
	msleep(50);
	KUNIT_EXPECT_NE(test, 0u, vfs_poll(file, NULL) & EPOLLIN);
	KUNIT_EXPECT_EQ(test, (ssize_t)sizeof(u32), read_ports(test, file, ports, 4));

	xpv_fake_sent((struct xpv_port){ port });
	KUNIT_EXPECT_EQ(test, 0l, control(test, file, IOCTL_EVTCHN_NOTIFY, &notify, sizeof(notify)));
	KUNIT_EXPECT_EQ(test, 1u, xpv_fake_sent((struct xpv_port){ port }));
	notify.port = xpv_fake_toolstack_port().value;
	KUNIT_EXPECT_EQ(test, (long)-ENOTCONN, control(test, file, IOCTL_EVTCHN_NOTIFY, &notify, sizeof(notify)));
	close_node(file);
	KUNIT_EXPECT_EQ(test, open, xpv_fake_open_ports());
}

static void evtchn_closes_while_masked(struct kunit *test)
{
	unsigned int open = xpv_fake_open_ports();
	struct file *file = open_node(test, "/dev/xen/evtchn");
	unsigned int i;

	/* More ports than the ring has room for at first. */
	for (i = 0; i < 100; i++) {
		long port = bind_unbound(test, file);

		KUNIT_ASSERT_GT(test, port, 0l);
		xpv_fake_event((struct xpv_port){ port });
	}
	msleep(50);
	close_node(file);
	KUNIT_EXPECT_EQ(test, open, xpv_fake_open_ports());
}

static void gntalloc_shares_a_page(struct kunit *test)
{
	unsigned int active = xpv_fake_active_grants(), open = xpv_fake_open_ports();
	struct file *events = open_node(test, "/dev/xen/evtchn");
	struct file *file = open_node(test, "/dev/xen/gntalloc");
	struct ioctl_gntalloc_alloc_gref alloc = { .domid = peer.value, .flags = GNTALLOC_FLAG_WRITABLE, .count = 1 };
	long port = bind_unbound(test, events);
	struct ioctl_gntalloc_unmap_notify notify = {
		.action = UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT,
		.event_channel_port = port,
	};
	struct ioctl_gntalloc_dealloc_gref dealloc = { .count = 1 };
	struct xpv_grant_counts counts;
	struct xpv_gfn frame;
	unsigned long at;
	char *page;

	KUNIT_ASSERT_GT(test, port, 0l);
	KUNIT_ASSERT_EQ(test, 0l, control(test, file, IOCTL_GNTALLOC_ALLOC_GREF, &alloc, sizeof(alloc)));
	at = vm_mmap(file, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, alloc.index);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(at));
	KUNIT_ASSERT_EQ(test, 0, put_user('x', (char __user *)at + 7));
	KUNIT_ASSERT_EQ(test, 0, put_user('y', (char __user *)at + 8));
	KUNIT_ASSERT_EQ(test, 0, xpv_fake_map_grant(peer, (struct xpv_gref){ alloc.gref_ids[0] }, true, &frame));
	page = xpv_fake_memory(frame);
	KUNIT_EXPECT_EQ(test, 'x', page[7]);

	/* Two mappings cannot be had of what is not there. */
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(vm_mmap(file, 0, 2 * PAGE_SIZE, PROT_READ, MAP_SHARED, alloc.index)));
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(vm_mmap(file, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, alloc.index)));

	/* The notice comes with the end of the mapping, though the port's user is gone; the page stays, parked. */
	notify.index = alloc.index + 7;
	dealloc.index = alloc.index;
	KUNIT_EXPECT_EQ(test, 0l, control(test, file, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &notify, sizeof(notify)));
	KUNIT_EXPECT_EQ(test, 0l, control(test, file, IOCTL_GNTALLOC_DEALLOC_GREF, &dealloc, sizeof(dealloc)));
	close_node(events);
	xpv_fake_sent((struct xpv_port){ port });
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(at, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, open, xpv_fake_open_ports());
	KUNIT_EXPECT_EQ(test, 0, page[7]);
	KUNIT_EXPECT_EQ(test, 'y', page[8]);
	xpv_fake_unmap_grant((struct xpv_gref){ alloc.gref_ids[0] });
	close_node(file);
	/* Parked references are retried after 10 ms and more. */
	msleep(500);
	xpv_grant_get_counts(&counts);
	KUNIT_EXPECT_EQ(test, 0u, counts.parked);
	KUNIT_EXPECT_EQ(test, active, xpv_fake_active_grants());
}

static void gntdev_maps_a_page(struct kunit *test)
{
	char *theirs = xpv_fake_foreign_grant(peer, foreign, true);
	struct file *file = open_node(test, "/dev/xen/gntdev");
	struct ioctl_gntdev_map_grant_ref map = { .count = 1, .refs = { { peer.value, foreign.value } } };
	struct ioctl_gntdev_get_offset_for_vaddr find = {};
	struct ioctl_gntdev_unmap_grant_ref unmap = { .count = 1 };
	unsigned long at;
	char seen;

	KUNIT_ASSERT_NOT_NULL(test, theirs);
	theirs[7] = 'x';
	KUNIT_ASSERT_EQ(test, 0l, control(test, file, IOCTL_GNTDEV_MAP_GRANT_REF, &map, sizeof(map)));
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(vm_mmap(file, 0, 2 * PAGE_SIZE, PROT_READ, MAP_SHARED, map.index)));
	at = vm_mmap(file, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, map.index);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(at));
	KUNIT_EXPECT_EQ(test, 1u, xpv_fake_foreign_mapped());
	KUNIT_ASSERT_EQ(test, 0, get_user(seen, (char __user *)at + 7));
	KUNIT_EXPECT_EQ(test, 'x', seen);
	KUNIT_ASSERT_EQ(test, 0, put_user('y', (char __user *)at + 8));
	find.vaddr = at;
	KUNIT_EXPECT_EQ(test, 0l, control(test, file, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &find, sizeof(find)));
	KUNIT_EXPECT_EQ(test, (u64)map.index, (u64)find.offset);
	KUNIT_EXPECT_EQ(test, 1u, find.count);
	find.vaddr = ((struct nodes *)test->priv)->memory;
	KUNIT_EXPECT_EQ(test, (long)-EINVAL, control(test, file, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &find, sizeof(find)));

	unmap.index = map.index;
	KUNIT_EXPECT_EQ(test, 0l, control(test, file, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap, sizeof(unmap)));
	KUNIT_EXPECT_EQ(test, 1u, xpv_fake_foreign_mapped());
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(at, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0u, xpv_fake_foreign_mapped());
	KUNIT_EXPECT_EQ(test, 'y', theirs[8]);
	close_node(file);
	KUNIT_EXPECT_EQ(test, 0u, xpv_fake_foreign_end(peer, foreign));
}

static void gntdev_copies(struct kunit *test)
{
	char *theirs = xpv_fake_foreign_grant(peer, foreign, true);
	struct nodes *nodes = test->priv;
	struct file *file = open_node(test, "/dev/xen/gntdev");
	/* User memory: the segment at 1024, the source across the page's end. */
	struct gntdev_grant_copy_segment segment = {
		.source.virt = (void __user *)(nodes->memory + PAGE_SIZE - 4),
		.dest.foreign = { .ref = foreign.value, .offset = 16, .domid = peer.value },
		.len = 8,
		.flags = GNTCOPY_dest_gref,
		.status = 77,
	};
	struct gntdev_grant_copy_segment __user *at = (void __user *)(nodes->memory + 1024);
	struct ioctl_gntdev_grant_copy copy = { .count = 1, .segments = at };

	KUNIT_ASSERT_NOT_NULL(test, theirs);
	KUNIT_ASSERT_EQ(test, 0ul, copy_to_user(segment.source.virt, "abcdefgh", 8));
	KUNIT_ASSERT_EQ(test, 0ul, copy_to_user(at, &segment, sizeof(segment)));
	KUNIT_EXPECT_EQ(test, 0l, control(test, file, IOCTL_GNTDEV_GRANT_COPY, &copy, sizeof(copy)));
	KUNIT_ASSERT_EQ(test, 0ul, copy_from_user(&segment, at, sizeof(segment)));
	KUNIT_EXPECT_EQ(test, 0, (int)segment.status);
	KUNIT_EXPECT_EQ(test, 0, memcmp(theirs + 16, "abcdefgh", 8));

	/* A reference that does not exist is the segment's error, not the call's. */
	segment.dest.foreign.ref = 101;
	KUNIT_ASSERT_EQ(test, 0ul, copy_to_user(at, &segment, sizeof(segment)));
	KUNIT_EXPECT_EQ(test, 0l, control(test, file, IOCTL_GNTDEV_GRANT_COPY, &copy, sizeof(copy)));
	KUNIT_ASSERT_EQ(test, 0ul, copy_from_user(&segment, at, sizeof(segment)));
	KUNIT_EXPECT_LT(test, (int)segment.status, 0);
	close_node(file);
	KUNIT_EXPECT_EQ(test, 0u, xpv_fake_foreign_end(peer, foreign));
}

static int nodes_init(struct kunit *test)
{
	struct nodes *nodes = kunit_kzalloc(test, sizeof(*nodes), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, nodes);
	nodes->memory = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE,
				      0);
	KUNIT_ASSERT_NE(test, 0ul, nodes->memory);
	KUNIT_ASSERT_LT(test, nodes->memory, (unsigned long)TASK_SIZE);
	test->priv = nodes;
	return 0;
}

/* clang-format off */
static struct kunit_case nodes_cases[] = {
	KUNIT_CASE(evtchn_events_are_read),
	KUNIT_CASE(evtchn_closes_while_masked),
	KUNIT_CASE(gntalloc_shares_a_page),
	KUNIT_CASE(gntdev_maps_a_page),
	KUNIT_CASE(gntdev_copies),
	{}
};
/* clang-format on */

static struct kunit_suite nodes_suite = {
	.name = "xpv_nodes",
	.init = nodes_init,
	.test_cases = nodes_cases,
};
kunit_test_suite(nodes_suite);

MODULE_DESCRIPTION("xpv: tests of the nodes in /dev/xen");
MODULE_LICENSE("GPL");
