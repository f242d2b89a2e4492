/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * "xpv device"_lock is a lock class: the name that lockdep shows, and an object
 * in the module's memory by which lockdep tells one kind of lock from another.
 * The same text is the same class everywhere in a module.
 */
#pragma once

#include <cstddef>

#include "lib/shim.h"

namespace xpv {

struct LockClass {
	const char *name;
	xpv_lock_class *object;
};

/* The text of a lock class literal. Public members only: it is a template argument. */
template <size_t size>
struct LockName {
	consteval LockName(const char (&from)[size])
	{
		for (size_t i = 0; i < size; i++)
			text[i] = from[i];
	}

	char text[size] = {};
};

template <LockName name>
inline constinit xpv_lock_class lock_class_object = {};

template <LockName name>
[[nodiscard]] constexpr LockClass operator""_lock()
{
	return { name.text, &lock_class_object<name> };
}

} // namespace xpv
