/* SPDX-License-Identifier: GPL-2.0-only */
/* evtchn.h for C++: an owner of an event channel, whose handler is a method. */
#pragma once

#include <type_traits>

#include "evtchn/evtchn.h"
#include "lib/result.hh"

/* What evtchn passes to a handler; each owner of a channel derives from it. */
struct xpv_event_context {};

namespace xpv {

/*
 * An event channel as a member of the object that handles its events:
 *
 *	bool on_event();
 *	Channel<&Queue::on_event> channel_{ *this };
 *
 * The handler runs in the context that the flags of the opener ask for. It
 * returns whether the event carried work: false reports it as spurious. The
 * handler of a channel with XPV_EVENT_EXPLICIT_EOI returns void and leaves
 * that to eoi().
 *
 * A channel is closed, open, or lost in a restore. Only eoi(), notify(),
 * mask() and unmask() may run side by side with each other and with the
 * handler; the owner serialises opening, rebinding and closing with them.
 */
template <auto handler>
class Channel;

template <typename Owner, typename Returned, Returned (Owner::*handler)()>
class Channel<handler> : private xpv_event_context {
	static_assert(std::is_same_v<Returned, bool> || std::is_void_v<Returned>);

public:
	explicit Channel(Owner &owner) : owner_(owner) {}
	~Channel() { close(); }
	Channel(const Channel &) = delete;
	Channel &operator=(const Channel &) = delete;

	/* evtchn.h says what each of these does. Only when closed. Sleeping context. */
	[[nodiscard]] Status alloc_unbound(Domid remote, const char *name, unsigned int flags = XPV_EVENT_HARD)
	{
		const xpv_event_channel_args given = args(name, flags);
		return status(xpv_event_channel_alloc_unbound(remote, &given, &channel_));
	}
	[[nodiscard]] Status bind_interdomain(Domid remote, Port port, const char *name, unsigned int flags = XPV_EVENT_HARD)
	{
		const xpv_event_channel_args given = args(name, flags);
		return status(xpv_event_channel_bind_interdomain(remote, port, &given, &channel_));
	}
	[[nodiscard]] Status adopt(Port port, const char *name, unsigned int flags = XPV_EVENT_HARD)
	{
		const xpv_event_channel_args given = args(name, flags);
		return status(xpv_event_channel_adopt(port, &given, &channel_));
	}
	/* Only when lost. Sleeping context. */
	[[nodiscard]] Status rebind_unbound(Domid remote)
	{
		return status(xpv_event_channel_rebind_unbound(channel_, remote));
	}
	[[nodiscard]] Status rebind_adopted(Port port)
	{
		return status(xpv_event_channel_rebind_adopted(channel_, port));
	}
	/*
	 * Close the channel; do nothing when closed. On return the handler does not
	 * run. Sleeping context; not from the handler.
	 */
	void close()
	{
		/* The handler uses channel_ until it is unbound. */
		xpv_event_channel_close(channel_);
		channel_ = nullptr;
	}

	[[nodiscard]] bool is_open() const { return channel_ != nullptr; }
	/* The following only when open. Contexts are in evtchn.h. */
	[[nodiscard]] bool lost() const { return xpv_event_channel_lost(channel_); }
	[[nodiscard]] Port port() const { return xpv_event_channel_port(channel_); }
	[[nodiscard]] unsigned int irq() const { return xpv_event_channel_irq(channel_); }
	[[nodiscard]] Status notify() { return status(xpv_event_channel_notify(channel_)); }
	void mask() { xpv_event_channel_mask(channel_); }
	void unmask() { xpv_event_channel_unmask(channel_); }
	void synchronize() { xpv_event_channel_synchronize(channel_); }
	void eoi(unsigned int flags = 0) { xpv_event_channel_eoi(channel_, flags); }

private:
	[[nodiscard]] xpv_event_channel_args args(const char *name, unsigned int flags)
	{
		return { name, flags, run, this };
	}

	static void run(xpv_event_context *context)
	{
		auto &channel = *static_cast<Channel *>(context);
		if constexpr (std::is_void_v<Returned>)
			(channel.owner_.*handler)();
		else if (!(channel.owner_.*handler)())
			xpv_event_channel_spurious(channel.channel_);
	}

	Owner &owner_;
	xpv_event_channel *channel_ = nullptr;
};

} // namespace xpv
