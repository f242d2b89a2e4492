// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/xen/xenbus between a process and a user of the store, which the test
 * plays: what is written comes back to be read. The module of the real one
 * needs a store and is not loaded here, so the suite has a copy of its node.
 */
#include "xenbus/node/node_linux.c"

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/spinlock.h>

#define ROOM 6000

struct xpv_store_user {
	struct xpv_store_node *node;
	spinlock_t lock;
	char bytes[ROOM];
	size_t size; /* in bytes, from the start on */
	long read_error, write_error;
};

static struct xpv_store_user the_user;
static bool closed;

int xpv_store_user_open(struct xpv_store_node *node, struct xpv_store_user **user)
{
	memset(&the_user, 0, sizeof(the_user));
	spin_lock_init(&the_user.lock);
	the_user.node = node;
	closed = false;
	*user = &the_user;
	return 0;
}

void xpv_store_user_close(struct xpv_store_user *user)
{
	closed = true;
}

long xpv_store_user_write(struct xpv_store_user *user, const void *bytes, size_t size)
{
	long taken;

	spin_lock(&user->lock);
	taken = user->write_error ?: min(size, ROOM - user->size);
	if (taken > 0) {
		memcpy(user->bytes + user->size, bytes, taken);
		user->size += taken;
		xpv_store_node_wake(user->node);
	}
	spin_unlock(&user->lock);
	return taken;
}

bool xpv_store_user_writable(struct xpv_store_user *user)
{
	return READ_ONCE(user->size) < ROOM;
}

/* In pieces, as messages are. */
long xpv_store_user_peek(struct xpv_store_user *user, const void **bytes)
{
	*bytes = user->bytes;
	return user->read_error ?: min_t(long, READ_ONCE(user->size), 100);
}

void xpv_store_user_skip(struct xpv_store_user *user, size_t size)
{
	spin_lock(&user->lock);
	memmove(user->bytes, user->bytes + size, user->size - size);
	user->size -= size;
	xpv_store_node_wake(user->node);
	spin_unlock(&user->lock);
}

/* ---- System calls ---- */

#define MEMORY (4 * PAGE_SIZE)

struct process {
	struct file *file;
	char __user *memory;
};

static ssize_t do_read(struct process *process, size_t size)
{
	loff_t unused = 0;

	return process->file->f_op->read(process->file, process->memory, size, &unused);
}

static ssize_t do_write(struct process *process, const void __user *from, size_t size)
{
	loff_t unused = 0;

	return process->file->f_op->write(process->file, from, size, &unused);
}

/* Memory of a pattern that no shift of it equals. */
static void fill(struct kunit *test, char __user *at, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		KUNIT_ASSERT_EQ(test, 0, put_user((char)(i * 7 + i / 256), at + i));
}

static bool filled(struct kunit *test, const char __user *at, size_t from, size_t size)
{
	size_t i;
	char byte;

	for (i = 0; i < size; i++) {
		KUNIT_ASSERT_EQ(test, 0, get_user(byte, at + i));
		if (byte != (char)((from + i) * 7 + (from + i) / 256))
			return false;
	}
	return true;
}

static void bytes_go_through(struct kunit *test)
{
	struct process *process = test->priv;
	char __user *source = process->memory + 2 * PAGE_SIZE;
	size_t done = 0;

	fill(test, source, 5000);
	KUNIT_EXPECT_EQ(test, (ssize_t)0, do_write(process, source, 0));
	KUNIT_EXPECT_EQ(test, (ssize_t)0, do_read(process, 0));
	/* More than a page at once; read in pieces that are no message's. */
	KUNIT_EXPECT_EQ(test, (ssize_t)5000, do_write(process, source, 5000));
	while (done < 5000) {
		ssize_t part = do_read(process, 333);

		KUNIT_ASSERT_EQ(test, (ssize_t)min_t(size_t, 333, 5000 - done), part);
		KUNIT_EXPECT_TRUE(test, filled(test, process->memory, done, part));
		done += part;
	}
}

static void without_blocking(struct kunit *test)
{
	struct process *process = test->priv;

	process->file->f_flags |= O_NONBLOCK;
	KUNIT_EXPECT_EQ(test, (unsigned int)(EPOLLOUT | EPOLLWRNORM), (unsigned int)vfs_poll(process->file, NULL));
	KUNIT_EXPECT_EQ(test, (ssize_t)-EAGAIN, do_read(process, 10));
	KUNIT_EXPECT_EQ(test, (ssize_t)ROOM, do_write(process, process->memory, MEMORY));
	KUNIT_EXPECT_EQ(test, (ssize_t)-EAGAIN, do_write(process, process->memory, 10));
	KUNIT_EXPECT_EQ(test, (unsigned int)(EPOLLIN | EPOLLRDNORM), (unsigned int)vfs_poll(process->file, NULL));
	KUNIT_EXPECT_EQ(test, (ssize_t)100, do_read(process, 100));
	KUNIT_EXPECT_EQ(test, (ssize_t)100, do_write(process, process->memory, 200));
}

static int write_later(void *file)
{
	msleep(100);
	xpv_store_user_write(&the_user, "late", 4);
	return 0;
}

static int read_later(void *file)
{
	msleep(100);
	xpv_store_user_skip(&the_user, 1000);
	msleep(50);
	xpv_store_user_skip(&the_user, 1000);
	return 0;
}

static void blocks_until_there_is_something(struct kunit *test)
{
	struct process *process = test->priv;
	struct task_struct *thread = kthread_run(write_later, NULL, "write_later");

	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	KUNIT_EXPECT_EQ(test, (ssize_t)4, do_read(process, 10));
	msleep(50);
}

static void blocks_until_there_is_room(struct kunit *test)
{
	struct process *process = test->priv;
	struct task_struct *thread;

	KUNIT_ASSERT_EQ(test, (ssize_t)ROOM, do_write(process, process->memory, ROOM));
	thread = kthread_run(read_later, NULL, "read_later");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	KUNIT_EXPECT_EQ(test, (ssize_t)1500, do_write(process, process->memory, 1500));
	msleep(100);
	KUNIT_EXPECT_EQ(test, (size_t)(ROOM - 500), the_user.size);
}

static void errors_are_passed_on(struct kunit *test)
{
	struct process *process = test->priv;

	the_user.write_error = -E2BIG;
	KUNIT_EXPECT_EQ(test, (ssize_t)-E2BIG, do_write(process, process->memory, 10));
	the_user.write_error = 0;
	KUNIT_EXPECT_EQ(test, (ssize_t)-EFAULT, do_write(process, (void __user *)8, 10));
	KUNIT_EXPECT_EQ(test, (ssize_t)10, do_write(process, process->memory, 10));
	/* What could not be given is still there. */
	KUNIT_EXPECT_EQ(test, (ssize_t)-EFAULT, process->file->f_op->read(process->file, (char __user *)8, 10, NULL));
	KUNIT_EXPECT_EQ(test, (ssize_t)10, do_read(process, 20));
	the_user.read_error = -EIO;
	KUNIT_EXPECT_NE(test, 0u, (unsigned int)(vfs_poll(process->file, NULL) & EPOLLIN));
	KUNIT_EXPECT_EQ(test, (ssize_t)-EIO, do_read(process, 10));
}

static int node_suite_init(struct kunit_suite *suite)
{
	return xpv_store_node_register();
}

static void node_suite_exit(struct kunit_suite *suite)
{
	xpv_store_node_unregister();
}

static int node_test_init(struct kunit *test)
{
	struct process *process = kunit_kzalloc(test, sizeof(*process), GFP_KERNEL);
	unsigned long memory;

	KUNIT_ASSERT_NOT_NULL(test, process);
	memory = kunit_vm_mmap(test, NULL, 0, MEMORY, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, 0ul, memory);
	KUNIT_ASSERT_LT(test, memory, (unsigned long)TASK_SIZE);
	process->memory = (char __user *)memory;
	process->file = filp_open("/dev/xen/xenbus", O_RDWR, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(process->file));
	test->priv = process;
	return 0;
}

static void node_test_exit(struct kunit *test)
{
	struct process *process = test->priv;

	if (!process)
		return;
	fput(process->file);
	flush_delayed_fput();
	KUNIT_EXPECT_TRUE(test, closed);
}

static struct kunit_case node_cases[] = {
	KUNIT_CASE(bytes_go_through),
	KUNIT_CASE(without_blocking),
	KUNIT_CASE(blocks_until_there_is_something),
	KUNIT_CASE(blocks_until_there_is_room),
	KUNIT_CASE(errors_are_passed_on),
	{}
};

static struct kunit_suite node_suite = {
	.name = "xpv_xenbus_node",
	.suite_init = node_suite_init,
	.suite_exit = node_suite_exit,
	.init = node_test_init,
	.exit = node_test_exit,
	.test_cases = node_cases,
};
kunit_test_suite(node_suite);
