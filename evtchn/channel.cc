// SPDX-License-Identifier: GPL-2.0-only
/* The contract: channels opened, closed and used. */
#include "evtchn/channel.hh"

#include "evtchn/linux.h"
#include "hypervisor/hypercall.hh"
#include "lib/log.hh"
#include "lib/memory.hh"

namespace xpv {

namespace {

struct Handler {
	const char *name;
	unsigned int flags;
	xpv_event_handler *function;
	xpv_event_context *context;
};

void close_port(Port port)
{
	/* Can only fail for a port that is not open: nothing is left to undo then. */
	if (Status closed = evtchn_close(port); !closed.ok())
		XPV_ERR_LIMITED("closing port %u: error %d", port.value, closed.error().number());
}

/* On failure the port is as it was; an own one is the caller's to close. */
Result<xpv_event_channel *> bind(Port port, bool adopted, const Handler &handler)
{
	if (port.value == 0 || port.value >= xpv_ports_limit())
		return Error(XEN_ERANGE);
	auto channel = XPV_TRY(make<xpv_event_channel>(XPV_MAY_SLEEP));
	channel->port = port;
	channel->adopted = adopted;
	channel->handler = handler.function;
	channel->context = handler.context;
	XPV_TRY(status(xpv_irq_bind(port, handler.name, handler.flags, channel.get(), &channel->irq)));
	return channel.release();
}

int bind_own(Result<Port> port, const Handler &handler, xpv_event_channel **channel)
{
	if (!port.ok())
		return port.code();
	auto bound = bind(port.value(), false, handler);
	if (!bound.ok()) {
		close_port(port.value());
		return bound.code();
	}
	*channel = bound.value();
	return 0;
}

} // namespace

} // namespace xpv

extern "C" {

int xpv_event_channel_alloc_unbound(struct xpv_domid remote, const char *name, unsigned int flags,
				    xpv_event_handler *handler, struct xpv_event_context *context,
				    struct xpv_event_channel **channel)
{
	return xpv::bind_own(xpv::evtchn_alloc_unbound(remote), { name, flags, handler, context }, channel);
}

int xpv_event_channel_bind_interdomain(struct xpv_domid remote, struct xpv_port port, const char *name,
				       unsigned int flags, xpv_event_handler *handler,
				       struct xpv_event_context *context, struct xpv_event_channel **channel)
{
	return xpv::bind_own(xpv::evtchn_bind_interdomain(remote, port), { name, flags, handler, context }, channel);
}

int xpv_event_channel_adopt(struct xpv_port port, const char *name, unsigned int flags, xpv_event_handler *handler,
			    struct xpv_event_context *context, struct xpv_event_channel **channel)
{
	auto status = xpv::evtchn_status(port);
	if (!status.ok() || status.value() == EVTCHNSTAT_closed)
		return -XEN_ERANGE;
	auto bound = xpv::bind(port, true, { name, flags, handler, context });
	if (!bound.ok())
		return bound.code();
	*channel = bound.value();
	return 0;
}

void xpv_event_channel_close(struct xpv_event_channel *channel)
{
	if (!channel)
		return;
	/* First the handler, then the port: a closed port's number may be somebody else's at once. */
	xpv_irq_unbind(channel->irq);
	if (!channel->adopted)
		xpv::close_port(channel->port);
	xpv::Owned<xpv_event_channel> last(channel);
}

struct xpv_port xpv_event_channel_port(const struct xpv_event_channel *channel)
{
	return channel->port;
}

unsigned int xpv_event_channel_irq(const struct xpv_event_channel *channel)
{
	return channel->irq;
}

int xpv_event_channel_notify(struct xpv_event_channel *channel)
{
	return xpv::evtchn_send(channel->port).code();
}

void xpv_event_channel_mask(struct xpv_event_channel *channel)
{
	xpv_irq_disable(channel->irq);
}

void xpv_event_channel_unmask(struct xpv_event_channel *channel)
{
	xpv_irq_enable(channel->irq);
}

void xpv_event_channel_synchronize(struct xpv_event_channel *channel)
{
	xpv_irq_synchronize(channel->irq);
}

void xpv_event_channel_run(struct xpv_event_channel *channel)
{
	channel->handler(channel->context);
}

} /* extern "C" */
