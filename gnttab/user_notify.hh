/* SPDX-License-Identifier: GPL-2.0-only */
/* How another domain is notified when user space unmaps memory that the two share, or exits. */
#pragma once

#include <cstdint>
#include <utility>

#include "evtchn/evtchn_owned.h"
#include "gnttab/linux.h"
#include "lib/result.hh"

namespace xpv {

class UnmapNotify {
public:
	UnmapNotify() = default;
	UnmapNotify(const UnmapNotify &) = delete;
	UnmapNotify &operator=(const UnmapNotify &) = delete;
	~UnmapNotify() { xpv_event_port_release(held_); }

	/*
	 * Set the notification. EINVAL for a port that user space does not own,
	 * or an unknown action; then nothing changes. Sleeping context.
	 */
	[[nodiscard]] Status set(uint64_t offset, const xpv_unmap_notify &notify)
	{
		if (notify.action & ~(XPV_UNMAP_CLEAR_BYTE | XPV_UNMAP_SEND_EVENT))
			return Error(XEN_EINVAL);
		xpv_held_port *held = nullptr;
		if (notify.action & XPV_UNMAP_SEND_EVENT)
			XPV_TRY(status(xpv_event_port_hold(notify.port, &held)));
		xpv_event_port_release(std::exchange(held_, held));
		clears_ = notify.action & XPV_UNMAP_CLEAR_BYTE;
		offset_ = offset;
		return {};
	}
	/* Return, once, whether the byte at offset() must be cleared before the memory is unmapped. */
	[[nodiscard]] bool clears() { return std::exchange(clears_, false); }
	[[nodiscard]] uint64_t offset() const { return offset_; }
	/* Send the event, once, after the memory was unmapped. Sleeping context. */
	void send()
	{
		if (!held_)
			return;
		/* Ignore errors: the other end may be gone. */
		ignore(status(xpv_event_port_notify(held_)));
		xpv_event_port_release(std::exchange(held_, nullptr));
	}

private:
	xpv_held_port *held_ = nullptr;
	bool clears_ = false;
	uint64_t offset_ = 0; /* in bytes, in the owner's page or map */
};

} // namespace xpv
