/* SPDX-License-Identifier: GPL-2.0-only */
/* xenbus.h for C++: a frontend driver whose devices are objects of one class. */
#pragma once

#include "lib/memory.hh"
#include "lib/result.hh"
#include "xenbus/xenbus.h"

/* The context that the bus stores for a driver; a driver's class derives from it. */
struct xpv_device_context {};

namespace xpv {

/*
 * Generates the bus's table of C functions from a class with a method for each
 * of them. xenbus.h says what the methods do and when they are called.
 *
 *	struct xpv_vif : xpv_device_context {
 *		static Result<Owned<xpv_vif>> probe(xpv_device *device);
 *		~xpv_vif();			// remove
 *		Status negotiate();
 *		Status connect();
 *		void disconnect();
 *		// each of these is optional, the last three only together
 *		static constexpr bool connects_first = true;
 *		void backend_changed();
 *		void connection_lost();
 *		void retire();
 *		void hold();
 *		Status drain(uint64_t deadline_ms);
 *		void go_on(xpv_resume_kind kind);
 *	};
 *	constinit const xpv_frontend_driver xpv_vif_driver = FrontendDriver<xpv_vif>::table("vif", keys);
 *
 * The methods are public. The module's C file registers the table.
 */
template <typename T>
class FrontendDriver {
public:
	/* `backend_keys` as in struct xpv_frontend_driver. */
	[[nodiscard]] static consteval xpv_frontend_driver table(const char *device_type,
								 const char *const *backend_keys = nullptr)
	{
		xpv_frontend_driver driver = {};
		driver.name = KBUILD_MODNAME;
		driver.device_type = device_type;
		driver.backend_keys = backend_keys;
		if constexpr (requires { T::connects_first; })
			driver.connects_first = T::connects_first;
		driver.probe = probe;
		driver.negotiate = call<&T::negotiate>;
		driver.connect = call<&T::connect>;
		driver.disconnect = call<&T::disconnect>;
		driver.remove = remove;
		if constexpr (requires { &T::backend_changed; })
			driver.backend_changed = call<&T::backend_changed>;
		if constexpr (requires { &T::connection_lost; })
			driver.connection_lost = call<&T::connection_lost>;
		if constexpr (requires { &T::retire; })
			driver.retire = call<&T::retire>;
		constexpr bool hold = requires
		{
			&T::hold;
		}
		, drain = requires
		{
			&T::drain;
		}
		, go_on = requires
		{
			&T::go_on;
		};
		static_assert(hold == drain && drain == go_on, "all three or none");
		if constexpr (hold) {
			driver.hold = call<&T::hold>;
			driver.drain = call<&T::drain, uint64_t>;
			driver.go_on = call<&T::go_on, xpv_resume_kind>;
		}
		return driver;
	}

private:
	static T &object_of(const xpv_device *device) { return *static_cast<T *>(xpv_device_get_context(device)); }

	static int probe(xpv_device *device)
	{
		auto made = T::probe(device);
		if (made.ok())
			xpv_device_set_context(device, made.value().release());
		return made.code();
	}
	static void remove(xpv_device *device)
	{
		Owned<T> freed_here(&object_of(device));
		xpv_device_set_context(device, nullptr);
	}

	/* Call a method. If it returns a Status, return that as 0 or a negative errno. */
	template <auto method, typename... Arguments>
	static auto call(xpv_device *device, Arguments... arguments)
	{
		if constexpr (std::is_void_v<decltype((object_of(device).*method)(arguments...))>)
			(object_of(device).*method)(arguments...);
		else
			return (object_of(device).*method)(arguments...).code();
	}
};

} // namespace xpv
