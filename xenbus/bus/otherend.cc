// SPDX-License-Identifier: GPL-2.0-only
/* What the engine of a device reads: the backend's state and keys, and whether our directory is still ours. */
#include "xenbus/bus/device.hh"

#include "lib/log.hh"
#include "xenbus/bus/path_prefix.hh"
#include "xenbus/store/store.hh"

using namespace xpv;

namespace {

using StorePath = FixedText<384>;

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

/*
 * Read the backend's state in one round trip. While we are Initialised also read
 * the driver's backend_keys, for its connect(): the values are not older than
 * the state Connected.
 */
Result<xpv_device::Snapshot> xpv_device::read_snapshot()
{
	cache_valid_ = false;
	bool caching = begun_ && phase_ == Phase::initialised;
	auto cached = caching ? static_cast<unsigned int>(cached_.size()) : 0;
	char state[16];
	char online[4];
	char own[24];
	xpv_store_read_item items[2 + cached_limit + 1] = {
		{ "state", state, sizeof(state), 0 },
		{ "online", online, sizeof(online), 0 },
	};
	unsigned int count = 2;
	for (unsigned int i = 0; i < cached; i++)
		items[count++] = { driver_->backend_keys[i], cached_[i].value, sizeof(cached_[i].value), 0 };
	ScopedPathPrefix<xpv_store_read_item> prefixed(items, count);
	XPV_TRY(prefixed.place(identity().backend_path.view()));
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
	if (begun_ && is_tagged && !(last.result >= 0 && is_tag({ own, static_cast<size_t>(last.result) }))) {
		write_once(marks_.replaced, true);
		xpv_bus_rescan();
		return Error(XEN_ENODEV);
	}
	NodeState backend = parse_read_state(items[0].result, state);
	for (unsigned int i = 0; i < cached; i++)
		cached_[i].result = items[2 + i].result;
	cache_valid_ = cached != 0 && backend == NodeState::connected;
	return Snapshot{ backend, begun_ ? NodeState::missing : parse_read_state(last.result, own),
			 online_from(items[1].result, online), event };
}

unsigned int xpv_device::keys(const xpv_frontend_driver &driver)
{
	unsigned int count = 0;
	while (driver.backend_keys && driver.backend_keys[count] && count < cached_limit)
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
		XPV_ERR_LIMITED("%s: cannot watch the backend (%pe), polling it", path(), err_ptr(watch.code()));
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
