/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ports of one user of /dev/xen/evtchn, and the ring of those that had an
 * event. A port stays masked from its event until the user writes it back. So it
 * is in the ring once, unless the user writes it back unread.
 *
 * mutex_ serialises opening and closing of ports, and is held over hypercalls.
 * lock_ guards the ring and what the handler uses.
 */
#pragma once

#include "evtchn/evtchn.hh"
#include "evtchn/evtchn_owned.h"
#include "evtchn/linux.h"
#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"

namespace xpv {
struct PortsOfUser;
struct PortsOfAll;
} // namespace xpv

using xpv::operator""_lock;

/* A port that a user opened. It is closed when the last holder, the user or another, has released it. */
struct xpv_held_port : xpv_event_context, xpv::ListLink<xpv::PortsOfUser>, xpv::ListLink<xpv::PortsOfAll> {
	explicit xpv_held_port(xpv_event_user &its_user) : user(its_user) {}

	xpv_event_user &user; /* only while it is one of the user's ports, or its handler runs */
	xpv_event_channel *channel = nullptr;
	xpv::Port port = {}; /* the number that the user knows, also after a restore */
	unsigned int holders = 1; /* guarded by the mutex of all ports */
	/* Guarded by the user's lock_: */
	bool bound = false; /* the port's number is known */
	bool early = false; /* an event came before that */
	bool enabled = true; /* neither in the ring nor with the user */
};

namespace xpv {
using HeldPort = ::xpv_held_port;
} // namespace xpv

struct xpv_event_user {
public:
	static constexpr unsigned int first_capacity = 64;

	xpv_event_user(xpv_event_node *node, const char *name);
	/* Close all ports. The node is not called after this returns. */
	~xpv_event_user();

	/* linux.h: xpv_event_user_*(). */
	[[nodiscard]] xpv::Result<xpv::Port> bind(const xpv_event_user_binding &binding);
	[[nodiscard]] xpv::Status unbind(xpv::Port port);
	[[nodiscard]] xpv::Status notify(xpv::Port port);
	[[nodiscard]] xpv::Status restrict_to(xpv::Domid domain);
	void reset();
	[[nodiscard]] xpv::Result<unsigned int> peek(uint32_t *ports, unsigned int most);
	void skip(unsigned int count);
	void finish(const uint32_t *ports, unsigned int count);
	[[nodiscard]] unsigned int readiness();

private:
	[[nodiscard]] bool permits(const xpv_event_user_binding &binding) const;
	[[nodiscard]] xpv::Status open(const xpv_event_user_binding &binding, xpv::HeldPort &held);
	[[nodiscard]] xpv::Status make_room() XPV_REQUIRES(mutex_);
	/* Find the user's port that has this number in Xen now. */
	[[nodiscard]] xpv::HeldPort *find(xpv::Port port) XPV_REQUIRES(mutex_);
	/* As find(); otherwise find a port that had this number before a restore. */
	[[nodiscard]] xpv::HeldPort *find_by_number(xpv::Port port) XPV_REQUIRES(mutex_);
	void event(xpv::HeldPort &held);
	void queue_locked(const xpv::HeldPort &held) XPV_REQUIRES(lock_);
	void let_go(xpv::HeldPort &held);
	[[nodiscard]] uint32_t &slot(unsigned int index) { return ring_[index & (ring_.size() - 1)]; }

	char name_[32];

	xpv::Mutex mutex_{ "xpv event user"_lock };
	xpv::List<xpv::HeldPort, xpv::PortsOfUser> ports_;
	unsigned int count_ = 0;
	bool restricted_ = false;
	xpv::Domid only_ = {}; /* if restricted_ */

	/*
	 * Not raw: where a spinlock sleeps, the handler runs in a thread (irq_linux.c);
	 * and waking the reader takes a spinlock too.
	 */
	xpv::Spinlock lock_{ "xpv event user ring"_lock };
	/* Replaced with mutex_ and lock_ held. Its size is a power of two. */
	xpv::Array<uint32_t> ring_;
	unsigned int produced_ XPV_GUARDED_BY(lock_) = 0, consumed_ XPV_GUARDED_BY(lock_) = 0; /* not wrapped */
	bool overflow_ XPV_GUARDED_BY(lock_) = false;
	xpv_event_node *node_;
};
