/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the other end wrote. It is copied once into private memory, and the
 * copy gives up its content only to a check: "read once, validate, use the
 * copy" is a rule the compiler keeps.
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
	/* The one read of memory that the other end may change at any moment. */
	static Untrusted copy_from(const T &shared)
	{
		Untrusted result;
		if constexpr (Word<T>) {
			result.value_ = read_once(shared);
		} else if constexpr (alignof(T) >= 4 && sizeof(T) % 4 == 0) {
			copy_words<std::uint32_t>(&result.value_, &shared);
		} else {
			copy_words<std::uint8_t>(&result.value_, &shared);
		}
		return result;
	}

	/* For a private copy that was made elsewhere (a parsed string, a message). */
	static Untrusted from_copy(const T &copy)
	{
		Untrusted result;
		result.value_ = copy;
		return result;
	}

	/* The content if check(content) says yes, else `error`. */
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

	/* For a limit that the other end offers: anything above `most` means `most`. */
	[[nodiscard]] T clamped(T least, T most) const requires std::integral<T>
	{
		return value_ < least ? least : value_ > most ? most : value_;
	}

private:
	Untrusted() = default;

	template <typename Unit>
	static void copy_words(void *to, const void *from)
	{
		/* may_alias: the wire structs are not arrays of Unit. */
		typedef Unit __attribute__((may_alias)) Aliasing;
		auto *target = static_cast<Aliasing *>(to);
		auto *source = static_cast<const volatile Aliasing *>(from);
		for (std::size_t i = 0; i < sizeof(T) / sizeof(Unit); i++)
			target[i] = source[i];
	}

	T value_ = {};
};

} // namespace xpv
