/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page and a port that the toolstack sets up for the domain before it runs, and
 * passes in HVM parameters (hvm/params.h): those of xenstore and of the console.
 */
#pragma once

#include "hypervisor/hypercall.hh"

#include "evtchn/evtchn.h"
#include "hypervisor/window.h"
#include "lib/ordering.hh"
#include "lib/result.hh"

namespace xpv {

class ToolstackChannel {
public:
	/* The HVM parameters with the page's frame and the port. */
	struct Parameters {
		uint32_t frame;
		uint32_t port;
	};

	/* `name` is that of the window, for debugfs; it must live as long as this object. */
	constexpr ToolstackChannel(Parameters parameters, const char *name) : parameters_(parameters), name_(name) {}
	~ToolstackChannel() { close(); }
	ToolstackChannel(const ToolstackChannel &) = delete;
	ToolstackChannel &operator=(const ToolstackChannel &) = delete;

	/*
	 * Map the page and bind the port. ENODEV when the toolstack set up no channel;
	 * other errors as of xpv_window_map() and xpv_event_channel_adopt(). The
	 * handler may run before this returns. Sleeping context.
	 */
	[[nodiscard]] Status open(const xpv_event_channel_args &args)
	{
		Place place = XPV_TRY(find());
		window_ = xpv_window_create(1, name_);
		if (!window_)
			return Error(XEN_ENOMEM);
		XPV_TRY(map(place.frame));
		xpv_event_channel *channel;
		XPV_TRY(status(xpv_event_channel_adopt(place.port, &args, &channel)));
		write_once(channel_, channel);
		return {};
	}

	/*
	 * Map the page and bind the port again in a restored domain: the port is
	 * another, and the page may be. Nothing may use the page meanwhile. After an
	 * error the channel is lost, and the page must not be used. Sleeping context.
	 */
	[[nodiscard]] Status find_again()
	{
		Place place = XPV_TRY(find());
		if (place.frame.value != frame_.value) {
			XPV_TRY(status(xpv_window_unmap(window_, 0)));
			XPV_TRY(map(place.frame));
		}
		return status(xpv_event_channel_rebind_adopted(channel_, place.port));
	}

	/*
	 * Unbind the port and unmap the page. On return no handler runs, and the page
	 * must not be used. Sleeping context; not from the handler.
	 */
	void close()
	{
		xpv_event_channel_close(std::exchange(channel_, nullptr));
		xpv_window_destroy(std::exchange(window_, nullptr));
	}

	/* Return the page. Valid from open() to close(). */
	[[nodiscard]] void *page() const { return xpv_window_address(window_); }
	/*
	 * Return the channel; nullptr until open() has returned, which may be after the
	 * first run of the handler. Any context.
	 */
	[[nodiscard]] xpv_event_channel *channel() const { return read_once(channel_); }
	/* Send an event to the other end. ENOTCONN when there is no channel, or it is lost. Any context. */
	[[nodiscard]] Status notify() const
	{
		xpv_event_channel *bound = channel();
		return bound ? status(xpv_event_channel_notify(bound)) : Status(Error(XEN_ENOTCONN));
	}

private:
	struct Place {
		Pfn frame;
		Port port;
	};

	[[nodiscard]] Result<Place> find() const
	{
		uint64_t frame = XPV_TRY(hvm_get_param(parameters_.frame));
		uint64_t port = XPV_TRY(hvm_get_param(parameters_.port));
		if (frame == 0 || frame == ~uint64_t{ 0 } || port == 0 || port > UINT32_MAX)
			return Error(XEN_ENODEV);
		return Place{ Pfn{ frame }, Port{ static_cast<uint32_t>(port) } };
	}
	[[nodiscard]] Status map(Pfn frame)
	{
		XPV_TRY(status(xpv_window_map(window_, 0, frame, XPV_WINDOW_READ_WRITE)));
		frame_ = frame;
		return {};
	}

	Parameters parameters_;
	const char *name_;
	Pfn frame_ = {}; /* mapped in the window */
	xpv_window *window_ = nullptr;
	xpv_event_channel *channel_ = nullptr;
};

} // namespace xpv
