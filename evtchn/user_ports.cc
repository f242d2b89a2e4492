// SPDX-License-Identifier: GPL-2.0-only
/* Open ports for a user, queue their events in its ring, and close each port after its last holder. */
#include "evtchn/user_ports.hh"

#include "evtchn/abi.hh"
#include "hypervisor/hypercall.hh"

using namespace xpv;

namespace {

/* EFBIG, which xen/errno.h does not have. */
constexpr int efbig = 27;

/* All ports that user space opened and that still have a holder. */
struct AllPorts {
	Mutex mutex{ "xpv user ports"_lock };
	List<HeldPort, PortsOfAll> ports XPV_GUARDED_BY(mutex);
};
constinit AllPorts *all;

/*
 * Return whether the port has this number in Xen now: after a restore the number
 * can belong to another port, or to no port.
 */
bool is_current(const HeldPort &held, Port port)
{
	return held.port == port && xpv_event_channel_port(held.channel) == port;
}

void release(HeldPort &held)
{
	{
		MutexGuard guard(all->mutex);
		if (--held.holders != 0)
			return;
		static_cast<ListLink<PortsOfAll> &>(held).unlink();
	}
	xpv_event_channel_close(held.channel);
	destroy(&held);
}

} // namespace

xpv_event_user::xpv_event_user(xpv_event_node *node, const char *name) : node_(node)
{
	xpv_format(name_, sizeof(name_), "evtchn:%s", name);
}

xpv_event_user::~xpv_event_user()
{
	while (HeldPort *held = ports_.front())
		let_go(*held);
}

HeldPort *xpv_event_user::find(Port port)
{
	for (HeldPort &held : ports_)
		if (is_current(held, port))
			return &held;
	return nullptr;
}

HeldPort *xpv_event_user::find_by_number(Port port)
{
	if (HeldPort *current = find(port))
		return current;
	for (HeldPort &held : ports_)
		if (held.port == port)
			return &held;
	return nullptr;
}

/* ---- Events ---- */

void xpv_event_user::queue_locked(const HeldPort &held)
{
	if (produced_ - consumed_ < ring_.size())
		slot(produced_++) = held.port.value;
	else
		overflow_ = true;
	xpv_event_node_wake(node_);
}

void xpv_event_user::event(HeldPort &held)
{
	SpinGuard guard(lock_);
	held.enabled = false;
	if (held.bound)
		queue_locked(held);
	else
		held.early = true;
}

Result<unsigned int> xpv_event_user::peek(uint32_t *ports, unsigned int most)
{
	SpinGuard guard(lock_);
	if (overflow_)
		return Error(efbig);
	unsigned int count = produced_ - consumed_ < most ? produced_ - consumed_ : most;
	for (unsigned int i = 0; i < count; i++)
		ports[i] = slot(consumed_ + i);
	return count;
}

void xpv_event_user::skip(unsigned int count)
{
	SpinGuard guard(lock_);
	consumed_ += produced_ - consumed_ < count ? produced_ - consumed_ : count;
}

void xpv_event_user::reset()
{
	SpinGuard guard(lock_);
	consumed_ = produced_;
	overflow_ = false;
}

unsigned int xpv_event_user::readiness()
{
	SpinGuard guard(lock_);
	return (produced_ != consumed_ ? unsigned{ XPV_EVENT_USER_READABLE } : 0) |
	       (overflow_ ? unsigned{ XPV_EVENT_USER_OVERFLOW } : 0);
}

void xpv_event_user::finish(const uint32_t *ports, unsigned int count)
{
	MutexGuard guard(mutex_);
	for (unsigned int i = 0; i < count; i++) {
		HeldPort *held = find_by_number(Port{ ports[i] });
		if (!held)
			continue;
		{
			SpinGuard ring_guard(lock_);
			if (std::exchange(held->enabled, true))
				continue;
		}
		xpv_event_channel_eoi(held->channel, 0);
	}
}

/* ---- Ports ---- */

/* Make room in the ring for one more port. */
Status xpv_event_user::make_room()
{
	if (count_ < ring_.size())
		return {};
	auto larger = XPV_TRY(Array<uint32_t>::make(ring_.size() ? 2 * ring_.size() : first_capacity, XPV_MAY_SLEEP));
	SpinGuard guard(lock_);
	for (unsigned int i = consumed_; i != produced_; i++)
		larger[i & (larger.size() - 1)] = slot(i);
	std::swap(ring_, larger);
	return {};
}

bool xpv_event_user::permits(const xpv_event_user_binding &binding) const
{
	return !restricted_ || (binding.kind == XPV_EVENT_USER_INTERDOMAIN && binding.remote == only_);
}

Status xpv_event_user::open(const xpv_event_user_binding &binding, HeldPort &held)
{
	const xpv_event_channel_args args = {
		.name = name_,
		.flags = XPV_EVENT_HARD | XPV_EVENT_EXPLICIT_EOI,
		.handler =
			[](xpv_event_context *context) {
				auto &its = *static_cast<HeldPort *>(context);
				its.user.event(its);
			},
		.context = &held,
	};
	switch (binding.kind) {
	case XPV_EVENT_USER_VIRQ:
		return status(xpv_event_channel_bind_virq(binding.virq, 0, &args, &held.channel));
	case XPV_EVENT_USER_INTERDOMAIN:
		return status(xpv_event_channel_bind_interdomain(binding.remote, binding.remote_port, &args,
								 &held.channel));
	case XPV_EVENT_USER_UNBOUND:
		return status(xpv_event_channel_alloc_unbound(binding.remote, &args, &held.channel));
	}
	return Error(XEN_EINVAL);
}

Result<Port> xpv_event_user::bind(const xpv_event_user_binding &binding)
{
	MutexGuard guard(mutex_);
	if (!permits(binding))
		return Error(XEN_EACCES);
	XPV_TRY(make_room());
	auto made = XPV_TRY(make<HeldPort>(XPV_MAY_SLEEP, *this));
	XPV_TRY(open(binding, *made));
	HeldPort &held = *made.release();
	held.port = xpv_event_channel_port(held.channel);
	count_++;
	ports_.push_back(held);
	{
		MutexGuard all_guard(all->mutex);
		all->ports.push_back(held);
	}
	SpinGuard ring_guard(lock_);
	held.bound = true;
	if (held.early)
		queue_locked(held);
	return held.port;
}

/*
 * Remove a port from the user and release it. Must be called with mutex_ held, or
 * when no other code can use the user any more.
 */
void xpv_event_user::let_go(HeldPort &held)
{
	/* Other holders may keep the port open, but this user gets no more events. */
	xpv_event_channel_mask(held.channel);
	xpv_event_channel_synchronize(held.channel);
	static_cast<ListLink<PortsOfUser> &>(held).unlink();
	count_--;
	release(held);
}

Status xpv_event_user::unbind(Port port)
{
	MutexGuard guard(mutex_);
	if (port.value >= abi([](auto &ports) { return ports.ports; }))
		return Error(XEN_EINVAL);
	HeldPort *held = find_by_number(port);
	if (!held)
		return Error(XEN_ENOTCONN);
	let_go(*held);
	return {};
}

Status xpv_event_user::notify(Port port)
{
	MutexGuard guard(mutex_);
	HeldPort *held = find(port);
	if (!held)
		return Error(XEN_ENOTCONN);
	/* It is not the user's error when the other end is gone. */
	ignore(status(xpv_event_channel_notify(held->channel)));
	return {};
}

Status xpv_event_user::restrict_to(Domid domain)
{
	MutexGuard guard(mutex_);
	if (restricted_)
		return Error(XEN_EACCES);
	if (domain.value == 0 || domain.value >= DOMID_FIRST_RESERVED)
		return Error(XEN_EINVAL);
	restricted_ = true;
	only_ = domain;
	return {};
}

/* ---- The contract's part: held ports ---- */

int xpv_event_port_hold(xpv_port port, xpv_held_port **held)
{
	MutexGuard guard(all->mutex);
	for (HeldPort &candidate : all->ports) {
		if (is_current(candidate, port)) {
			candidate.holders++;
			*held = &candidate;
			return 0;
		}
	}
	return -XEN_EINVAL;
}

void xpv_event_port_release(xpv_held_port *held)
{
	if (held)
		release(*held);
}

int xpv_event_port_notify(xpv_held_port *held)
{
	return xpv_event_channel_notify(held->channel);
}

/* ---- For the device ---- */

int xpv_event_users_start()
{
	return hand_out(make<AllPorts>(XPV_MAY_SLEEP), &all);
}

void xpv_event_users_stop()
{
	destroy(std::exchange(all, nullptr));
}

int xpv_event_user_open(xpv_event_node *node, const char *name, xpv_event_user **user)
{
	return hand_out(make<xpv_event_user>(XPV_MAY_SLEEP, node, name), user);
}

void xpv_event_user_close(xpv_event_user *user)
{
	destroy(user);
}

int xpv_event_user_bind(xpv_event_user *user, const xpv_event_user_binding *binding)
{
	auto bound = user->bind(*binding);
	return bound.ok() ? static_cast<int>(bound.value().value) : bound.code();
}

int xpv_event_user_unbind(xpv_event_user *user, xpv_port port)
{
	return user->unbind(port).code();
}

int xpv_event_user_notify(xpv_event_user *user, xpv_port port)
{
	return user->notify(port).code();
}

int xpv_event_user_restrict(xpv_event_user *user, xpv_domid domain)
{
	return user->restrict_to(domain).code();
}

void xpv_event_user_reset(xpv_event_user *user)
{
	user->reset();
}

int xpv_event_user_peek(xpv_event_user *user, uint32_t *ports, unsigned int most)
{
	auto there = user->peek(ports, most);
	return there.ok() ? static_cast<int>(there.value()) : there.code();
}

void xpv_event_user_skip(xpv_event_user *user, unsigned int count)
{
	user->skip(count);
}

void xpv_event_user_finish(xpv_event_user *user, const uint32_t *ports, unsigned int count)
{
	user->finish(ports, count);
}

unsigned int xpv_event_user_readiness(xpv_event_user *user)
{
	return user->readiness();
}
