// SPDX-License-Identifier: GPL-2.0-only
/*
 * Acknowledge a request in a transaction, then pass it to Linux. The thread
 * suspends, retries reads, and forces a shutdown after user space's deadline.
 */
#include "suspend/control.hh"

#include "lib/log.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "suspend/linux.h"
#include "suspend/suspend.h"
#include "xenbus/transaction.hh"

using namespace xpv;

namespace xpv {

namespace {

constexpr const char *shutdown_path = "control/shutdown";
constexpr const char *sysrq_path = "control/sysrq";
/* The error node, named in the same pattern as those of devices. control/ itself belongs to the toolstack. */
constexpr const char *error_path = "error/control/shutdown/error";

/* Longer than any known request. */
constexpr size_t request_capacity = 24;
/*
 * libxl gives up 60 s after it sees the acknowledgement (libxl_dom_suspend.c:
 * domain_suspend_common_wait_guest()), and then nothing resumes a domain that
 * suspends later. The rest of the 60 s is for Linux's core to stop, and for Xen
 * to run this domain's vCPU 0 and dom0 under load.
 */
constexpr unsigned int suspend_limit_ms = 45000;

/* Read the text of a node; empty if there is no such node. EMSGSIZE: longer than any request. */
Result<std::string_view> read_node(xpv_store_transaction transaction, const char *path, char *buffer, size_t size)
{
	int length = xpv_store_read(transaction, path, buffer, size);
	if (length == -XEN_ENOENT)
		return std::string_view();
	if (length < 0)
		return Error(length);
	return std::string_view(buffer, static_cast<size_t>(length));
}

/* Read the current request, and its text for the log. */
Result<Request> read_request(xpv_store_transaction transaction, char (&text)[request_capacity])
{
	char buffer[request_capacity];
	auto node = read_node(transaction, shutdown_path, buffer, sizeof(buffer));
	if (!node.ok() && node.error() == XEN_EMSGSIZE) {
		make_printable("(more than any request)", text);
		return Request::unknown;
	}
	if (!node.ok())
		return node.error();
	make_printable(node.value(), text);
	return parse_request(node.value());
}

/* Read the key; 0 if there is no key. EMSGSIZE: not a single printable character, as Linux's keys are. */
Result<unsigned char> read_key(xpv_store_transaction transaction)
{
	char buffer[2];
	std::string_view text = XPV_TRY(read_node(transaction, sysrq_path, buffer, sizeof(buffer)));
	if (text.empty())
		return static_cast<unsigned char>(0);
	if (text[0] <= ' ' || text[0] > '~')
		return Error(XEN_EMSGSIZE);
	return static_cast<unsigned char>(text[0]);
}

/*
 * Advertise the features, or withdraw them. The toolstack creates the nodes,
 * empty, and only their content is ours: we could not create a node again after
 * removing it.
 */
void advertise(bool present)
{
	const char *can = present ? "1" : "";
	xpv_store_write_item items[] = {
		{ .path = "control/feature-poweroff", .value = can, .result = 0 },
		{ .path = "control/feature-reboot", .value = can, .result = 0 },
		{ .path = "control/feature-suspend", .value = can, .result = 0 },
	};
	int code = xpv_store_write_many(XPV_STORE_NO_TRANSACTION, items, sizeof(items) / sizeof(items[0]));
	/* Not an error: some toolstacks do not create these nodes. */
	if (code < 0 && code != -XEN_EACCES && code != -XEN_ENOENT)
		XPV_ERR_LIMITED("control/feature-*: cannot write (%pe)", err_ptr(code));
}

} // namespace

Status Control::start()
{
	XPV_TRY(thread_.start("xpv-control"));
	/* Each watch fires once at its start, and so finds earlier requests. */
	XPV_TRY(shutdown_watch_.start(shutdown_path));
	XPV_TRY(sysrq_watch_.start(sysrq_path));
	advertise(true);
	return {};
}

void Control::stop()
{
	bool started = sysrq_watch_.started();
	sysrq_watch_.stop();
	shutdown_watch_.stop();
	write_once(stopping_, true);
	wake();
	thread_.stop();
	if (started)
		advertise(false);
}

/* Without the mutex, which may be held for as long as xenstored takes to answer. */
void Control::going_down()
{
	write_once(down_, true);
}

Activity Control::activity_locked() const
{
	return read_once(down_) ? Activity::going_down : activity_;
}

/* ---- control/shutdown ---- */

void Control::poll()
{
	MutexGuard guard(mutex_);
	Status polled = poll_locked();
	retry_at_ms_ = 0;
	if (polled.ok()) {
		failures_ = 0;
		return;
	}
	XPV_ERR_LIMITED("control/shutdown: cannot read or acknowledge the request (%pe)", err_ptr(polled.code()));
	/*
	 * Stop retrying after some failures, or on EIO, because a broken
	 * xenstore stays broken. A write to the node fires the watch in any
	 * case.
	 */
	if (failures_ >= retries || polled.error() == XEN_EIO) {
		failures_ = 0;
		return;
	}
	retry_at_ms_ = xpv_now_ms() + (first_retry_ms << failures_++);
	wake();
}

Status Control::poll_locked()
{
	/*
	 * Read without a transaction first: usually there is nothing to
	 * acknowledge, for example after each acknowledgement.
	 */
	char text[request_capacity];
	Request request = XPV_TRY(read_request(XPV_STORE_NO_TRANSACTION, text));
	switch (answer_to(request, activity_locked())) {
	case Answer::nothing:
	case Answer::later:
		return {};
	case Answer::refuse:
		XPV_ERR_LIMITED("control/shutdown: refusing %s while %s", name_of(request), name_of(activity_locked()));
		return {};
	case Answer::complain:
		XPV_ERR_LIMITED("control/shutdown: unknown request '%s'", text);
		return {};
	case Answer::start:
	case Answer::again:
	case Answer::instead:
		break;
	}
	return acknowledge_locked();
}

/* Acknowledge in a transaction: the request may have been withdrawn or replaced since it was read. */
Status Control::acknowledge_locked()
{
	Request request = Request::none;
	Answer answer = Answer::nothing;
	uint64_t begun_ms = 0;
	const Activity activity = activity_locked();
	Status done = in_transaction([&](xpv_store_transaction transaction) -> Status {
		/*
		 * The time of the last attempt. Earlier attempts were not
		 * committed, so the toolstack sees no earlier acknowledgement.
		 */
		begun_ms = xpv_now_ms();
		char text[request_capacity];
		request = XPV_TRY(read_request(transaction, text));
		answer = answer_to(request, activity);
		return acknowledges(answer) ? status(xpv_store_write(transaction, shutdown_path, "")) : Status();
	});
	if (!done.ok())
		return done;
	/* A request that replaced it fires the watch again. */
	if (acknowledges(answer))
		act_locked(request, answer, begun_ms);
	return {};
}

void Control::act_locked(Request request, Answer answer, uint64_t begun_ms)
{
	XPV_NOTICE("control/shutdown: toolstack requested %s%s", name_of(request),
		   answer == Answer::again ? " again" : "");
	switch (request) {
	case Request::poweroff:
	case Request::halt:
		if (answer != Answer::again)
			give_time_locked(Activity::powering_off);
		xpv_linux_power_off();
		break;
	case Request::reboot:
		if (answer != Answer::again)
			give_time_locked(Activity::rebooting);
		xpv_linux_reboot();
		break;
	case Request::suspend:
		activity_ = Activity::suspending;
		suspend_deadline_ms_ = begun_ms + suspend_limit_ms;
		wake();
		break;
	case Request::none:
	case Request::unknown:
		break;
	}
}

/*
 * Start user space's deadline. Without a limit there is no way to find out that
 * user space did nothing, so then each request is handled like the first one.
 */
void Control::give_time_locked(Activity activity)
{
	unsigned int seconds = xpv_linux_shutdown_timeout();
	activity_ = seconds ? activity : Activity::running;
	deadline_ms_ = seconds ? xpv_now_ms() + uint64_t(seconds) * 1000 : 0;
	wake();
}

/* ---- control/sysrq ---- */

Result<unsigned char> Control::take_key()
{
	unsigned char key = XPV_TRY(read_key(XPV_STORE_NO_TRANSACTION));
	if (!key)
		return key;
	Status done = in_transaction([&](xpv_store_transaction transaction) -> Status {
		key = XPV_TRY(read_key(transaction));
		return key ? status(xpv_store_write(transaction, sysrq_path, "")) : Status();
	});
	if (!done.ok())
		return done.error();
	return key;
}

void Control::read_sysrq()
{
	auto key = take_key();
	if (!key.ok() && key.error() == XEN_EMSGSIZE)
		XPV_ERR_LIMITED("control/sysrq: not a single printable character");
	else if (!key.ok())
		XPV_ERR_LIMITED("control/sysrq: cannot read or acknowledge the key (%pe)", err_ptr(key.code()));
	else if (key.value())
		xpv_linux_sysrq(key.value());
}

/* ---- The thread ---- */

void Control::wake()
{
	write_once(woken_, true);
	wait_queue_.wake_all();
}

void Control::run()
{
	/* All disks are stopped during a suspend, and this thread has to restart them: it must not wait for I/O. */
	NoIoScope no_io;
	auto woken = [this] { return read_once(woken_) || read_once(stopping_); };
	while (!read_once(stopping_)) {
		write_once(woken_, false);
		Due next = due();
		switch (next.what) {
		case Due::suspend:
			suspend(next.suspend_deadline_ms);
			continue;
		case Due::poll:
			poll();
			continue;
		case Due::power_off:
			XPV_WARNING("user space did not power off in time, forcing poweroff");
			xpv_linux_force_power_off();
			continue;
		case Due::reboot:
			XPV_WARNING("user space did not reboot in time, forcing reboot");
			xpv_linux_force_reboot();
			continue;
		case Due::nothing:
			break;
		}
		/* A timeout needs no handling: check again what is due. */
		ignore(wait_queue_.wait_ms(next.wait_ms, woken));
	}
}

Control::Due Control::due()
{
	MutexGuard guard(mutex_);
	uint64_t now = xpv_now_ms();
	if (read_once(down_))
		return {};
	if (activity_ == Activity::suspending)
		return { .what = Due::suspend, .suspend_deadline_ms = suspend_deadline_ms_ };
	if (deadline_ms_ && now >= deadline_ms_) {
		deadline_ms_ = 0;
		return { .what = activity_ == Activity::rebooting ? Due::reboot : Due::power_off };
	}
	if (retry_at_ms_ && now >= retry_at_ms_)
		return { .what = Due::poll };
	Due next;
	for (uint64_t at : { deadline_ms_, retry_at_ms_ })
		if (at && at - now < next.wait_ms)
			next.wait_ms = static_cast<unsigned int>(at - now);
	return next;
}

void Control::suspend(uint64_t deadline_ms)
{
	/* Remove the error of an earlier attempt; a failure to do so must not prevent the suspend. */
	ignore(status(xpv_store_remove(XPV_STORE_NO_TRANSACTION, error_path)));
	char reason[128] = {};
	int code = xpv_suspend(deadline_ms, reason, sizeof(reason));
	reason[sizeof(reason) - 1] = 0;
	if (code < 0) {
		char text[160];
		XPV_ERR("control/shutdown: suspend failed: %s (%pe)", reason, err_ptr(code));
		xpv_format(text, sizeof(text), "%d suspend: %s", -code, reason);
		/* Ignore a failure: the error is in the log. */
		ignore(status(xpv_store_write(XPV_STORE_NO_TRANSACTION, error_path, text)));
	} else {
		/* Advertise again: a new domain's nodes are empty. */
		advertise(true);
	}
	{
		MutexGuard guard(mutex_);
		activity_ = Activity::running;
	}
	/* Handle requests made meanwhile. */
	poll();
}

namespace {

constinit Control *the_control;

} // namespace

} // namespace xpv

int xpv_control_start()
{
	auto made = make<Control>(XPV_MAY_SLEEP);
	if (!made.ok())
		return made.code();
	Owned<Control> control = made.take();
	Status started = control->start();
	if (!started.ok())
		return started.code();
	write_once(the_control, control.release());
	return 0;
}

void xpv_control_stop()
{
	Owned<Control> control(std::exchange(the_control, nullptr));
}

void xpv_control_going_down()
{
	if (Control *control = read_once(the_control))
		control->going_down();
}
