// SPDX-License-Identifier: GPL-2.0-only
/* What the engine of a device reads from and writes to xenstore. */
#include "xenbus/device.hh"

#include "lib/log.hh"
#include "xenbus/below.hh"
#include "xenbus/store.hh"
#include "xenbus/transaction.hh"

using namespace xpv;

namespace {

using StorePath = FixedText<384>;
constexpr unsigned int retry_tag_ms = 5000;

/* Return whether the error says nothing about the node, so that a retry may succeed. */
bool store_trouble(int error)
{
	return error == XEN_ETIMEDOUT || error == XEN_EIO || error == XEN_ENOMEM || error == XEN_EAGAIN;
}

/* Parse a state node. `read` is the result of xpv_store_read(). */
Theirs state_from(int read, const char *value)
{
	if (read >= 0)
		return parse_state({ value, static_cast<std::size_t>(read) });
	return read == -XEN_EMSGSIZE ? Theirs::nonsense : Theirs::missing;
}

Online online_from(int read, const char *value)
{
	if (read < 0)
		return Online::unsaid;
	return read == 1 && value[0] == '0' ? Online::no : Online::yes;
}

} // namespace

/* Return the path of a key in our own directory. */
Result<OwnKey> xpv_device::own_key(std::string_view key) const
{
	OwnKey path;
	XPV_TRY(path.assign({ path_.view(), "/", key }));
	return path;
}

/* ---- Reading ---- */

/*
 * Read the backend's state in one round trip. While we are Initialised also read
 * the driver's backend_keys, for its connect(): the values are not older than
 * the state Connected.
 */
Result<xpv_device::Look> xpv_device::look()
{
	is_known_ = false;
	bool learn = begun_ && phase_ == Phase::initialised;
	auto learned = learn ? static_cast<unsigned int>(known_.size()) : 0;
	char state[16];
	char online[4];
	char own[24];
	xpv_store_read_item items[2 + known_limit + 1] = {
		{ "state", state, sizeof(state), 0 },
		{ "online", online, sizeof(online), 0 },
	};
	unsigned int count = 2;
	for (unsigned int i = 0; i < learned; i++)
		items[count++] = { driver_->backend_keys[i], known_[i].value, sizeof(known_[i].value), 0 };
	Below<xpv_store_read_item> below(items, count);
	XPV_TRY(below.place(identity().backend_path.view()));
	/* From our own directory: at first our state, later the tag, to check that the directory is still ours. */
	OwnKey own_path = XPV_TRY(own_key(begun_ ? tag_key : "state"));
	bool is_tagged = tagged_;
	if (!begun_ || is_tagged)
		items[count++] = { own_path.get(), own, sizeof(own), 0 };

	/* Clear before reading: an event during the read makes the engine run again. */
	bool event = exchange(marks_.event, false);
	Status asked = status(xpv_store_read_many(XPV_STORE_NO_TRANSACTION, items, count));
	if (!asked.ok()) {
		write_once(marks_.event, event || read_once(marks_.event));
		return asked.error();
	}
	const xpv_store_read_item &last = items[count - 1];
	if (begun_ && is_tagged && !(last.result >= 0 && is_tag({ own, static_cast<std::size_t>(last.result) }))) {
		write_once(marks_.replaced, true);
		xpv_bus_rescan();
		return Error(XEN_ENODEV);
	}
	Theirs theirs = state_from(items[0].result, state);
	for (unsigned int i = 0; i < learned; i++)
		known_[i].result = items[2 + i].result;
	is_known_ = learned != 0 && theirs == Theirs::connected;
	return Look{ theirs, begun_ ? Theirs::missing : state_from(last.result, own),
		     online_from(items[1].result, online), event };
}

unsigned int xpv_device::keys(const xpv_frontend_driver &driver)
{
	unsigned int count = 0;
	while (driver.backend_keys && driver.backend_keys[count] && count < known_limit)
		count++;
	return count;
}

/* Register the watch before reading, so that no change is missed in between. */
Result<WatchTable::Adding> xpv_device::begin_watching()
{
	if (watch_)
		return WatchTable::Adding(); /* nothing to end */
	StorePath state_path;
	XPV_TRY(state_path.assign({ identity().backend_path.view(), "/state" }));
	return store().watches.begin(
		state_path.get(),
		[](xpv_store_watch_context *watched, const char *) {
			auto *self = static_cast<xpv_device *>(watched);
			write_once(self->marks_.event, true);
			self->schedule();
		},
		this);
}

void xpv_device::end_watching(Result<WatchTable::Adding> begun)
{
	if (watch_)
		return;
	auto watch = begun.ok() ? store().watches.end(begun.value()) : Result<Watch *>(begun.error());
	if (watch.ok())
		watch_ = watch.value();
	else
		XPV_ERR_LIMITED("%s: cannot watch the backend (error %d), polling it", path(), watch.error().number());
}

/* Return whether the watch is registered. Also false while xenstored refuses it and it is retried. */
bool xpv_device::is_watching() const
{
	return watch_ && xpv_store_watch_registered(watch_);
}

void xpv_device::stop_watching()
{
	xpv_store_watch_unregister(std::exchange(watch_, nullptr));
}

/* ---- Writing: our state node ---- */

/*
 * Publish the state of phase_. An error means that xenstore failed: retry.
 */
Status xpv_device::announce()
{
	xenbus_state wanted = published_state(phase_);
	/* Do not publish to a new backend that does not know this connection. */
	if (restoring())
		return Error(XEN_EAGAIN);
	if (published_ == static_cast<int>(wanted)) {
		if (phase_ == Phase::connected && !tagged_)
			tag_again();
		return {};
	}
	bool end = wanted == XenbusStateClosing || wanted == XenbusStateClosed;
	Status written = end ? announce_end(wanted) : announce_step(wanted);
	/* The device was removed or replaced: the next scan of the bus detects that. */
	bool not_ours = !written.ok() && (written.error() == XEN_ENODEV || written.error() == XEN_ENOENT);
	if (!written.ok() && !not_ours) {
		if (store_trouble(written.error().number()))
			return written;
		/* A retry would not help. The backend or the toolstack has to time out. */
		XPV_ERR_LIMITED("%s: cannot set the state to %d (error %d)", path(), static_cast<int>(wanted),
				written.error().number());
	}
	published_ = static_cast<int>(wanted);
	return {};
}

/* Publish a state before the end. Also write the tag, once there is a device that must not use another's backend. */
Status xpv_device::announce_step(xenbus_state state)
{
	OwnKey state_path = XPV_TRY(own_key("state"));
	OwnKey tag_path = XPV_TRY(own_key(tag_key));
	char text[4];
	xpv_format(text, sizeof(text), "%d", static_cast<int>(state));
	xpv_store_write_item items[] = {
		{ tag_path.get(), tag_.get(), -XEN_ENOMEM },
		{ state_path.get(), text, -XEN_ENOMEM },
	};
	if (!held_.device || tagged_)
		return status(xpv_store_write(XPV_STORE_NO_TRANSACTION, state_path.get(), text));
	Status asked = status(xpv_store_write_many(XPV_STORE_NO_TRANSACTION, items, 2));
	if (items[0].result == 0) {
		write_once(tagged_, true);
	} else if (items[1].result == 0) {
		/* Not fatal: the state was written. */
		XPV_ERR_LIMITED("%s: cannot write %s (error %d)", path(), tag_key, -items[0].result);
		retry_ms_ = retry_tag_ms;
	}
	return items[1].result == 0 ? Status() : asked;
}

/*
 * Retry to write the tag, which was refused, perhaps for a quota. A directory
 * whose state is not the one that we wrote is another device's, and must not get
 * the tag.
 */
void xpv_device::tag_again()
{
	auto published = static_cast<Theirs>(published_);
	Status written = in_transaction([&](xpv_store_transaction transaction) -> Status {
		OwnKey state_path = XPV_TRY(own_key("state"));
		OwnKey tag_path = XPV_TRY(own_key(tag_key));
		char state[16];
		int length = xpv_store_read(transaction, state_path.get(), state, sizeof(state));
		if (length < 0)
			return Error(length);
		if (state_from(length, state) != published)
			return Error(XEN_ENODEV);
		return status(xpv_store_write(transaction, tag_path.get(), tag_.get()));
	});
	if (written.ok()) {
		write_once(tagged_, true);
	} else if (written.error() == XEN_ENODEV) {
		write_once(marks_.replaced, true);
		xpv_bus_rescan();
	} else {
		retry_ms_ = retry_tag_ms;
	}
}

/*
 * Publish Closing or Closed. The toolstack may be removing or replacing the
 * device right now, and a replacement must not be told to close; so check in the
 * same transaction that the node is still ours. ENODEV if it is not.
 */
Status xpv_device::announce_end(xenbus_state state)
{
	OwnKey state_path = XPV_TRY(own_key("state"));
	OwnKey backend_path = XPV_TRY(own_key("backend"));
	OwnKey backend_id_path = XPV_TRY(own_key("backend-id"));
	OwnKey tag_path = XPV_TRY(own_key(tag_key));
	char text[4];
	xpv_format(text, sizeof(text), "%d", static_cast<int>(state));

	return in_transaction([&](xpv_store_transaction transaction) -> Status {
		char backend[256];
		char backend_id[8];
		char ours[16];
		char tag[24];
		xpv_store_read_item items[] = {
			{ backend_path.get(), backend, sizeof(backend), 0 },
			{ backend_id_path.get(), backend_id, sizeof(backend_id), 0 },
			{ state_path.get(), ours, sizeof(ours), 0 },
			{ tag_path.get(), tag, sizeof(tag), 0 },
		};
		XPV_TRY(status(xpv_store_read_many(transaction, items, tagged_ ? 4 : 3)));
		for (const xpv_store_read_item &item : items)
			if (item.result < 0)
				return Error(item.result);
		auto its_backend = parse_decimal({ backend_id, static_cast<std::size_t>(items[1].result) });
		std::string_view its_path(backend, static_cast<std::size_t>(items[0].result));
		if (!its_backend.ok() || its_backend.value() != identity().backend.value ||
		    its_path != identity().backend_path.view())
			return Error(XEN_ENODEV);
		if (tagged_ && !is_tag({ tag, static_cast<std::size_t>(items[3].result) }))
			return Error(XEN_ENODEV);
		return status(xpv_store_write(transaction, state_path.get(), text));
	});
}
