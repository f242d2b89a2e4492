/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data that the other end wrote. It is copied once into private memory, and the
 * copy is accessible only through a check: the compiler enforces "read once,
 * validate, use the copy".
 */
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lib/ordering.hh"
#include "lib/result.hh"

namespace xpv {

template <typename T>
class Untrusted {
	static_assert(std::is_trivially_copyable_v<T>);

public:
	/* Copy memory that the other end may change at any time. This is the only read of it. */
	static Untrusted copy_from(const T &shared)
	{
		Untrusted result;
		if constexpr (Word<T>)
			result.value_ = read_once(shared);
		else if constexpr (sizeof(T) % 8 == 0)
			copy_words<uint64_t>(&result.value_, &shared);
		else if constexpr (sizeof(T) % 4 == 0)
			copy_words<uint32_t>(&result.value_, &shared);
		else
			copy_words<uint8_t>(&result.value_, &shared);
		return result;
	}

	/* Wrap a private copy that was made elsewhere (a parsed string, a message). */
	static Untrusted from_copy(const T &copy)
	{
		Untrusted result;
		result.value_ = copy;
		return result;
	}

	/* Return the content if check(content) is true, else `error`. */
	template <std::predicate<const T &> Check>
	[[nodiscard]] Result<T> validate(Check check, int error = XEN_EINVAL) const
	{
		if (!check(value_))
			return Error(error);
		return T(value_);
	}

	[[nodiscard]] Result<T> between(T least, T most) const requires std::integral<T>
	{
		return validate([=](const T &value) { return value >= least && value <= most; }, XEN_ERANGE);
	}

	/*
	 * Return the value, clamped: for a limit that the other end offers, where
	 * anything above `most` means `most`.
	 */
	[[nodiscard]] T clamped(T least, T most) const requires std::integral<T>
	{
		return value_ < least ? least : value_ > most ? most : value_;
	}

private:
	Untrusted() = default;

	template <typename Unit>
	static void copy_words(void *to, const void *from)
	{
		/* The wire structs are not arrays of Unit, and may be less aligned than it: x86 does not mind. */
		typedef Unit __attribute__((may_alias, aligned(alignof(T)))) Aliasing;
		auto *target = static_cast<Aliasing *>(to);
		auto *source = static_cast<const volatile Aliasing *>(from);
		for (size_t i = 0; i < sizeof(T) / sizeof(Unit); i++)
			target[i] = source[i];
	}

	T value_ = {};
};

} // namespace xpv
