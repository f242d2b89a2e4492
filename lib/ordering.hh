/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory accesses under the kernel's memory model, for memory shared with other
 * CPUs or other domains. Names are the kernel's (memory-barriers.txt). The virt_
 * barriers also order against CPUs of other domains, so a uniprocessor kernel
 * does not compile them out.
 *
 * x86-64 only: loads are not reordered with loads, nor stores with stores
 * (write-back memory), so all barriers but the full one are compiler barriers
 * only.
 */
#pragma once

#include <concepts>
#include <type_traits>

namespace xpv {

template <typename T>
concept Word = (std::integral<T> || std::is_enum_v<T> || std::is_pointer_v<T>)&&sizeof(T) <= sizeof(void *);

template <Word T>
inline T read_once(const T &location)
{
	return *const_cast<const volatile T *>(&location);
}

template <Word T>
inline void write_once(T &location, std::type_identity_t<T> value)
{
	*const_cast<volatile T *>(&location) = value;
}

inline void compiler_barrier()
{
	asm volatile("" ::: "memory");
}

inline void virt_rmb()
{
	compiler_barrier();
}

inline void virt_wmb()
{
	compiler_barrier();
}

/* Orders earlier stores before later loads, which x86 does not do by itself. */
inline void virt_mb()
{
	asm volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc");
}

template <Word T>
inline T load_acquire(const T &location)
{
	T value = read_once(location);
	compiler_barrier();
	return value;
}

template <Word T>
inline void store_release(T &location, std::type_identity_t<T> value)
{
	compiler_barrier();
	write_once(location, value);
}

/* One locked compare-and-swap, a full barrier. On failure `expected` holds what was found. */
template <Word T>
[[nodiscard]] inline bool compare_exchange(T &location, T &expected, std::type_identity_t<T> desired)
{
	return __atomic_compare_exchange_n(&location, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

template <Word T>
inline T exchange(T &location, std::type_identity_t<T> value)
{
	return __atomic_exchange_n(&location, value, __ATOMIC_SEQ_CST);
}

template <std::integral T>
inline T fetch_add(T &location, std::type_identity_t<T> value)
{
	return __atomic_fetch_add(&location, value, __ATOMIC_SEQ_CST);
}

/* Set bits of one word, atomically. */
template <std::unsigned_integral T>
inline void set_bits(T &location, std::type_identity_t<T> bits)
{
	__atomic_fetch_or(&location, bits, __ATOMIC_SEQ_CST);
}

/* Atomic operations on bits in an array of words, numbered as Xen numbers event channels. */
inline void set_bit(unsigned int bit, unsigned long *words)
{
	asm volatile("lock; btsq %1, %0"
		     : "+m"(words[bit / 64])
		     : "r"(static_cast<unsigned long>(bit % 64))
		     : "memory", "cc");
}

inline void clear_bit(unsigned int bit, unsigned long *words)
{
	asm volatile("lock; btrq %1, %0"
		     : "+m"(words[bit / 64])
		     : "r"(static_cast<unsigned long>(bit % 64))
		     : "memory", "cc");
}

[[nodiscard]] inline bool test_and_clear_bit(unsigned int bit, unsigned long *words)
{
	bool was_set;
	asm volatile("lock; btrq %2, %0"
		     : "+m"(words[bit / 64]), "=@ccc"(was_set)
		     : "r"(static_cast<unsigned long>(bit % 64))
		     : "memory");
	return was_set;
}

[[nodiscard]] inline bool test_and_set_bit(unsigned int bit, unsigned long *words)
{
	bool was_set;
	asm volatile("lock; btsq %2, %0"
		     : "+m"(words[bit / 64]), "=@ccc"(was_set)
		     : "r"(static_cast<unsigned long>(bit % 64))
		     : "memory");
	return was_set;
}

[[nodiscard]] inline bool test_bit(unsigned int bit, const unsigned long *words)
{
	return (read_once(words[bit / 64]) >> (bit % 64)) & 1;
}

} // namespace xpv
