/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a suspend waits for, and what waits for it: work of one task at a time
 * that must not be cut in two by a restore, so that its beginning goes to one
 * store and its end to another.
 */
#pragma once

#include "lib/ordering.hh"

namespace xpv {

class Gate {
public:
	/* Begin no more. What is inside may still be: see occupied(). */
	void close() { static_cast<void>(exchange(closed_, true)); }
	/* The owner has what it could not do be done now. */
	void open() { store_release(closed_, false); }
	[[nodiscard]] bool closed() const { return load_acquire(closed_); }
	[[nodiscard]] bool occupied() const { return load_acquire(occupied_); }

	/* One pass through the gate; false when it is closed. */
	class [[nodiscard]] Pass {
	public:
		/* Either this sees that the gate is closed, or who closed it sees this: both swap first. */
		explicit Pass(Gate &gate) : gate_(gate)
		{
			static_cast<void>(exchange(gate_.occupied_, true));
			inside_ = !load_acquire(gate_.closed_);
		}
		~Pass() { store_release(gate_.occupied_, false); }
		Pass(const Pass &) = delete;
		Pass &operator=(const Pass &) = delete;
		explicit operator bool() const { return inside_; }

	private:
		Gate &gate_;
		bool inside_;
	};

private:
	bool closed_ = false;
	bool occupied_ = false;
};

} // namespace xpv
