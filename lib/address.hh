/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All casts that change the type of an address. Code elsewhere needs no
 * reinterpret_cast: a context handle is an empty struct that the object derives
 * from (lib/work.hh, evtchn/evtchn.hh).
 */
#pragma once

#include <cstddef>
#include <type_traits>

namespace xpv {

/* Return the address of an object or a function as a number: for Xen and for registers. */
template <typename T>
[[nodiscard]] inline unsigned long address_of(T *target)
{
	return reinterpret_cast<unsigned long>(target);
}

/* Return a function as the data pointer that "%ps" takes. */
template <typename Function>
[[nodiscard]] inline void *symbol_of(Function *function)
{
	static_assert(std::is_function_v<Function>);
	return reinterpret_cast<void *>(function);
}

/* Return an errno, of either sign, as the pointer that "%pe" takes: Linux's ERR_PTR(). */
[[nodiscard]] inline const void *err_ptr(int error)
{
	return reinterpret_cast<const void *>(static_cast<long>(error < 0 ? error : -error));
}

/* Return the bytes of a plain value; C++ permits access to them as char. */
template <typename T>
[[nodiscard]] inline char *bytes_of(T &value)
{
	static_assert(std::is_trivially_copyable_v<T>);
	return reinterpret_cast<char *>(&value);
}

/* Return the bytes behind `object`, which were allocated together with it. */
template <typename T>
[[nodiscard]] inline char *bytes_behind(T &object)
{
	return reinterpret_cast<char *>(&object + 1);
}

/* Return the plain value that an ABI places at `offset` in this memory. It must be aligned for T. */
template <typename T>
[[nodiscard]] inline T *value_at(void *memory, size_t offset = 0)
{
	static_assert(std::is_trivially_copyable_v<T>);
	return static_cast<T *>(static_cast<void *>(static_cast<char *>(memory) + offset));
}

} // namespace xpv
