/* SPDX-License-Identifier: GPL-2.0-only */
/* Strings of bounded size. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "lib/number.hh"
#include "lib/result.hh"

namespace xpv {

/* A string of up to Capacity - 1 bytes and a NUL. */
template <size_t Capacity>
class FixedText {
public:
	[[nodiscard]] const char *get() const { return bytes_; }
	[[nodiscard]] size_t size() const { return size_; }
	[[nodiscard]] std::string_view view() const { return { bytes_, size_ }; }

	/* Set to the concatenated parts. If they do not fit: E2BIG, and the text is empty. */
	[[nodiscard]] Status assign(std::initializer_list<std::string_view> parts)
	{
		size_ = 0;
		for (std::string_view part : parts) {
			if (part.size() >= Capacity - size_) {
				size_ = 0;
				bytes_[0] = 0;
				return Error(XEN_E2BIG);
			}
			__builtin_memcpy(bytes_ + size_, part.data(), part.size());
			size_ += part.size();
		}
		bytes_[size_] = 0;
		return {};
	}

	/* Set to as much of `text` as fits. */
	void assign_cut(std::string_view text)
	{
		size_ = text.size() < Capacity ? text.size() : Capacity - 1;
		__builtin_memcpy(bytes_, text.data(), size_);
		bytes_[size_] = 0;
	}

private:
	char bytes_[Capacity] = {};
	size_t size_ = 0;
};

} // namespace xpv
