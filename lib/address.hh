/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the type of an address is changed. Elsewhere no reinterpret_cast is
 * needed: a context handle is an empty struct that the object derives from
 * (lib/work.hh, evtchn/evtchn.hh).
 */
#pragma once

#include <cstddef>
#include <type_traits>

namespace xpv {

/* As a number, of an object or a function: for Xen and for registers. */
template <typename T>
[[nodiscard]] inline unsigned long address_of(T *target)
{
	return reinterpret_cast<unsigned long>(target);
}

/* For "%ps", which takes a function by a pointer to data. */
template <typename Function>
[[nodiscard]] inline void *symbol_of(Function *function)
{
	static_assert(std::is_function_v<Function>);
	return reinterpret_cast<void *>(function);
}

/* The bytes of a plain value, which the language lets be read and written. */
template <typename T>
[[nodiscard]] inline char *bytes_of(T &value)
{
	static_assert(std::is_trivially_copyable_v<T>);
	return reinterpret_cast<char *>(&value);
}

/* The bytes that were allocated together with `object`, behind it. */
template <typename T>
[[nodiscard]] inline char *bytes_behind(T &object)
{
	return reinterpret_cast<char *>(&object + 1);
}

/* The plain value that an ABI puts at `offset` in this memory; aligned as T must be. */
template <typename T>
[[nodiscard]] inline T *value_at(void *memory, std::size_t offset = 0)
{
	static_assert(std::is_trivially_copyable_v<T>);
	return static_cast<T *>(static_cast<void *>(static_cast<char *>(memory) + offset));
}

} // namespace xpv
