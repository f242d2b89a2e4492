/* SPDX-License-Identifier: GPL-2.0-only */
/* A list of requests in flight. */
#pragma once

#include "xenbus/store/request.hh"

namespace xpv {

/* The calls for a list of items. A call that could not be submitted is empty. */
class Calls {
public:
	Calls() = default;
	Calls(const Calls &) = delete;
	Calls &operator=(const Calls &) = delete;
	~Calls()
	{
		for (unsigned int i = 0; i < made_; i++)
			calls_[i].~Call();
		xpv_free(calls_);
	}
	[[nodiscard]] Status reserve(unsigned int count)
	{
		size_t bytes;
		if (__builtin_mul_overflow(static_cast<size_t>(count), sizeof(Call), &bytes))
			return Error(XEN_ENOMEM);
		calls_ = static_cast<Call *>(xpv_alloc(bytes, XPV_MAY_SLEEP_NO_IO));
		if (!calls_)
			return Error(XEN_ENOMEM);
		room_ = count;
		return {};
	}
	/* Append a call, or its error. full() must be false. Returns 0 or the error as a negative errno. */
	[[nodiscard]] int add(Result<Call> call)
	{
		int code = call.code();
		::new (static_cast<void *>(calls_ + made_)) Call(call.ok() ? call.take() : Call());
		made_++;
		return code;
	}
	Call &operator[](unsigned int i) { return calls_[i]; }
	[[nodiscard]] unsigned int count() const { return made_; }
	[[nodiscard]] bool full() const { return made_ == room_; }

private:
	Call *calls_ = nullptr;
	unsigned int made_ = 0;
	unsigned int room_ = 0;
};

} // namespace xpv
