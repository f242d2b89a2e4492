/* SPDX-License-Identifier: GPL-2.0-only */
/* Owning pointers over the shim's allocators. There is no plain operator new. */
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include "lib/result.hh"
#include "lib/shim.h"

namespace xpv {

/*
 * Destroy an object in memory of xpv_alloc() and free it; nullptr is allowed. For
 * objects that are not in an Owned any more: list elements, and objects with a
 * reference count of their own.
 */
template <typename T>
void destroy(T *object)
{
	if (!object)
		return;
	object->~T();
	xpv_free(object);
}

/* Sole owner of one object in memory of xpv_alloc(). */
template <typename T>
class Owned {
public:
	Owned() = default;
	explicit Owned(T *object) : object_(object) {}
	Owned(Owned &&other) : object_(other.release()) {}
	Owned &operator=(Owned &&other)
	{
		if (this != &other)
			reset(other.release());
		return *this;
	}
	Owned(const Owned &) = delete;
	Owned &operator=(const Owned &) = delete;
	~Owned() { reset(); }

	[[nodiscard]] T *get() const { return object_; }
	T *operator->() const { return object_; }
	T &operator*() const { return *object_; }
	explicit operator bool() const { return object_ != nullptr; }
	[[nodiscard]] T *release() { return std::exchange(object_, nullptr); }
	void reset(T *object = nullptr) { destroy(std::exchange(object_, object)); }

private:
	T *object_ = nullptr;
};

/* Create an object in zeroed memory; ENOMEM. */
template <typename T, typename... Arguments>
[[nodiscard]] Result<Owned<T>> make(xpv_allocation how, Arguments &&...arguments)
{
	static_assert(alignof(T) <= 8, "the shim's allocator gives no more");
	void *memory = xpv_alloc(sizeof(T), how);
	if (!memory)
		return Error(XEN_ENOMEM);
	return Owned<T>(::new (memory) T(std::forward<Arguments>(arguments)...));
}

/*
 * Pass a result to a C caller: move the object to `*out`, which an error leaves
 * unchanged. Return 0 or a negative errno.
 */
template <typename T>
[[nodiscard]] int hand_out(Result<Owned<T>> made, T **out)
{
	if (made.ok())
		*out = made.value().release();
	return made.code();
}
/* The same for a plain value. */
template <typename T>
[[nodiscard]] int hand_out(Result<T> made, T *out)
{
	if (made.ok())
		*out = made.take();
	return made.code();
}

/*
 * Sole owner of a zeroed array of plain values. An array from a sleeping
 * allocation can be large: its memory is contiguous only by address, and it must
 * be freed in sleeping context. An array from XPV_ATOMIC may be freed in any
 * context.
 */
template <typename T>
class Array {
	static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_copyable_v<T>);

public:
	Array() = default;
	Array(Array &&other) : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
	Array &operator=(Array &&other)
	{
		if (this != &other) {
			xpv_free(data_);
			data_ = std::exchange(other.data_, nullptr);
			size_ = std::exchange(other.size_, 0);
		}
		return *this;
	}
	Array(const Array &) = delete;
	Array &operator=(const Array &) = delete;
	~Array() { xpv_free(data_); }

	[[nodiscard]] static Result<Array> make(size_t size, xpv_allocation how)
	{
		size_t bytes;
		if (__builtin_mul_overflow(size, sizeof(T), &bytes))
			return Error(XEN_ENOMEM);
		Array array;
		array.data_ = static_cast<T *>(xpv_alloc(bytes ? bytes : 1, how));
		if (!array.data_)
			return Error(XEN_ENOMEM);
		array.size_ = size;
		return array;
	}

	[[nodiscard]] T *data() const { return data_; }
	[[nodiscard]] size_t size() const { return size_; }
	T &operator[](size_t i) const { return data_[i]; }
	T *begin() const { return data_; }
	T *end() const { return data_ + size_; }

private:
	T *data_ = nullptr;
	size_t size_ = 0;
};

inline constexpr size_t page_size = 4096;

/* Sole owner of one zeroed page that may be shared with another domain. */
class Page {
public:
	Page() = default;
	Page(Page &&other) : data_(other.release()) {}
	Page &operator=(Page &&other)
	{
		if (this != &other) {
			reset();
			data_ = other.release();
		}
		return *this;
	}
	Page(const Page &) = delete;
	Page &operator=(const Page &) = delete;
	~Page() { reset(); }

	[[nodiscard]] static Result<Page> make(xpv_allocation how)
	{
		Page page;
		page.data_ = xpv_pages_alloc(0, how);
		if (!page.data_)
			return Error(XEN_ENOMEM);
		return page;
	}

	[[nodiscard]] void *get() const { return data_; }
	[[nodiscard]] Gfn gfn() const { return xpv_pages_gfn(data_); }
	[[nodiscard]] Pfn pfn() const { return xpv_pages_pfn(data_); }
	explicit operator bool() const { return data_ != nullptr; }
	[[nodiscard]] void *release() { return std::exchange(data_, nullptr); }
	void reset()
	{
		if (void *old = release())
			xpv_pages_free(old, 0);
	}

private:
	void *data_ = nullptr;
};

} // namespace xpv
