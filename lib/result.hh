/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Errors as values. A function that can fail returns a Result<T>, or a Status
 * when it has no value to return. The compiler warns about a result that is
 * ignored. The error is an errno (Linux's and Xen's numbers are the same; the
 * names here are Xen's, from <xen/errno.h>).
 */
#pragma once

#include <new>
#include <type_traits>
#include <utility>

#include "lib/xen.hh"

#include <xen/errno.h>

namespace xpv {

/* An errno. Never 0: success is not an error. */
class [[nodiscard]] Error {
public:
	/* Accept either sign: XEN_EIO, or the -XEN_EIO of a C function. */
	explicit constexpr Error(int number) : errno_(number < 0 ? -number : number ? number : XEN_EINVAL) {}

	/* Return the positive errno. */
	[[nodiscard]] constexpr int number() const { return errno_; }
	/* Return the negative errno, as a C function does. */
	[[nodiscard]] constexpr int negative() const { return -errno_; }

	friend constexpr bool operator==(Error a, Error b) { return a.errno_ == b.errno_; }
	friend constexpr bool operator==(Error a, int number) { return a.errno_ == number; }

private:
	int errno_;
};

template <typename T>
class [[nodiscard]] Result {
	static_assert(!std::is_reference_v<T>, "give a pointer");
	static_assert(!std::is_same_v<T, Error>);

public:
	Result(T value) : errno_(0) { ::new (static_cast<void *>(&value_)) T(std::move(value)); }
	Result(Error error) : errno_(error.number()) {}
	Result(Result &&other) : errno_(other.errno_)
	{
		if (!errno_)
			::new (static_cast<void *>(&value_)) T(std::move(other.value_));
	}
	Result(const Result &) = delete;
	Result &operator=(const Result &) = delete;
	Result &operator=(Result &&) = delete;
	~Result()
	{
		if (!errno_)
			value_.~T();
	}

	[[nodiscard]] bool ok() const { return errno_ == 0; }
	/* Only when not ok(). */
	[[nodiscard]] Error error() const { return Error(errno_); }
	/* Only when ok(). */
	[[nodiscard]] T &value() { return value_; }
	[[nodiscard]] T take() { return std::move(value_); }
	[[nodiscard]] T value_or(T other) const { return errno_ ? other : value_; }
	/* Return 0 or a negative errno, for a C caller. */
	[[nodiscard]] int code() const { return -errno_; }

private:
	int errno_;
	union {
		T value_;
	};
};

template <>
class [[nodiscard]] Result<void> {
public:
	constexpr Result() : errno_(0) {}
	constexpr Result(Error error) : errno_(error.number()) {}

	[[nodiscard]] constexpr bool ok() const { return errno_ == 0; }
	[[nodiscard]] constexpr Error error() const { return Error(errno_); }
	[[nodiscard]] constexpr int code() const { return -errno_; }
	/* Lets XPV_TRY treat all results alike. */
	constexpr void take() const {}

private:
	int errno_;
};

using Status = Result<void>;

/* Make a Status from a C function's 0 or negative errno. */
[[nodiscard]] constexpr Status status(int code)
{
	return code < 0 ? Status(Error(code)) : Status();
}

/* Ignore an outcome on purpose; write the reason beside the call. */
template <typename T>
constexpr void ignore(const Result<T> &)
{
}
/* The same for the return value of a C function. */
constexpr void ignore(int)
{
}
constexpr void ignore(unsigned int)
{
}
constexpr void ignore(bool)
{
}
/* The same for a pointer whose object has another owner now. */
constexpr void ignore(const void *)
{
}

/* Evaluate to the value, or return the error to the caller. */
#define XPV_TRY(expression)                                                                                            \
	({                                                                                                             \
		auto xpv_try_result = (expression);                                                                    \
		if (!xpv_try_result.ok())                                                                              \
			return xpv_try_result.error();                                                                 \
		xpv_try_result.take();                                                                                 \
	})

} // namespace xpv
