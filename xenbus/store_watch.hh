/* SPDX-License-Identifier: GPL-2.0-only */
/* A watch of xenstore that calls a method of its owner. */
#pragma once

#include "lib/result.hh"
#include "xenbus/store.h"

/* What the watch thread passes to a callback; each watch derives from it. */
struct xpv_store_watch_context {};

namespace xpv {

/*
 * A member of its owner, declared after all members that the method uses:
 *
 *	void read_request();
 *	StoreWatch<&Control::read_request> watch_{ *this };
 *
 * The method runs in the watch thread, as store.h says of callbacks.
 */
template <auto method>
class StoreWatch;

template <typename Owner, void (Owner::*method)()>
class StoreWatch<method> : private xpv_store_watch_context {
public:
	explicit constexpr StoreWatch(Owner &owner) : owner_(owner) {}
	~StoreWatch() { stop(); }
	StoreWatch(const StoreWatch &) = delete;
	StoreWatch &operator=(const StoreWatch &) = delete;

	/* Register the watch, as xpv_store_watch_register(). Call at most once. Sleeping context. */
	[[nodiscard]] Status start(const char *path)
	{
		return status(xpv_store_watch_register(path, called, this, &watch_));
	}
	[[nodiscard]] bool started() const { return watch_ != nullptr; }
	/* Unregister the watch. The method does not run after this returns. Sleeping context; not from the method. */
	void stop() { xpv_store_watch_unregister(std::exchange(watch_, nullptr)); }

private:
	static void called(xpv_store_watch_context *context, const char *)
	{
		(static_cast<StoreWatch *>(context)->owner_.*method)();
	}

	Owner &owner_;
	xpv_store_watch *watch_ = nullptr;
};

} // namespace xpv
