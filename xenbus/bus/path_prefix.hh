/* SPDX-License-Identifier: GPL-2.0-only */
/* Items of xpv_store_read_many() and xpv_store_write_many() with paths relative to a directory. */
#pragma once

#include "lib/memory.hh"

#include <string_view>

namespace xpv {

/* Prefixes the items' paths with a directory in place(); the destructor restores the original paths. */
template <typename Item>
class [[nodiscard]] ScopedPathPrefix {
public:
	ScopedPathPrefix(Item *items, unsigned int count) : items_(items), count_(count) {}
	ScopedPathPrefix(const ScopedPathPrefix &) = delete;
	ScopedPathPrefix &operator=(const ScopedPathPrefix &) = delete;
	~ScopedPathPrefix()
	{
		for (size_t i = 0; i < originals_.size(); i++)
			items_[i].path = originals_[i];
	}

	[[nodiscard]] Status place(std::string_view directory)
	{
		size_t size = 0;
		for (unsigned int i = 0; i < count_; i++)
			size += directory.size() + __builtin_strlen(items_[i].path) + 2;
		text_ = XPV_TRY(Array<char>::make(size, XPV_MAY_SLEEP_NO_IO));
		originals_ = XPV_TRY(Array<const char *>::make(count_, XPV_MAY_SLEEP_NO_IO));
		char *at = text_.data();
		for (unsigned int i = 0; i < count_; i++) {
			size_t length = __builtin_strlen(items_[i].path);
			originals_[i] = items_[i].path;
			items_[i].path = at;
			__builtin_memcpy(at, directory.data(), directory.size());
			at += directory.size();
			*at++ = '/';
			__builtin_memcpy(at, originals_[i], length + 1);
			at += length + 1;
		}
		return {};
	}

private:
	Item *items_;
	unsigned int count_;
	Array<char> text_;
	Array<const char *> originals_;
};

} // namespace xpv
