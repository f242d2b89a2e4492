// SPDX-License-Identifier: GPL-2.0-only
/*
 * The example of a frontend, with the bus and the event channel as fakes in
 * this file, and a backend that answers at once, or lies.
 */

#include <linux/module.h>
#include <linux/uaccess.h>

/* The suite has a copy of its own of the file under test, and is its bus, its channel and its user space. */
#define xpv_device_set_context kunit_device_set_context
#define xpv_device_get_context kunit_device_get_context
#define xpv_device_linux kunit_device_linux
#define xpv_device_backend_domain kunit_device_backend_domain
#define xpv_device_initialised kunit_device_initialised
#define xpv_device_fail kunit_device_fail
#define xpv_frontend_driver_register kunit_driver_register
#define xpv_frontend_driver_unregister kunit_driver_unregister
#define xpv_event_channel_alloc_unbound kunit_channel_alloc_unbound
#define xpv_event_channel_close kunit_channel_close
#define xpv_event_channel_port kunit_channel_port
#define xpv_event_channel_notify kunit_channel_notify
#define xpv_event_channel_spurious kunit_channel_spurious
#undef module_init
#undef module_exit
#define module_init(function) static int (*const module_begins)(void) __maybe_unused = function
#define module_exit(function) static void (*const module_ends)(void) __maybe_unused = function
#define copy_to_user(to, from, size) (memcpy((__force void *)(to), from, size), 0)
#define copy_from_user(to, from, size) (memcpy(to, (__force const void *)(from), size), 0)
#include "examples/echo/echofront.c"
#include "gnttab/gnttab_owned.h"

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/string.h>

struct xpv_event_channel {
	xpv_event_handler *handler;
	struct xpv_event_context *context;
	unsigned int spurious;
	bool open;
};

struct xpv_device {
	struct xpv_device_context *context;
	char ring_ref[16], port[16];
	int publish_error, channel_error;
	int failure;
	bool serves;
	u32 produced, consumed; /* the backend's */
};

static struct xpv_device device;
static struct xpv_event_channel the_channel;

/* ---- The bus ---- */

void kunit_device_set_context(struct xpv_device *one, struct xpv_device_context *context)
{
	one->context = context;
}

struct xpv_device_context *kunit_device_get_context(const struct xpv_device *one)
{
	return one->context;
}

struct device *kunit_device_linux(struct xpv_device *one)
{
	return NULL;
}

struct xpv_domid kunit_device_backend_domain(const struct xpv_device *one)
{
	return (struct xpv_domid){ 0 };
}

int kunit_device_initialised(struct xpv_device *one, struct xpv_store_write_item *items, unsigned int count)
{
	if (one->publish_error || count != 2)
		return one->publish_error ?: -EINVAL;
	strscpy(one->ring_ref, items[0].value, sizeof(one->ring_ref));
	strscpy(one->port, items[1].value, sizeof(one->port));
	return 0;
}

void kunit_device_fail(struct xpv_device *one, int error, const char *format, ...)
{
	one->failure = error;
}

int kunit_driver_register(const struct xpv_frontend_driver *frontend, struct module *owner)
{
	return 0;
}

void kunit_driver_unregister(const struct xpv_frontend_driver *frontend)
{
}

/* ---- The event channel, and the backend at its other end ---- */

static struct echo *the_echo(void)
{
	return echo_of(&device);
}

static void send_event(void)
{
	unsigned long flags;

	local_irq_save(flags);
	the_channel.handler(the_channel.context);
	local_irq_restore(flags);
}

static void serve(void)
{
	struct echo_page *page = the_echo()->page;

	while (device.consumed != READ_ONCE(page->request_produced) &&
	       device.produced - READ_ONCE(page->response_consumed) < ECHO_SIZE)
		page->response[device.produced++ % ECHO_SIZE] = page->request[device.consumed++ % ECHO_SIZE];
	WRITE_ONCE(page->request_consumed, device.consumed);
	WRITE_ONCE(page->response_produced, device.produced);
	send_event();
}

int kunit_channel_alloc_unbound(struct xpv_domid remote, const struct xpv_event_channel_args *args,
				struct xpv_event_channel **channel)
{
	if (device.channel_error)
		return device.channel_error;
	the_channel = (struct xpv_event_channel){
		.handler = args->handler,
		.context = args->context,
		.open = true,
	};
	/* Nobody has to wait until the port is known. */
	send_event();
	*channel = &the_channel;
	return 0;
}

void kunit_channel_close(struct xpv_event_channel *channel)
{
	if (channel)
		channel->open = false;
}

struct xpv_port kunit_channel_port(const struct xpv_event_channel *channel)
{
	return (struct xpv_port){ 17 };
}

int kunit_channel_notify(struct xpv_event_channel *channel)
{
	if (device.serves)
		serve();
	return 0;
}

void kunit_channel_spurious(struct xpv_event_channel *channel)
{
	channel->spurious++;
}

/* ---- A user ---- */

static struct file file;

static void open_file(struct kunit *test)
{
	static struct inode inode;

	memset(&file, 0, sizeof(file));
	file.f_flags = O_NONBLOCK;
	file.private_data = &the_echo()->misc;
	KUNIT_ASSERT_EQ(test, echo_open(&inode, &file), 0);
}

static ssize_t reads(void *to, size_t size)
{
	return echo_read(&file, (char __user *)to, size, NULL);
}

static ssize_t writes(const void *from, size_t size)
{
	return echo_write(&file, (const char __user *)from, size, NULL);
}

static u8 pattern(unsigned int position)
{
	return position * 7 + position / 256;
}

/* ---- The cases ---- */

static unsigned int free_grants(void)
{
	struct xpv_grant_counts counts;

	xpv_grant_get_counts(&counts);
	return counts.free + counts.parked * 100000;
}

static unsigned int grants_at_first;

static void connect_device(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, echo_negotiate(&device), 0);
	device.produced = device.consumed = 0;
	KUNIT_EXPECT_STREQ(test, device.port, "17");
	KUNIT_ASSERT_EQ(test, echo_connect(&device), 0);
}

static int echo_test_init(struct kunit *test)
{
	grants_at_first = free_grants();
	device = (struct xpv_device){ .serves = true };
	return echo_probe(&device);
}

/* Leaves nothing; a case that did so itself has set the context to NULL. */
static void echo_test_exit(struct kunit *test)
{
	if (!device.context)
		return;
	if (the_echo()->page)
		echo_disconnect(&device);
	echo_remove(&device);
	KUNIT_EXPECT_FALSE(test, the_channel.open);
	KUNIT_EXPECT_EQ(test, free_grants(), grants_at_first);
}

static void bytes_come_back(struct kunit *test)
{
	unsigned int written = 0, read = 0, i;
	u8 buffer[700];

	connect_device(test);
	open_file(test);
	while (read < 20000) {
		ssize_t size = 0;

		for (i = 0; i < sizeof(buffer); i++)
			buffer[i] = pattern(written + i);
		size = writes(buffer, 1 + written % sizeof(buffer));
		if (size > 0)
			written += size;
		else
			KUNIT_ASSERT_EQ(test, size, -EAGAIN);
		size = reads(buffer, 1 + read % sizeof(buffer));
		for (i = 0; i < size; i++)
			KUNIT_ASSERT_EQ(test, buffer[i], pattern(read + i));
		read += size;
	}
	echo_release(NULL, &file);
}

static void full_and_empty(struct kunit *test)
{
	u8 byte = 1;
	int count = 0;

	connect_device(test);
	open_file(test);
	KUNIT_EXPECT_EQ(test, reads(&byte, 1), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reads(&byte, 0), 0);
	while (writes(&byte, 1) == 1)
		count++;
	KUNIT_EXPECT_EQ(test, count, 2 * ECHO_SIZE);
	while (reads(&byte, 1) == 1)
		count--;
	KUNIT_EXPECT_EQ(test, count, 0);
	echo_release(NULL, &file);
}

/*
 * Cases 1 and 2, for a ring of bytes. The backend announces more bytes than the
 * ring holds, and takes more than were written. A frontend that believes it
 * copies old contents of the page to user space, or writes over what was not
 * taken. The read and the write must fail with EIO, and the device with them.
 * Our own indices, if overwritten, must have no effect.
 */
static void backend_that_lies(struct kunit *test)
{
	struct echo_page *page;
	u8 byte = 1;

	connect_device(test);
	open_file(test);
	page = the_echo()->page;
	device.serves = false;
	KUNIT_EXPECT_EQ(test, writes(&byte, 1), 1);

	WRITE_ONCE(page->response_produced, ECHO_SIZE + 1);
	KUNIT_EXPECT_EQ(test, reads(&byte, 1), -EIO);
	KUNIT_EXPECT_EQ(test, device.failure, -EPROTO);
	device.failure = 0;
	WRITE_ONCE(page->request_consumed, 2);
	KUNIT_EXPECT_EQ(test, writes(&byte, 1), -EIO);
	KUNIT_EXPECT_EQ(test, device.failure, -EPROTO);

	/* What it writes over our own indices changes nothing. */
	WRITE_ONCE(page->response_produced, 0);
	WRITE_ONCE(page->request_consumed, 1);
	WRITE_ONCE(page->request_produced, 77);
	WRITE_ONCE(page->response_consumed, 99);
	KUNIT_EXPECT_EQ(test, reads(&byte, 1), -EAGAIN);
	KUNIT_EXPECT_EQ(test, writes(&byte, 1), 1);
	KUNIT_EXPECT_EQ(test, page->request_produced, 2);
	echo_release(NULL, &file);
}

/*
 * Case 17. The backend sends events without work. A frontend that handles each
 * as useful lets the backend occupy a CPU. Each must be reported to the channel
 * as spurious, and an event that brings a byte must not.
 */
static void events_for_nothing(struct kunit *test)
{
	unsigned int events;

	connect_device(test);
	events = the_echo()->events;
	send_event();
	send_event();
	KUNIT_EXPECT_EQ(test, the_channel.spurious, 2);
	KUNIT_EXPECT_EQ(test, the_echo()->events, events);
	WRITE_ONCE(the_echo()->page->response_produced, 1);
	send_event();
	KUNIT_EXPECT_EQ(test, the_channel.spurious, 2);
	KUNIT_EXPECT_EQ(test, the_echo()->events, events + 1);
}

static struct completion started, ended;
static ssize_t reader_result;

static int reader(void *unused)
{
	u8 byte;

	complete(&started);
	reader_result = reads(&byte, 1);
	complete(&ended);
	return 0;
}

static void goes_away_under_a_reader(struct kunit *test)
{
	struct task_struct *task;
	u8 byte;

	init_completion(&started);
	init_completion(&ended);
	connect_device(test);
	open_file(test);
	file.f_flags = 0;
	task = kthread_run(reader, NULL, "echo reader");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_for_completion(&started);
	KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&ended, HZ / 10), 0);
	echo_disconnect(&device);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&ended, 10 * HZ), 0);
	KUNIT_EXPECT_EQ(test, reader_result, -ENODEV);

	/* The file outlives the device. */
	echo_remove(&device);
	device.context = NULL;
	KUNIT_EXPECT_EQ(test, reads(&byte, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, writes(&byte, 1), -ENODEV);
	echo_release(NULL, &file);
	KUNIT_EXPECT_EQ(test, free_grants(), grants_at_first);
}

static void negotiates_again(struct kunit *test)
{
	u8 byte = 5;

	device.publish_error = -EACCES;
	KUNIT_EXPECT_EQ(test, echo_negotiate(&device), -EACCES);
	KUNIT_EXPECT_FALSE(test, the_channel.open);
	device.publish_error = 0;
	device.channel_error = -ENOSPC;
	KUNIT_EXPECT_EQ(test, echo_negotiate(&device), -ENOSPC);
	device.channel_error = 0;
	KUNIT_EXPECT_EQ(test, free_grants(), grants_at_first);
	KUNIT_EXPECT_PTR_EQ(test, the_echo()->page, NULL);

	/* A backend that never came, then one that came twice. */
	KUNIT_ASSERT_EQ(test, echo_negotiate(&device), 0);
	echo_disconnect(&device);
	connect_device(test);
	open_file(test);
	KUNIT_EXPECT_EQ(test, writes(&byte, 1), 1);
	echo_disconnect(&device);
	KUNIT_EXPECT_EQ(test, reads(&byte, 1), -ENODEV);
	connect_device(test);
	KUNIT_EXPECT_EQ(test, reads(&byte, 1), -EAGAIN);
	KUNIT_EXPECT_EQ(test, writes(&byte, 1), 1);
	KUNIT_EXPECT_EQ(test, reads(&byte, 1), 1);
	echo_release(NULL, &file);
}

static struct kunit_case echo_cases[] = {
	KUNIT_CASE(bytes_come_back),
	KUNIT_CASE(full_and_empty),
	KUNIT_CASE(backend_that_lies),
	KUNIT_CASE(events_for_nothing),
	KUNIT_CASE(goes_away_under_a_reader),
	KUNIT_CASE(negotiates_again),
	{}
};

static struct kunit_suite echo_suite = {
	.name = "xpv_echo",
	.init = echo_test_init,
	.exit = echo_test_exit,
	.test_cases = echo_cases,
};
kunit_test_suite(echo_suite);
