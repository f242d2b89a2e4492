// SPDX-License-Identifier: GPL-2.0-only
/* What the engine of a device writes to xenstore: its state, and the tag that marks the directory as its own. */
#include "xenbus/bus/device.hh"

#include "lib/log.hh"
#include "xenbus/transaction.hh"

using namespace xpv;

namespace {

constexpr unsigned int retry_tag_ms = 5000;

/* Return whether the error says nothing about the node, so that a retry may succeed. */
bool store_trouble(int error)
{
	return error == XEN_ETIMEDOUT || error == XEN_EIO || error == XEN_ENOMEM || error == XEN_EAGAIN;
}

} // namespace

/*
 * Publish the state of phase_. An error means that xenstore failed: retry.
 */
Status xpv_device::publish_state()
{
	xenbus_state wanted = state_in(phase_);
	/* Do not publish to a new backend that does not know this connection. */
	if (restoring())
		return Error(XEN_EAGAIN);
	if (published_ == static_cast<int>(wanted)) {
		if (phase_ == Phase::connected && !tagged_)
			tag_again();
		return {};
	}
	bool end = wanted == XenbusStateClosing || wanted == XenbusStateClosed;
	Status written = end ? publish_end(wanted) : publish_step(wanted);
	/* The device was removed or replaced: the next scan of the bus detects that. */
	bool not_ours = !written.ok() && (written.error() == XEN_ENODEV || written.error() == XEN_ENOENT);
	if (!written.ok() && !not_ours) {
		if (store_trouble(written.error().number()))
			return written;
		/* A retry would not help. The backend or the toolstack has to time out. */
		XPV_ERR_LIMITED("%s: cannot write state %d (%pe)", path(), static_cast<int>(wanted),
				err_ptr(written.code()));
	}
	published_ = static_cast<int>(wanted);
	return {};
}

/* Publish a state before the end. Also write the tag, once there is a device that must not use another's backend. */
Status xpv_device::publish_step(xenbus_state state)
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
		XPV_ERR_LIMITED("%s: cannot write %s (%pe)", path(), tag_key, err_ptr(items[0].result));
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
	auto published = static_cast<NodeState>(published_);
	Status written = in_transaction([&](xpv_store_transaction transaction) -> Status {
		OwnKey state_path = XPV_TRY(own_key("state"));
		OwnKey tag_path = XPV_TRY(own_key(tag_key));
		char state[16];
		int length = xpv_store_read(transaction, state_path.get(), state, sizeof(state));
		if (length < 0)
			return Error(length);
		if (parse_read_state(length, state) != published)
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
Status xpv_device::publish_end(xenbus_state state)
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
		auto its_backend = parse_decimal({ backend_id, static_cast<size_t>(items[1].result) });
		std::string_view its_path(backend, static_cast<size_t>(items[0].result));
		if (!its_backend.ok() || its_backend.value() != identity().backend.value ||
		    its_path != identity().backend_path.view())
			return Error(XEN_ENODEV);
		if (tagged_ && !is_tag({ tag, static_cast<size_t>(items[3].result) }))
			return Error(XEN_ENODEV);
		return status(xpv_store_write(transaction, state_path.get(), text));
	});
}
