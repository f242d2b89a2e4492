/* SPDX-License-Identifier: GPL-2.0-only */
/* Parsing of numbers in text from another domain or from a user. */
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#include "lib/result.hh"

namespace xpv {

/*
 * Parse `text`, which must be digits of `base` (10 or 16, either case) and
 * nothing else. EINVAL for other text, ERANGE above `most`.
 */
template <std::unsigned_integral T>
[[nodiscard]] Result<T> parse_digits(std::string_view text, unsigned int base, std::type_identity_t<T> most)
{
	if (text.empty())
		return Error(XEN_EINVAL);
	T number = 0;
	bool too_large = false;
	for (char c : text) {
		unsigned int digit;
		if (c >= '0' && c <= '9')
			digit = static_cast<unsigned int>(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = static_cast<unsigned int>(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			digit = static_cast<unsigned int>(c - 'A' + 10);
		else
			return Error(XEN_EINVAL);
		if (digit >= base)
			return Error(XEN_EINVAL);
		if (__builtin_mul_overflow(number, base, &number) || __builtin_add_overflow(number, digit, &number) ||
		    number > most)
			too_large = true;
	}
	if (too_large)
		return Error(XEN_ERANGE);
	return number;
}

/* Parse an unsigned decimal number. */
template <std::unsigned_integral T = uint32_t>
[[nodiscard]] Result<T> parse_decimal(std::string_view text, std::type_identity_t<T> most = std::numeric_limits<T>::max())
{
	return parse_digits<T>(text, 10, most);
}

/* Parse hexadecimal digits without a prefix. */
template <std::unsigned_integral T = uint32_t>
[[nodiscard]] Result<T> parse_hexadecimal(std::string_view text,
					  std::type_identity_t<T> most = std::numeric_limits<T>::max())
{
	return parse_digits<T>(text, 16, most);
}

/* Parse an unsigned number: decimal, or hexadecimal with the prefix 0x or 0X. */
template <std::unsigned_integral T = uint64_t>
[[nodiscard]] Result<T> parse_number(std::string_view text, std::type_identity_t<T> most = std::numeric_limits<T>::max())
{
	if (text.starts_with("0x") || text.starts_with("0X"))
		return parse_hexadecimal<T>(text.substr(2), most);
	return parse_decimal<T>(text, most);
}

} // namespace xpv
